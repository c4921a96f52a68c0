//! Ends running children early, so that they clean up behind themselves.
//!
//! An engine that gets a signal dies where it stands: buildah 1.28 and podman 4.3 leave the working container, podman its
//! `buildah…` folder in TMPDIR as well, and podman even exits with 0 (16 of 16 times). An engine whose RUN ends with an
//! error removes both. So it is the RUN below the engine that gets the signal, and the engine only where no
//! RUN is under way, or where it does not come to its end by itself.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How long a RUN has to end on SIGTERM: the first process of a container ignores it unless it has asked for it.
const GRACE_OF_RUN: Duration = Duration::from_secs(2);
/// How long an engine has to clean up after its RUN was ended.
const GRACE_OF_ENGINE: Duration = Duration::from_secs(15);
/// How long an engine has to end on SIGTERM.
const GRACE_OF_SIGNAL: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the processes with these ids, each the leader of a group of its own; returns when all are gone.
pub(super) fn end(leaders: &[i32], is_running: &dyn Fn(i32) -> bool) {
    let (mut with_run, mut without) = (Vec::new(), Vec::new());
    for &leader in leaders {
        let commands = commands_below(leader);
        send(&commands, Signal::SIGTERM);
        if commands.is_empty() { without.push(leader) } else { with_run.push(leader) }
    }
    send_groups(&without, Signal::SIGTERM);
    let alive = |leaders: &[i32]| leaders.iter().copied().filter(|&l| is_running(l)).collect::<Vec<_>>();
    let wait = |leaders: &[i32], grace: Duration| {
        let until = Instant::now() + grace;
        while !alive(leaders).is_empty() && Instant::now() < until {
            thread::sleep(PAUSE);
        }
        alive(leaders)
    };
    let left = wait(&with_run, GRACE_OF_RUN);
    for &leader in &left {
        send(&commands_below(leader), Signal::SIGKILL);
    }
    let left = wait(&left, GRACE_OF_ENGINE);
    send_groups(&left, Signal::SIGTERM);
    let left: Vec<i32> = left.into_iter().chain(alive(&without)).collect();
    send_groups(&wait(&left, GRACE_OF_SIGNAL), Signal::SIGKILL);
}

/// Kills the groups of these leaders at once.
pub(super) fn kill_groups(leaders: &[i32]) {
    for &leader in leaders {
        send(&commands_below(leader), Signal::SIGKILL);
    }
    send_groups(leaders, Signal::SIGKILL);
}

fn send(processes: &[i32], signal: Signal) {
    for &pid in processes {
        // One that is gone already is what we wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn send_groups(leaders: &[i32], signal: Signal) {
    for &pid in leaders {
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

/// The processes of a RUN below `leader`: those in a root of their own that do not run the leader's program. What else an
/// engine starts (fuse-overlayfs, the network's helpers) has the same root as we, and goes with the engine.
fn commands_below(leader: i32) -> Vec<i32> {
    let identity = |path: String| fs::metadata(path).ok().map(|meta: Metadata| (meta.dev(), meta.ino()));
    let own_root = identity("/proc/self/root/".into());
    let program = identity(format!("/proc/{leader}/exe"));
    // The engine's own parts in the container (`buildah-chroot-exec`) are its program, or a copy of it in memory (1.28).
    let is_engine = |pid: i32| {
        let exe = format!("/proc/{pid}/exe");
        identity(exe.clone()) == program
            || fs::read_link(exe)
                .is_ok_and(|path| path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"))
    };
    let in_container = |pid: &i32| {
        let root = identity(format!("/proc/{pid}/root/"));
        root.is_some() && root != own_root && !is_engine(*pid)
    };
    descendants(leader, &parents()).into_iter().filter(in_container).collect()
}

/// All processes with their parents.
fn parents() -> BTreeMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, parent_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The parent in a line of `/proc/PID/stat`: the second field behind the name, which may hold blanks and brackets.
fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn descendants(of: i32, parents: &BTreeMap<i32, i32>) -> Vec<i32> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_behind_a_name_with_brackets_and_blanks() {
        assert_eq!(parent_in("42 (a) b (c) S 7 42 42 0"), Some(7));
        assert_eq!(parent_in("42 a S"), None);
    }

    #[test]
    fn descendants_are_found_over_several_generations() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 4)]);
        assert_eq!(descendants(2, &parents), [3, 4, 6]);
    }

    #[test]
    fn a_process_in_our_own_root_is_not_a_run() {
        let mut child = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        let own = std::process::id().cast_signed();
        assert!(!commands_below(own).contains(&child.id().cast_signed()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
