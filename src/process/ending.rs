//! Ends running children early, so that they clean up behind themselves.
//!
//! An engine that gets a signal dies where it stands: buildah 1.28 and podman 4.3 leave the working container, podman its
//! `buildah…` folder in TMPDIR as well, and podman even exits with 0 (16 of 16 times); one that is killed while it commits
//! can leave an image without a manifest. An engine whose RUN ends with an error removes both. So it is the RUN below the
//! engine that gets the signal; the engine itself has its time to come to its end, gets a signal then, and is killed last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const PAUSE: Duration = Duration::from_millis(30);

/// How much time what is to end has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    /// A RUN on SIGTERM: the first process of a container ignores it unless it has asked for it.
    run: Duration,
    /// An engine that was not told anything: to end what it does, and to clean up after its RUN was ended.
    engine: Duration,
    /// An engine on SIGTERM.
    signal: Duration,
}

impl Grace {
    /// The user waits.
    pub(super) const OF_A_SIGNAL: Self = Self {
        run: Duration::from_millis(500),
        engine: Duration::from_millis(1200),
        signal: Duration::from_millis(400),
    };
    /// The build has failed, and what runs beside the failure is to leave nothing.
    pub(super) const OF_A_FAILURE: Self =
        Self { run: Duration::from_secs(2), engine: Duration::from_secs(15), signal: Duration::from_secs(5) };
}

/// Ends the processes with these ids, each the leader of a group of its own; returns when all are gone, or killed.
pub(super) fn end(leaders: &[i32], is_running: &dyn Fn(i32) -> bool, grace: Grace) {
    let begun = Instant::now();
    // The commands that were told to end, and when the first of a leader's was.
    let mut told: BTreeMap<i32, (Instant, BTreeSet<i32>)> = BTreeMap::new();
    let mut signalled = false;
    loop {
        let alive: Vec<i32> = leaders.iter().copied().filter(|&leader| is_running(leader)).collect();
        if alive.is_empty() {
            break;
        }
        if begun.elapsed() >= grace.engine + grace.signal {
            kill_groups(&alive);
            break;
        }
        for &leader in &alive {
            // A RUN may begin meanwhile.
            let commands = commands_below(leader);
            if commands.is_empty() {
                continue;
            }
            let (since, known) = told.entry(leader).or_insert_with(|| (Instant::now(), BTreeSet::new()));
            let new: Vec<i32> = commands.into_iter().filter(|&command| known.insert(command)).collect();
            send(&new, Signal::SIGTERM);
            if since.elapsed() >= grace.run {
                // All at once: those that are left when their parent is gone are not found below the engine.
                kill_commands(known);
            }
        }
        if begun.elapsed() >= grace.engine && !signalled {
            signalled = true;
            send_groups(&alive, Signal::SIGTERM);
        }
        thread::sleep(PAUSE);
    }
    told.values().for_each(|(_, commands)| kill_commands(commands));
}

/// Kills those of these commands that are still there.
fn kill_commands(commands: &BTreeSet<i32>) {
    let own_root = identity("/proc/self/root/".into());
    let left: Vec<i32> = commands.iter().copied().filter(|&pid| is_in_container(pid, own_root)).collect();
    send(&left, Signal::SIGKILL);
}

/// Kills these leaders, their groups and all that they have started, at once.
pub(super) fn kill_groups(leaders: &[i32]) {
    let parents = parents();
    for &leader in leaders {
        send(&descendants(leader, &parents), Signal::SIGKILL);
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
    let own_root = identity("/proc/self/root/".into());
    let program = identity(format!("/proc/{leader}/exe"));
    // The engine's own parts in the container (`buildah-chroot-exec`) are its program, or a copy of it in memory (1.28).
    let is_engine = |pid: i32| {
        let exe = format!("/proc/{pid}/exe");
        identity(exe.clone()) == program
            || fs::read_link(exe)
                .is_ok_and(|path| path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"))
    };
    let is_command = |pid: &i32| is_in_container(*pid, own_root) && !is_engine(*pid);
    descendants(leader, &parents()).into_iter().filter(is_command).collect()
}

/// Device and number of what lies there, links followed.
fn identity(path: String) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether a process is there and has a root of its own.
fn is_in_container(pid: i32, own_root: Option<(u64, u64)>) -> bool {
    let root = identity(format!("/proc/{pid}/root/"));
    root.is_some() && root != own_root
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
