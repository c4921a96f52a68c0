//! Runs foreign programs: one house for spawning, reading their output line by line, and ending them.
//!
//! Every child leads a process group of its own, so that Ctrl-C on the terminal reaches us first and we
//! decide what ends ([`mod@signals`], [`mod@ending`]). What a child prints goes through bounded buffers
//! ([`mod@output`]); what it means is the caller's business.

mod ending;
mod marked;
mod output;
mod signals;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub use self::marked::end_marked;
use self::output::{Lines, Next};
use self::signals::Registered;
pub use self::signals::{
    Purpose, end_steps, interrupted, interrupted_by, is_too_late, steps_may_start, watch_signals,
    with_last_act,
};

/// How many bytes of a child's stderr are kept for the error message.
const STDERR_TAIL: usize = 8 * 1024;
/// How many bytes a program may answer where nothing else is said.
const ANSWER: usize = 8 * 1024 * 1024;
/// How often who waits for a child looks whether it is still there.
const TICK: Duration = Duration::from_millis(50);
/// How long output is waited for that what a child has started may still print when it is gone itself.
const DRAINING: Duration = Duration::from_millis(500);

/// A program with its arguments and the variables it gets on top of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The program, a path or a name to be looked up in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables set for the child.
    pub env: Vec<(OsString, OsString)>,
    /// What it is for.
    pub purpose: Purpose,
    /// How long it may take, where that is limited.
    pub time: Option<Duration>,
    /// How many bytes its answer may have, where that is not the usual.
    pub answer: Option<usize>,
}

impl Invocation {
    /// A call of `program` without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), ..Self::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Limits the time that it may take.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time: Some(time), ..self }
    }

    /// Limits the bytes that it may answer.
    #[must_use]
    pub fn at_most(self, answer: usize) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// Makes it a call that cleans up, which a signal does not keep from running.
    #[must_use]
    pub fn cleaning_up(self) -> Self {
        Self { purpose: Purpose::CleanUp, ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(k, v)| (k, v)));
        command.process_group(0);
        command
    }

    /// The call as one line for messages, without values of variables.
    pub fn shown(&self) -> String {
        let mut shown = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            shown.push(' ');
            shown.push_str(&arg.to_string_lossy());
        }
        shown
    }
}

/// One line of a child's output, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputLine {
    /// From standard output.
    Stdout(Vec<u8>),
    /// From standard error.
    Stderr(Vec<u8>),
}

/// How a child ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output, where it was captured.
    pub stdout: Vec<u8>,
    /// The last bytes of standard error.
    pub stderr_tail: String,
    /// Whether we asked it to end: then a success says nothing, for what ran below it may have been cut short.
    pub ended_early: bool,
}

impl Ended {
    /// The exit code; 128 + the signal's number when a signal ended the child, as shells have it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }
}

/// Runs a program to its end and captures what it prints.
///
/// # Errors
/// When the program cannot be started, prints or takes more than it may, or a signal has come.
pub fn capture(invocation: &Invocation) -> io::Result<Ended> {
    let mut command = invocation.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, registered) = signals::spawn(&mut command, invocation.purpose)?;
    let until = invocation.time.map(|time| (Instant::now() + time, time));
    let limit = invocation.answer.unwrap_or(ANSWER);
    let (stdout, errors) = (Arc::default(), Arc::default());
    let (sender, over) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        let (answer, sender) = (Arc::clone(&stdout), sender.clone());
        thread::spawn(move || sender.send(keep_first(pipe, &answer, limit)));
    }
    if let Some(pipe) = child.stderr.take() {
        let errors = Arc::clone(&errors);
        thread::spawn(move || sender.send(keep_last(pipe, &errors)));
    }
    let mut gone: Option<Instant> = None;
    loop {
        match over.recv_timeout(TICK) {
            Ok(true) => {}
            Ok(false) => {
                kill(&mut child, &registered)?;
                return Err(io::Error::other(format!("it printed more than {limit} bytes")));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if gone.is_none() && child.try_wait()?.is_some() {
            gone = Some(Instant::now());
        }
        if gone.is_some_and(|gone| gone.elapsed() > DRAINING) {
            break;
        }
        in_time(until, &mut child, &registered)?;
    }
    while until.is_some() && child.try_wait()?.is_none() {
        in_time(until, &mut child, &registered)?;
        thread::sleep(Duration::from_millis(5));
    }
    let status = child.wait()?;
    let ended_early = registered.over();
    Ok(Ended { status, stdout: taken(&stdout), stderr_tail: tail(&taken(&errors)), ended_early })
}

fn in_time(until: Option<(Instant, Duration)>, child: &mut Child, registered: &Registered) -> io::Result<()> {
    let Some((_, time)) = until.filter(|(until, _)| Instant::now() >= *until) else { return Ok(()) };
    kill(child, registered)?;
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {} s", time.as_secs_f32())))
}

fn kill(child: &mut Child, registered: &Registered) -> io::Result<()> {
    registered.kill();
    child.wait().map(drop)
}

fn taken(bytes: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut bytes.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Keeps all that comes, up to a limit; whether it was within that.
fn keep_first(pipe: impl Read, kept: &Mutex<Vec<u8>>, limit: usize) -> bool {
    each_chunk(pipe, &mut |chunk| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(chunk);
        kept.len() <= limit
    })
}

/// Keeps the end of what comes.
fn keep_last(pipe: impl Read, kept: &Mutex<Vec<u8>>) -> bool {
    each_chunk(pipe, &mut |chunk| {
        add_to_tail(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), chunk);
        true
    })
}

