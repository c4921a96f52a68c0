//! A podman that is only the client of one on another machine is refused before anything runs there.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::{Kind, Scenario};

/// A podman that serves the scenario's storage on a socket, for as long as the test runs.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start(scenario: &Scenario) -> Self {
        let socket = scenario.folder().join("podman.sock");
        let address = format!("unix://{}", socket.display());
        let process = Command::new(Kind::Podman.program())
            .args(scenario.globals())
            .args(["system", "service", "--time=0", &address])
            .env("TMPDIR", scenario.folder())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !socket.exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "podman's service does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, address }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_remote_podman_is_refused_before_anything_runs() {
    let scenario = Scenario::on(Kind::Podman, "FROM docker.io/library/busybox\nRUN echo x >/x\n");
    let service = Service::start(&scenario);
    let conf = scenario.folder().join("remote.conf");
    let text = format!(
        "[engine]\nremote = true\nactive_service = \"there\"\n\n[engine.service_destinations.there]\nuri = \"{}\"\n",
        service.address
    );
    fs::write(&conf, text).unwrap();
    let conf = conf.display().to_string();
    let engine = format!("--engine={}", scenario.wrapper(Kind::Podman).display());
    let url = format!("--url={}", service.address);
    let host = ("CONTAINER_HOST", service.address.as_str());
    let before = scenario.listed();
    // Flags in front of `build`, flags behind it, variables, and what the error names.
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let rows: &[Row<'_>] = &[
        (&["--remote"], &[], &[host], "--remote"),
        (&["-r"], &[], &[host], "--remote"),
        (&["--remote"], &["--engine=auto"], &[host], "--remote"),
        (&[&url], &[], &[], &url),
        (&[], &[&url], &[], &url),
        (&["-c", "there"], &[], &[], "--connection=there"),
        (&[], &[], &[host], "CONTAINER_HOST"),
        (&[], &["--engine=auto"], &[host], "CONTAINER_HOST"),
        (&[], &[], &[("CONTAINER_CONNECTION", "there")], "CONTAINER_CONNECTION"),
        (&[], &[], &[("CONTAINERS_CONF", &conf)], "containers.conf"),
    ];
    for (leading, flags, variables, what) in rows {
        let mut command = scenario.program(leading);
        command.arg("build");
        if !flags.contains(&"--engine=auto") {
            command.arg(&engine);
        }
        command.args(*flags).arg(scenario.context()).envs(variables.iter().copied());
        let built = scenario.ended(command);
        let shown = format!("{leading:?} {flags:?} {variables:?}: {}", built.stderr);
        assert_eq!(built.code, 125, "{shown}");
        assert!(built.error().contains(what) && built.error().contains("another machine"), "{shown}");
        // Asking who it is is all that happens.
        let asked = |call: &String| call.contains("version") || call.contains("--help");
        assert!(built.calls.iter().all(asked), "{shown}\n{:?}", built.calls);
    }
    assert_eq!(scenario.listed().len(), before.len());
    assert!(scenario.records().is_empty());
}

#[test]
fn buildah_by_name_is_the_one_on_this_machine() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nCOPY a /a\n").file("a", "a");
    let mut command = scenario.build_command(&[]);
    command.arg(scenario.context()).env("CONTAINER_HOST", "unix:///nonexistent/podman.sock");
    let built = scenario.ended(command);
    assert_eq!(built.code, 0, "{}", built.stderr);
}
