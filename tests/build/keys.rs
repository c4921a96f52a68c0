//! What keys hold that the installed engine cannot build: planning asks it for its version alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Kind, Scenario};

/// A scenario whose buildah says that it is this version.
fn pretending(version: &str, containerfile: &str) -> Scenario {
    let scenario = Scenario::new(containerfile);
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != version ] || exec echo '{{\"version\": \"{version}\"}}'\nexec '{}' \"$@\"\n",
        Kind::Buildah.program().display()
    );
    let program = scenario.wrapper(Kind::Buildah);
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    scenario
}

/// The keys of the steps of all stages.
fn keys(scenario: &Scenario, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = scenario.program(&[]);
    command
        .args(scenario.globals())
        .args(["plan", "--format=json", "--pull=never"])
        .arg(format!("--engine={}", scenario.wrapper(Kind::Buildah).display()))
        .arg(scenario.context())
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps =
        plan["stages"].as_array().unwrap().iter().flat_map(|stage| stage["steps"].as_array().unwrap());
    steps.map(|step| step["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_text_of_a_heredoc_is_in_the_key() {
    let text = "FROM docker.io/library/busybox\nCOPY <<E /f\none\nE\nRUN <<E\ncat /f >/out\nE\n";
    let scenario = pretending("1.39.3", text);
    let first = keys(&scenario, &[]);
    assert_eq!(first.len(), 2);
    scenario.containerfile(&text.replace("cat /f", "cat /f /f"));
    let other_command = keys(&scenario, &[]);
    assert_eq!(other_command[0], first[0]);
    assert_ne!(other_command[1], first[1]);
    scenario.containerfile(&text.replace("one", "two"));
    let other_file = keys(&scenario, &[]);
    assert!(other_file[0] != first[0] && other_file[1] != first[1]);
    scenario.containerfile(&text.replace("RUN <<E\ncat /f >/out\nE", "RUN <<F\ncat /f >/out\nF"));
    assert_eq!(keys(&scenario, &[])[0], first[0]);
    scenario.containerfile(&text.replace("FROM", "# why\n\nFROM"));
    assert_eq!(keys(&scenario, &[]), first);
}

#[test]
fn the_time_of_the_source_counts_where_the_engine_reads_it() {
    let epoch = |time| [("SOURCE_DATE_EPOCH", time)];
    for (version, counts) in [("1.28.2", false), ("1.43.2", true)] {
        let scenario = pretending(version, "FROM docker.io/library/busybox\nRUN true\n");
        let first = keys(&scenario, &epoch("1"));
        assert_eq!(keys(&scenario, &epoch("1")), first);
        assert_eq!(keys(&scenario, &epoch("2")) != first, counts, "{version}");
        assert_eq!(keys(&scenario, &[]) != first, counts, "{version}");
    }
}

#[test]
fn the_environment_that_stands_for_flags_is_in_the_key_and_other_variables_are_not() {
    let scenario = pretending("1.28.2", "FROM docker.io/library/busybox\nRUN true\n");
    let first = keys(&scenario, &[("BUILDAH_ISOLATION", "chroot")]);
    for (variable, value, counts) in [
        ("BUILDAH_ISOLATION", "rootless", true),
        ("BUILDAH_RUNTIME", "crun", true),
        ("BUILDAH_FORMAT", "docker", true),
        ("BUILDAH_LAYERS", "false", true),
        ("http_proxy", "http://proxy", false),
        ("LANG", "C", false),
    ] {
        let now = keys(&scenario, &[("BUILDAH_ISOLATION", "chroot"), (variable, value)]);
        assert_eq!(now != first, counts, "{variable}");
    }
}

#[test]
fn a_build_id_is_used_once_and_each_platform_has_its_own() {
    let scenario = Scenario::new("FROM scratch\nCOPY Containerfile /a\n");
    let file = scenario.folder().join("ids");
    let flags = |id: &str| vec![format!("--build-id={id}"), format!("--build-id-file={}", file.display())];
    let build = |id: &str, more: &[&str]| {
        let own = flags(id);
        let flags: Vec<&str> = own.iter().map(String::as_str).chain(more.iter().copied()).collect();
        scenario.build(&flags)
    };
    let id = "0198A3B2-1111-7000-8000-0123456789AB";
    build(id, &["--platform=linux/amd64,linux/arm64"]).ok();
    let ids = fs::read_to_string(&file).unwrap();
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!((ids.len(), ids[0]), (2, id.to_lowercase().as_str()));
    assert_ne!(ids[0], ids[1]);
    let recorded: Vec<String> =
        scenario.records().iter().map(|record| record["build_id"].as_str().unwrap().to_owned()).collect();
    assert!(ids.iter().all(|id| recorded.iter().any(|recorded| recorded == id)), "{recorded:?}");
    let used = build(&id.replace('-', ""), &[]).fails(125);
    assert!(used.error().contains("there is a record of a build of that id"), "{}", used.error());
}
