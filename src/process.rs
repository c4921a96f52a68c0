//! Runs foreign programs: one house for spawning, reading their output line by line, and ending them.
//!
//! Every child leads a process group of its own, so that Ctrl-C on the terminal reaches us first and we
//! decide what ends ([`mod@ending`]). What the output means is the caller's business.

mod ending;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread;

/// How many bytes of a child's stderr are kept for the error message.
const STDERR_TAIL: usize = 8 * 1024;

/// A program with its arguments and the variables it gets on top of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The program, a path or a name to be looked up in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables set for the child.
    pub env: Vec<(OsString, OsString)>,
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

static INTERRUPTED: AtomicI32 = AtomicI32::new(0);
static RUNNING: Mutex<BTreeMap<i32, bool>> = Mutex::new(BTreeMap::new());

/// Whether the user has asked us to stop (SIGINT, SIGTERM, SIGHUP).
pub fn interrupted() -> bool {
    interrupted_by().is_some()
}

/// The number of the signal that asked us to stop.
pub fn interrupted_by() -> Option<i32> {
    Some(INTERRUPTED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Listens for SIGINT, SIGTERM and SIGHUP: the first ends all running children, later ones kill them.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn watch_signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let before = INTERRUPTED.swap(signal, Ordering::Relaxed);
            if before == 0 { end_children() } else { ending::kill_groups(&told_to_end()) }
        }
    })?;
    Ok(())
}

/// Ends every child that is running now, and does not wait for it: their callers do.
pub fn end_children() {
    let leaders = told_to_end();
    if leaders.is_empty() {
        return;
    }
    let ending = move || ending::end(&leaders, &|leader| running().contains_key(&leader));
    // Without a thread there is no time to wait: at once is better than never.
    if thread::Builder::new().name("ending".into()).spawn(ending).is_err() {
        ending::kill_groups(&told_to_end());
    }
}

/// The children that are running, each marked as told to end.
fn told_to_end() -> Vec<i32> {
    let mut running = running();
    running.values_mut().for_each(|told| *told = true);
    running.keys().copied().collect()
}

/// The running children, and whether they were told to end.
fn running() -> std::sync::MutexGuard<'static, BTreeMap<i32, bool>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Keeps a child in the list of those that a signal ends.
struct Registered(i32);

impl Registered {
    fn new(child: &Child) -> Self {
        let pid = child.id().cast_signed();
        running().insert(pid, false);
        Self(pid)
    }

    /// The child is gone; whether it was told to.
    fn over(self) -> bool {
        running().remove(&self.0).unwrap_or(false)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        running().remove(&self.0);
    }
}

/// Runs a program to its end and captures what it prints.
///
/// # Errors
/// When the program cannot be started or its output cannot be read.
pub fn capture(invocation: &Invocation) -> std::io::Result<Ended> {
    let mut command = invocation.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let registered = Registered::new(&child);
    let mut stderr = child.stderr.take();
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = stderr.as_mut() {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    });
    let mut stdout = Vec::new();
    if let Some(pipe) = child.stdout.as_mut() {
        pipe.read_to_end(&mut stdout)?;
    }
    let status = child.wait()?;
    let ended_early = registered.over();
    let stderr = errors.join().unwrap_or_default();
    Ok(Ended { status, stdout, stderr_tail: tail(&stderr), ended_early })
}

/// Runs a program to its end and hands each line of its output to `each`, in the order of arrival.
///
/// # Errors
/// When the program cannot be started.
pub fn stream(
    invocation: &Invocation,
    stdin: Stdio,
    each: &mut dyn FnMut(OutputLine),
) -> std::io::Result<Ended> {
    let mut command = invocation.command();
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let registered = Registered::new(&child);
    let (sender, lines) = mpsc::channel();
    let out = child.stdout.take().map(|pipe| forward(pipe, OutputLine::Stdout, sender.clone()));
    let err = child.stderr.take().map(|pipe| forward(pipe, OutputLine::Stderr, sender));
    let mut kept: Vec<u8> = Vec::new();
    for line in lines {
        if let OutputLine::Stderr(bytes) = &line {
            kept.extend_from_slice(bytes);
            kept.push(b'\n');
            if kept.len() > 4 * STDERR_TAIL {
                kept.drain(..kept.len() - STDERR_TAIL);
            }
        }
        each(line);
    }
    for reader in [out, err].into_iter().flatten() {
        let _ = reader.join();
    }
    let status = child.wait()?;
    let ended_early = registered.over();
    Ok(Ended { status, stdout: Vec::new(), stderr_tail: tail(&kept), ended_early })
}

fn forward(
    pipe: impl Read + Send + 'static,
    wrap: fn(Vec<u8>) -> OutputLine,
    sender: mpsc::Sender<OutputLine>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            while matches!(line.last(), Some(b'\n' | b'\r')) {
                line.pop();
            }
            if sender.send(wrap(std::mem::take(&mut line))).is_err() {
                return;
            }
        }
    })
}

fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(STDERR_TAIL);
    String::from_utf8_lossy(&bytes[start..]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut lines = Vec::new();
        let ended = stream(&shell("printf 'a\\r\\nb'"), Stdio::null(), &mut |line| lines.push(line)).unwrap();
        assert_eq!(ended.code(), 0);
        assert_eq!(lines, [OutputLine::Stdout(b"a".to_vec()), OutputLine::Stdout(b"b".to_vec())]);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(capture(&Invocation::new("/nonexistent/program")).is_err());
    }
}
