//! Builds that are stopped or killed at any moment: when they end, with what, and what is left.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::support::{BOTH, Scenario};

/// What a build that got a signal may take to end.
const IN_TIME: Duration = Duration::from_secs(3);
const BASE: &str = "FROM docker.io/library/busybox\n";

/// The moment at which something of the build is to be seen.
fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < until, "{what} was never to be seen");
        sleep(Duration::from_millis(5));
    }
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn build(scenario: &Scenario, flags: &[&str]) -> Child {
    let mut command = scenario.build_command(flags);
    command.arg(scenario.context());
    start(command)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Ends a build by a signal: its exit code and how long it took.
fn stop(mut child: Child, signal: Signal) -> (Option<i32>, Duration, String) {
    let since = Instant::now();
    kill(pid(&child), signal).unwrap();
    let status = child.wait().unwrap();
    let took = since.elapsed();
    let mut told = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut told).unwrap();
    }
    (status.code(), took, told)
}

#[track_caller]
fn assert_stopped(stopped: (Option<i32>, Duration, String), code: i32) {
    let (got, took, told) = stopped;
    assert_eq!(got, Some(code), "{told}");
    assert!(took < IN_TIME, "it took {took:?}: {told}");
}

/// Puts a script in the place of the engine, which goes on as the engine where the script does.
fn wrap(scenario: &Scenario, script: &str) -> PathBuf {
    let (path, real) = (scenario.wrapper(scenario.kind), scenario.kind.program());
    fs::write(&path, format!("#!/bin/sh\n{script}\nexec '{}' \"$@\"\n", real.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// How many processes have `words` in their command line.
fn processes_with(words: &str) -> usize {
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(words)).count()
}

fn leases(scenario: &Scenario) -> usize {
    let storages = fs::read_dir(scenario.state().join("storages")).into_iter().flatten().flatten();
    storages.flat_map(|storage| fs::read_dir(storage.path().join("running")).into_iter().flatten()).count()
}

/// Nothing is left of any build, at once.
#[track_caller]
fn assert_nothing_left(scenario: &Scenario) {
    scenario.assert_clean();
    assert_eq!(leases(scenario), 0, "a lease is left");
    for image in scenario.listed() {
        scenario.image(&image.id);
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let merged = format!("{}/root/overlay/", scenario.folder().display());
    assert!(!mounts.contains(&merged), "a mount is left:\n{mounts}");
}

#[test]
fn a_signal_ends_a_build_in_time_whatever_it_does_and_nothing_is_left() {
    let text = "FROM docker.io/library/busybox AS a\nCOPY big /big\nRUN echo ready >&2; sleep 30\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        scenario.shell("head -c 150000000 /dev/urandom >big");
        // From the first moments on, through COPY and its commit, into RUN.
        for (n, wait) in [20u64, 120, 300, 600, 900, 1200, 1800, 2500].into_iter().enumerate() {
            let (signal, code) =
                [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)][n % 3];
            let child = build(&scenario, &["--patch-layers=false", "--no-cache"]);
            sleep(Duration::from_millis(wait));
            assert_stopped(stop(child, signal), code);
            assert_nothing_left(&scenario);
            assert_eq!(processes_with(&scenario.folder().display().to_string()), 0, "{kind:?}: {wait} ms");
        }
    }
}

#[test]
fn a_build_that_waits_for_a_lock_ends_on_a_signal() {
    let run = "RUN echo ready >&2; sleep 8\n";
    let scenario = Scenario::new(&format!("{BASE}{run}"));
    let first = scenario.start_until(&[], "] ready");
    let second = scenario.start_until(&[], "waits for");
    let since = Instant::now();
    second.signal(Signal::SIGTERM);
    second.ended().fails(143);
    assert!(since.elapsed() < IN_TIME);
    let mut prune = scenario.program(&[]);
    prune.args(scenario.globals()).arg("prune");
    let prune = start(prune);
    sleep(Duration::from_millis(300));
    assert_stopped(stop(prune, Signal::SIGINT), 130);
    first.ended().ok();
    assert_nothing_left(&scenario);
}

#[test]
fn a_call_that_ignores_signals_or_does_not_end_ends_with_the_build() {
    let trapped = "trap '' INT TERM HUP; echo x >>\"$0.seen\"; sleep 4072; sleep 4072";
    for (verb, text, flags) in [
        ("version", BASE, &[][..]),
        ("inspect", "FROM other\nRUN true\n", &[]),
        ("pull", "FROM other\nRUN true\n", &["--pull=always"]),
        ("build", "FROM scratch\nCOPY Containerfile /\n", &[]),
        ("tag", "FROM docker.io/library/busybox\nRUN true\n", &["--tag=a:1", "--tag=b:1"]),
    ] {
        let scenario = Scenario::new(text);
        let program = wrap(&scenario, &format!("case \" $* \" in *\" {verb} \"*) {trapped};; esac"));
        let seen = PathBuf::from(format!("{}.seen", program.display()));
        let child = build(&scenario, flags);
        wait_for(verb, || seen.exists());
        assert_stopped(stop(child, Signal::SIGTERM), 143);
        assert_eq!(processes_with("sleep 4072"), 0, "{verb}");
        assert_nothing_left(&scenario);
    }
}

#[test]
fn a_signal_counts_while_nobody_reads_what_the_build_says() {
    let scenario = Scenario::new(&format!(
        "{BASE}RUN while echo 0123456789012345678901234567890123456789; do :; done\n"
    ));
    let child = build(&scenario, &["--progress=plain"]);
    wait_for("the record", || scenario.records().len() == 1);
    sleep(Duration::from_secs(3));
    // The pipe is full by now, and it is read only when the build has ended.
    assert_stopped(stop(child, Signal::SIGINT), 130);
    assert_nothing_left(&scenario);
    assert_eq!(scenario.records()[0]["status"], "interrupted");
}

#[test]
fn a_second_signal_ends_the_build_at_once() {
    let run = "trap '' TERM INT; echo ready >&2; while :; do sleep 1; done";
    let scenario = Scenario::new(&format!("{BASE}RUN {run}\n"));
    let running = scenario.start_until(&[], "] ready");
    running.signal(Signal::SIGTERM);
    sleep(Duration::from_millis(350));
    let since = Instant::now();
    running.signal(Signal::SIGTERM);
    running.ended().fails(143);
    assert!(since.elapsed() < Duration::from_millis(1500), "{:?}", since.elapsed());
    // What there was no time for on a busy machine, the watcher does.
    while leases(&scenario) > 0 && since.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(50));
    }
    assert_nothing_left(&scenario);
}

