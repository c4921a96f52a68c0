//! What a child prints, on its way to whoever takes it: in lines, through bounded buffers.
//!
//! A child that prints faster than its lines are taken waits, as it would on a terminal. Once a signal has come nothing is
//! waited for: what finds no room is dropped, so that the child can come to its end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::OutputLine;
use super::signals::interrupted;

/// The longest line that is handed on whole; longer ones come in pieces of this size.
const PIECE: usize = 16 * 1024;
/// How many bytes are read at a time.
const CHUNK: usize = 64 * 1024;
/// How many bytes of lines wait to be taken.
const QUEUED: usize = 256 * 1024;
/// How often who waits for room looks whether a signal has come.
const TICK: Duration = Duration::from_millis(50);

/// Lines that a child has printed and nobody has taken yet.
pub(super) struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: VecDeque<OutputLine>,
    bytes: usize,
    /// How many streams of the child are open.
    open: usize,
    /// Nobody takes lines any more.
    closed: bool,
}

/// What comes next.
pub(super) enum Next {
    Line(OutputLine),
    /// Nothing came in the time that was given.
    Nothing,
    /// Nothing will come.
    End,
}

impl Lines {
    /// Lines of so many streams.
    pub(super) fn new(open: usize) -> Self {
        let state = State { lines: VecDeque::new(), bytes: 0, open, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a stream to its end.
    pub(super) fn fill(&self, stream: impl Read, wrap: fn(Vec<u8>) -> OutputLine) {
        each_piece(stream, &mut |line| self.put(wrap(line)));
        self.locked().open -= 1;
        self.changed.notify_all();
    }

    /// Waits for room; whether lines are taken at all.
    fn put(&self, line: OutputLine) -> bool {
        let mut state = self.locked();
        while state.bytes >= QUEUED && !state.closed {
            if interrupted() {
                return true;
            }
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.bytes += size(&line);
        state.lines.push_back(line);
        self.changed.notify_all();
        !state.closed
    }

    /// Takes the next line, and waits so long for it.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let mut state = self.locked();
        if state.lines.is_empty() && state.open > 0 {
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        match state.lines.pop_front() {
            Some(line) => {
                state.bytes -= size(&line);
                self.changed.notify_all();
                Next::Line(line)
            }
            None if state.open == 0 => Next::End,
            None => Next::Nothing,
        }
    }

    /// No more lines are taken.
    pub(super) fn close(&self) {
        self.locked().closed = true;
        self.changed.notify_all();
    }
}

/// What a line takes; empty ones too.
fn size(line: &OutputLine) -> usize {
    let (OutputLine::Stdout(bytes) | OutputLine::Stderr(bytes)) = line;
    bytes.len() + size_of::<OutputLine>()
}

/// Hands each line to `each`, without its end, until that says no; one that is too long in pieces.
fn each_piece(stream: impl Read, each: &mut dyn FnMut(Vec<u8>) -> bool) {
    let mut reader = BufReader::with_capacity(CHUNK, stream);
    let mut line: Vec<u8> = Vec::new();
    // Whether a piece of this line is out.
    let mut cut = false;
    loop {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let room = chunk.len().min(PIECE - line.len());
        let end = chunk[..room].iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(room, |at| at + 1);
        line.extend_from_slice(&chunk[..taken]);
        reader.consume(taken);
        let going = if end.is_some() {
            let whole = without_end(std::mem::take(&mut line));
            let nothing_left = std::mem::take(&mut cut) && whole.is_empty();
            nothing_left || each(whole)
        } else if line.len() == PIECE {
            let rest = line.split_off(end_of_characters(&line));
            cut = true;
            each(std::mem::replace(&mut line, rest))
        } else {
            true
        };
        if !going {
            return;
        }
    }
    if !line.is_empty() {
        each(without_end(line));
    }
}

fn without_end(mut line: Vec<u8>) -> Vec<u8> {
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    line
}

/// Where the last whole character of UTF-8 ends.
fn end_of_characters(bytes: &[u8]) -> usize {
    let begins = bytes.iter().rev().take(4).position(|byte| byte & 0b1100_0000 != 0b1000_0000);
    match begins.map(|back| bytes.len() - 1 - back) {
        Some(start) if std::str::from_utf8(&bytes[start..]).is_err() && start > 0 => start,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        each_piece(text, &mut |piece| {
            pieces.push(piece);
            true
        });
        pieces
    }

    #[test]
    fn lines_come_whole_and_those_that_are_too_long_in_pieces() {
        assert_eq!(pieces(b"a\r\n\nb"), [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        let long = vec![b'x'; 2 * PIECE];
        let told = pieces(&[&long[..], b"\ny\n"].concat());
        assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [PIECE, PIECE, 1]);
        let told = pieces(&[&vec![b'x'; PIECE - 1][..], "ä\n".as_bytes()].concat());
        assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [PIECE - 1, 2], "no character is cut");
        let no_text = vec![0xff; PIECE + 1];
        assert_eq!(pieces(&no_text).concat(), no_text);
    }

    #[test]
    fn who_prints_faster_than_lines_are_taken_waits() {
        let lines = Lines::new(1);
        let text = vec![b'x'; 4 * QUEUED];
        std::thread::scope(|scope| {
            scope.spawn(|| lines.fill(&text[..], OutputLine::Stdout));
            let mut taken = 0;
            loop {
                std::thread::sleep(Duration::from_millis(2));
                let state = lines.locked();
                assert!(state.bytes <= QUEUED + 2 * PIECE);
                drop(state);
                match lines.next(TICK) {
                    Next::Line(OutputLine::Stdout(line)) => taken += line.len(),
                    Next::End => break,
                    _ => {}
                }
            }
            assert_eq!(taken, text.len());
        });
    }
}