/// Reads to the end, or until `each` says no; whether it was the end.
fn each_chunk(mut pipe: impl Read, each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut chunk = [0; 8 * 1024];
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return true,
            Ok(read) if !each(&chunk[..read]) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
}

/// Runs a program to its end and hands each line of its output to `each`, in the order of arrival; lines that are very long
/// in pieces.
///
/// # Errors
/// When the program cannot be started, or it is too late for it.
pub fn stream(invocation: &Invocation, stdin: Stdio, each: &mut dyn FnMut(OutputLine)) -> io::Result<Ended> {
    let mut command = invocation.command();
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, registered) = signals::spawn(&mut command, Purpose::Step)?;
    let lines = Arc::new(Lines::new(2));
    if let Some(pipe) = child.stdout.take() {
        let lines = Arc::clone(&lines);
        thread::spawn(move || lines.fill(pipe, OutputLine::Stdout));
    }
    if let Some(pipe) = child.stderr.take() {
        let lines = Arc::clone(&lines);
        thread::spawn(move || lines.fill(pipe, OutputLine::Stderr));
    }
    let mut kept: Vec<u8> = Vec::new();
    let mut silent_since: Option<Instant> = None;
    loop {
        match lines.next(TICK) {
            Next::Line(line) => {
                if let OutputLine::Stderr(bytes) = &line {
                    add_to_tail(&mut kept, bytes);
                    kept.push(b'\n');
                }
                silent_since = None;
                each(line);
            }
            Next::Nothing if silent_since.is_some_and(|since| since.elapsed() > DRAINING) => break,
            Next::Nothing if silent_since.is_none() && child.try_wait()?.is_some() => {
                silent_since = Some(Instant::now());
            }
            Next::Nothing => {}
            Next::End => break,
        }
    }
    // What still has the pipe open is none of the child's calls any more.
    lines.close();
    let status = child.wait()?;
    let ended_early = registered.over();
    Ok(Ended { status, stdout: Vec::new(), stderr_tail: tail(&kept), ended_early })
}

fn add_to_tail(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(&bytes[bytes.len().saturating_sub(STDERR_TAIL)..]);
    if kept.len() > 4 * STDERR_TAIL {
        kept.drain(..kept.len() - STDERR_TAIL);
    }
}

fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(STDERR_TAIL);
    String::from_utf8_lossy(&bytes[start..]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is true of all children of the process is changed by one test at a time.
    pub(super) fn alone() -> std::sync::RwLockWriteGuard<'static, ()> {
        ALONE.write().unwrap_or_else(PoisonError::into_inner)
    }

    static ALONE: std::sync::RwLock<()> = std::sync::RwLock::new(());

    fn shell(script: &str) -> Invocation {
        Invocation::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn captured_output_comes_with_the_exit_code() {
        let ended = capture(&shell("echo out; echo err >&2; exit 7")).unwrap();
        assert_eq!((ended.code(), ended.stdout.as_slice()), (7, b"out\n".as_slice()));
        assert_eq!(ended.stderr_tail, "err");
    }

    #[test]
    fn a_signal_counts_as_128_and_its_number() {
        assert_eq!(capture(&shell("kill -9 $$")).unwrap().code(), 137);
    }

    #[test]
    fn streamed_lines_arrive_without_their_newlines() {
        let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        let ended = stream(&shell("printf 'a\\r\\nb'"), Stdio::null(), &mut |line| lines.push(line)).unwrap();
        assert_eq!(ended.code(), 0);
        assert_eq!(lines, [OutputLine::Stdout(b"a".to_vec()), OutputLine::Stdout(b"b".to_vec())]);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(capture(&Invocation::new("/nonexistent/program")).is_err());
    }

    #[test]
    fn an_answer_that_is_too_long_or_comes_too_late_is_an_error_and_the_program_is_ended() {
        let endless = shell("yes").at_most(100_000);
        assert_eq!(capture(&endless).unwrap_err().to_string(), "it printed more than 100000 bytes");
        let since = Instant::now();
        for script in ["sleep 30", "exec >/dev/null 2>&1; sleep 30", "trap '' TERM; sleep 30 & wait"] {
            let late = shell(script).within(Duration::from_millis(200));
            assert_eq!(capture(&late).unwrap_err().to_string(), "it did not end within 0.2 s", "{script}");
        }
        assert!(since.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_a_program_leaves_running_with_its_output_open_is_not_waited_for() {
        let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
        let (script, since) = (shell("sleep 20 & echo said"), Instant::now());
        assert_eq!(capture(&script).unwrap().stdout, b"said\n");
        let mut lines = Vec::new();
        stream(&script, Stdio::null(), &mut |line| lines.push(line)).unwrap();
        assert_eq!(lines, [OutputLine::Stdout(b"said".to_vec())]);
        assert!(since.elapsed() < Duration::from_secs(15));
    }
}