#[test]
fn what_a_killed_build_leaves_goes_by_itself_or_with_the_next_command() {
    let text = format!("{BASE}RUN echo 1 >/1\nRUN echo ready >&2; sleep 4073\n");
    for kind in BOTH {
        for (with_all, by) in [(false, "itself"), (true, "the next build"), (true, "prune")] {
            let scenario = Scenario::on(kind, &text);
            let running = scenario.start_until(&[], "] ready");
            if with_all {
                // The one that watches is killed too, and what runs is nobody's.
                let file = running_lease(&scenario);
                let watchers = pids_with(&format!("--watch-build {}", scenario.wrapper(kind).display()));
                assert!(!watchers.is_empty() && file.exists());
                watchers.iter().for_each(|pid| kill(*pid, Signal::SIGKILL).unwrap());
            }
            running.signal(Signal::SIGKILL);
            drop(running);
            let mut other = scenario.program(&[]);
            other.args(scenario.globals());
            match by {
                "itself" => {}
                "prune" => {
                    let mut info = scenario.program(&[]);
                    info.args(scenario.globals()).args(["info", "--format={{.state.killed_builds}}"]);
                    wait_for("what is left", || {
                        let told = scenario.ended(copy_of(&info)).stdout;
                        told.trim() == "1"
                    });
                    let told = String::from_utf8(other.arg("prune").output().unwrap().stdout).unwrap();
                    assert!(told.contains("what killed builds left: 1 build"), "{told}");
                }
                _ => {
                    scenario.write("other", &format!("{BASE}RUN echo 1 >/1\n"));
                    let built = scenario.build(&["--file=other"]).ok();
                    assert!(built.stderr.contains("what killed builds left: 1 build"), "{}", built.stderr);
                }
            }
            wait_for("the end of it", || leases(&scenario) == 0);
            assert_eq!(processes_with("sleep 4073"), 0, "{kind:?}: the command runs on, by {by}");
            assert_nothing_left(&scenario);
            assert_eq!(scenario.records()[0]["status"], "interrupted", "{kind:?}: {by}");
            // The step that was finished is there.
            scenario.containerfile(&text.replace("sleep 4073", "true"));
            scenario.build(&[]).expect("0 hm");
        }
    }
}

/// A command with the same words.
fn copy_of(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

fn pids_with(words: &str) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).ok()?).replace('\0', " ");
        let pid = entry.file_name().to_str()?.parse().ok()?;
        line.contains(words).then(|| Pid::from_raw(pid))
    });
    all.collect()
}

