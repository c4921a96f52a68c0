//! Calls of a program of ours that is gone, by a mark on their command lines.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::{Pid, geteuid, getpgid, getsid};

use super::ending::{self, Grace};

/// How long to wait before it is looked again: a call that is just being started has no command line yet.
const PAUSE: Duration = Duration::from_millis(100);
/// How often nothing is to be found until there is nothing.
const LOOKS: usize = 3;

/// Ends all calls with this mark on their command line, and returns when they are gone.
pub fn end_marked(mark: &str) {
    let mut looks = 0;
    while looks < LOOKS {
        let leaders: Vec<i32> = leaders(mark).into_iter().collect();
        looks = if leaders.is_empty() { looks + 1 } else { 0 };
        ending::end(&leaders, &group_is_there, Grace::OF_A_SIGNAL);
        thread::sleep(PAUSE);
    }
}

/// Whether a group has processes that run.
fn group_is_there(leader: i32) -> bool {
    killpg(Pid::from_raw(leader), None) != Err(Errno::ESRCH) && !is_zombie(leader)
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The leaders of the groups of marked processes.
///
/// What has a session of its own is not a call: podman's pause process goes on for all that its user runs, and may have the
/// command line of the call that it came from.
fn leaders(mark: &str) -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let own = fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == geteuid().as_raw());
        let line =
            if own { fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default() } else { Vec::new() };
        line.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let own_group = getpgid(None).map(Pid::as_raw).unwrap_or_default();
    let group = |pid: i32| {
        let (group, session) =
            (getpgid(Some(Pid::from_raw(pid))).ok()?, getsid(Some(Pid::from_raw(pid))).ok()?);
        (group != session && group.as_raw() != own_group).then(|| group.as_raw())
    };
    pids.filter(is_marked).filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Instant;

    #[test]
    fn marked_calls_are_ended_with_what_they_have_started_and_others_go_on() {
        let start = |mark: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "trap '' TERM; sleep 41 & wait; : $0", mark]).process_group(0);
            command.spawn().unwrap()
        };
        let (mut marked, mut other) = (start("stagecache-mark.1"), start("stagecache-other.1"));
        let begun = Instant::now();
        end_marked("stagecache-mark");
        // What it waits for goes first, and it may end by itself.
        marked.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "it has ended by itself");
        assert!(other.try_wait().unwrap().is_none());
        ending::kill_groups(&[other.id().cast_signed()]);
        other.wait().unwrap();
    }
}
