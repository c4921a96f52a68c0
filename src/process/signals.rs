//! What a signal means: SIGINT, SIGTERM and SIGHUP end the program within three seconds, whatever it does just then.
//!
//! The running children come to their end first ([`mod@super::ending`]), no other one starts, and everything that waits for a
//! child, a lock or a turn goes on with "interrupted". What does not get that far (standard error that nobody reads, a
//! long computation) is not waited for: a thread of our own cleans up ([`with_last_act`]) and ends the program.
//!
//! Children are registered under the lock under which the stop flags are looked at: a child is told to end, or it does
//! not start.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ending::{self, Grace};

/// When what has not come to its end by itself is not waited for any more, counted from the signal.
const LAST_ACT: Duration = Duration::from_millis(2200);
/// How long the program has to end when no child runs any more.
const SETTLING: Duration = Duration::from_millis(800);
/// When the program ends, whatever is left.
const AT_THE_LATEST: Duration = Duration::from_millis(2800);
/// How long the last act may take when a second signal has asked for it.
const AT_ONCE: Duration = Duration::from_millis(500);
/// Signals that come together are one: a terminal and a program above us may both send it.
const TOGETHER: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(20);

/// What a child is for, and so what ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A step: does not start once another step has failed.
    Step,
    /// Something else: does not start once a signal has come.
    #[default]
    Call,
    /// Cleaning up behind what was ended: nothing but the end of the program ends it.
    CleanUp,
}

/// A child that runs.
#[derive(Debug, Clone, Copy)]
struct Running {
    purpose: Purpose,
    told_to_end: bool,
}

#[derive(Debug)]
struct Children {
    running: BTreeMap<i32, Running>,
    /// Whether a step has failed, and no further one starts.
    steps_end: bool,
}

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CHILDREN: Mutex<Children> = Mutex::new(Children { running: BTreeMap::new(), steps_end: false });
static LAST: (Mutex<LastAct>, Condvar) =
    (Mutex::new(LastAct { is_due: false, hurries: false, open: 0 }), Condvar::new());

/// Whether it is time for the last act, and how many of them are not over.
#[derive(Debug)]
struct LastAct {
    is_due: bool,
    hurries: bool,
    open: usize,
}

fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn last() -> MutexGuard<'static, LastAct> {
    LAST.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the user has asked us to stop (SIGINT, SIGTERM, SIGHUP).
pub fn interrupted() -> bool {
    interrupted_by().is_some()
}

/// The number of the signal that asked us to stop.
pub fn interrupted_by() -> Option<i32> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// Why a child did not start: a signal came, or a step has failed.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct TooLate;

/// Whether a child did not start because it was too late for it.
pub fn is_too_late(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<TooLate>())
}

/// Listens for SIGINT, SIGTERM and SIGHUP; for the last not where it is ignored, as under `nohup`.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn watch_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let wanted =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(wanted)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    on_first(signal);
                }
                Some(first) if first.elapsed() > TOGETHER => on_second(),
                Some(_) => {}
            }
        }
    })?;
    Ok(())
}

/// Whether this program was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

fn on_first(signal: i32) {
    {
        let _children = children();
        SIGNAL.store(signal, Ordering::SeqCst);
    }
    let told = || told_to_end(|running| running.purpose != Purpose::CleanUp);
    let leaders = told();
    if thread::Builder::new().name("ending".into()).spawn(move || end(&leaders)).is_err() {
        // Without a thread there is no time to wait: at once is better than never.
        ending::kill_groups(&told());
        signal_hook::low_level::exit(128 + signal);
    }
}

fn on_second() {
    last().hurries = true;
    ending::kill_groups(&told_to_end(|_| true));
}

/// Ends the children, then the program, which may be faster.
fn end(leaders: &[i32]) {
    let begun = Instant::now();
    ending::end(leaders, &is_running, Grace::OF_A_SIGNAL);
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < SETTLING && begun.elapsed() < LAST_ACT && !last().hurries {
        thread::sleep(PAUSE);
        if !children().running.is_empty() {
            idle_since = Instant::now();
        }
    }
    let mut state = last();
    state.is_due = true;
    LAST.1.notify_all();
    let until = if state.hurries { Instant::now() + AT_ONCE } else { begun + AT_THE_LATEST };
    while state.open > 0 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = LAST.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(state);
    ending::kill_groups(&told_to_end(|_| true));
    signal_hook::low_level::exit(128 + interrupted_by().unwrap_or_default());
}