fn running_lease(scenario: &Scenario) -> PathBuf {
    let storage = fs::read_dir(scenario.state().join("storages")).unwrap().next().unwrap().unwrap();
    fs::read_dir(storage.path().join("running")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn nothing_of_a_build_that_lives_is_swept() {
    let scenario = Scenario::new(&format!("{BASE}RUN echo ready >&2; sleep 4; echo 1 >/1\n"));
    let living = scenario.start_until(&[], "] ready");
    let killed = scenario.start_until(&["--no-cache"], "] ready");
    killed.signal(Signal::SIGKILL);
    drop(killed);
    scenario.write("other", &format!("{BASE}RUN echo 2 >/2\n"));
    scenario.build(&["--file=other"]).ok();
    living.ended().ok();
    wait_for("the end of it", || leases(&scenario) == 0);
    assert_nothing_left(&scenario);
}

/// The most memory that a process has had so far, in MiB.
fn peak_of(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}

/// Reads what a build says, slowly or as it comes, and tells its exit code, its peak in MiB and the end of what it said.
fn peak(mut child: Child, pause: Duration) -> (Option<i32>, u64, String) {
    let mut stderr = child.stderr.take().unwrap();
    let (mut buffer, mut end, mut peak) = (vec![0; 256 * 1024], Vec::new(), 0);
    loop {
        peak = peak.max(peak_of(&child).unwrap_or_default());
        match stderr.read(&mut buffer).unwrap() {
            0 => break,
            read => end = [&end[end.len().saturating_sub(4096)..], &buffer[..read]].concat(),
        }
        sleep(pause);
    }
    (
        child.wait().unwrap().code(),
        peak,
        String::from_utf8_lossy(&end[end.len().saturating_sub(4096)..]).into_owned(),
    )
}

#[test]
fn memory_stays_small_whatever_an_engine_prints() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN true\n");
    let lots = "head -c 300000000 /dev/zero";
    let in_lines = format!("{lots} | tr '\\0' x | fold -w 99");
    let in_one = format!("{lots} | tr '\\0' x");
    for (verb, what, code, said) in [
        ("build", format!("{in_lines} >&2"), 0, "built"),
        ("build", in_lines, 0, "built"),
        ("build", in_one.clone(), 0, "built"),
        ("version", in_one.clone(), 125, "version --json`: it printed more than 1048576 bytes"),
        ("info", format!("{in_one} >&2; sleep 0.1"), 0, "built"),
        (
            "build",
            format!("for a; do case $a in --iidfile=*) {in_one} >${{a#--iidfile=}}; exit 0;; esac; done"),
            125,
            "no image id",
        ),
    ] {
        wrap(&scenario, &format!("case \" $* \" in *\" {verb} \"*) {what};; esac"));
        let mut command = scenario.build_command(&["--no-cache", "--progress=plain"]);
        command.arg(scenario.context());
        let (got, peak, told) = peak(start(command), Duration::from_millis(1));
        assert!(peak < 64, "{verb} {what}: {peak} MiB");
        assert!(got == Some(code) && told.contains(said), "{verb} {what}: {got:?}, {told}");
    }
}

#[test]
fn a_group_that_is_killed_leaves_nothing_behind() {
    let scenario = Scenario::new(&format!("{BASE}RUN echo ready >&2; sleep 4074\n"));
    let mut command = scenario.build_command(&[]);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.arg(scenario.context());
    let mut child = start(command);
    wait_for("the command", || processes_with("sleep 4074") > 0);
    killpg(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    wait_for("the end of it", || leases(&scenario) == 0);
    assert_eq!(processes_with("sleep 4074"), 0);
    assert_nothing_left(&scenario);
}

#[test]
fn a_build_that_fails_beside_a_copy_leaves_no_working_container() {
    let text = "FROM docker.io/library/busybox AS slow\nCOPY big /big\n\
                FROM docker.io/library/busybox AS bad\nRUN sleep 0.NN; exit 3\n\
                FROM scratch\nCOPY --from=slow /big /a\nCOPY --from=bad /bin/sh /b\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, "");
        scenario.shell("head -c 100000000 /dev/urandom >big");
        for part in ["1", "3", "6", "9"] {
            scenario.containerfile(&text.replace("NN", part));
            scenario.build(&["--jobs=2", "--no-cache", "--patch-layers=false"]).fails(3);
            assert_nothing_left(&scenario);
        }
    }
}

#[test]
fn a_build_that_is_killed_while_it_copies_and_commits_leaves_nothing_behind() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nCOPY big /big\nRUN sleep 30\n");
    scenario.shell("head -c 100000000 /dev/urandom >big");
    for wait in [150u64, 400, 700, 1000, 1400, 2000] {
        let mut child = build(&scenario, &["--patch-layers=false", "--no-cache"]);
        sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let folder = scenario.folder().display().to_string();
        wait_for("the end of it", || leases(&scenario) == 0 && processes_with(&folder) == 0);
        assert_nothing_left(&scenario);
    }
}