/// Does the work; when a signal has come and the work does not end in time, does the last act beside it, behind which the
/// program ends.
pub fn with_last_act<T>(act: &(dyn Fn() + Sync), work: impl FnOnce() -> T) -> T {
    struct Over<'a>(&'a Mutex<bool>);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            let _state = last();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            LAST.1.notify_all();
        }
    }
    let over = Mutex::new(false);
    let is_over = || *over.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        last().open += 1;
        let waits = || {
            let mut state = last();
            while !state.is_due && !is_over() {
                state = LAST.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_due && !is_over() {
                drop(state);
                act();
                state = last();
            }
            state.open -= 1;
            LAST.1.notify_all();
        };
        if thread::Builder::new().name("last act".into()).spawn_scoped(scope, waits).is_err() {
            last().open -= 1;
        }
        let _over = Over(&over);
        work()
    })
}

/// Ends the steps that run, because one has failed, and does not wait for it: their callers do. No step starts until
/// [`steps_may_start`].
pub fn end_steps() {
    children().steps_end = true;
    let leaders = told_to_end(|running| running.purpose == Purpose::Step);
    if leaders.is_empty() {
        return;
    }
    let ending = move || ending::end(&leaders, &is_running, Grace::OF_A_FAILURE);
    if thread::Builder::new().name("ending".into()).spawn(ending).is_err() {
        ending::kill_groups(&told_to_end(|running| running.purpose == Purpose::Step));
    }
}

/// Steps may start again after [`end_steps`].
pub fn steps_may_start() {
    children().steps_end = false;
}

fn is_running(leader: i32) -> bool {
    children().running.contains_key(&leader)
}

/// The children that this is true of, each marked as told to end.
fn told_to_end(which: impl Fn(&Running) -> bool) -> Vec<i32> {
    let mut children = children();
    let chosen = children.running.iter_mut().filter(|(_, running)| which(running));
    chosen
        .map(|(leader, running)| {
            running.told_to_end = true;
            *leader
        })
        .collect()
}

/// Keeps a child in the list of those that are told to end.
#[derive(Debug)]
pub(super) struct Registered(i32);

/// Starts a child, unless it is too late for it.
pub(super) fn spawn(command: &mut Command, purpose: Purpose) -> io::Result<(Child, Registered)> {
    let mut children = children();
    let too_late = match purpose {
        Purpose::Step => children.steps_end || interrupted(),
        Purpose::Call => interrupted(),
        Purpose::CleanUp => false,
    };
    if too_late {
        return Err(io::Error::other(TooLate));
    }
    let child = command.spawn()?;
    let leader = child.id().cast_signed();
    children.running.insert(leader, Running { purpose, told_to_end: false });
    Ok((child, Registered(leader)))
}

impl Registered {
    /// The child is gone; whether it was told to.
    pub(super) fn over(self) -> bool {
        children().running.remove(&self.0).is_some_and(|running| running.told_to_end)
    }

    /// Kills the child and what it has started.
    pub(super) fn kill(&self) {
        ending::kill_groups(&[self.0]);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        children().running.remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_does_not_start_once_another_has_failed_and_what_cleans_up_does() {
        let _alone = super::super::tests::alone();
        let start = |purpose| {
            spawn(&mut Command::new("true"), purpose).map(|(mut child, registered)| {
                child.wait().unwrap();
                registered.over()
            })
        };
        end_steps();
        assert_eq!(start(Purpose::Step).unwrap_err().to_string(), "interrupted");
        assert!(!start(Purpose::Call).unwrap());
        assert!(!start(Purpose::CleanUp).unwrap());
        steps_may_start();
        assert!(!start(Purpose::Step).unwrap());
    }

    #[test]
    fn the_last_act_is_not_done_when_the_work_ends_in_time() {
        assert_eq!(with_last_act(&|| panic!("there was no signal"), || 7), 7);
    }

    #[test]
    fn a_signal_that_is_ignored_is_known() {
        // Rust's own start-up ignores SIGPIPE.
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(signal_hook::consts::SIGTERM));
    }
}
