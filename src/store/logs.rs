//! What steps printed: a file for each that ran, bounded, which goes with the build's record.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};

use super::Store;
use crate::atomic;

/// So much is kept of the beginning of what a step prints, and as much of the end.
const HALF: usize = 2 << 20;

/// The file of a step that runs.
#[derive(Debug)]
pub struct StepLog {
    /// Nothing where it cannot be written: what a step prints is told anyway.
    file: Option<File>,
    /// Where it is, below the state folder of the storage.
    path: String,
    written: usize,
    end: VecDeque<u8>,
    /// How much came between the beginning and what is held of the end.
    cut: usize,
}

impl StepLog {
    /// Where it is, below the state folder of the storage; nothing where it cannot be written.
    pub fn path(&self) -> Option<&str> {
        self.file.is_some().then_some(self.path.as_str())
    }

    /// Adds a line.
    pub fn line(&mut self, line: &[u8]) {
        self.write(&[line, b"\n"].concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HALF - self.written));
        self.put(first);
        self.written += first.len();
        self.end.extend(rest);
        let surplus = self.end.len().saturating_sub(HALF);
        self.end.drain(..surplus);
        self.cut += surplus;
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.file.as_mut().is_some_and(|file| file.write_all(bytes).is_err()) {
            self.file = None;
        }
    }
}

impl Drop for StepLog {
    fn drop(&mut self) {
        if self.cut > 0 {
            let note = format!("\n[podman-stagecache: {} bytes are left out here]\n", self.cut);
            self.put(note.as_bytes());
        }
        let end = std::mem::take(&mut self.end);
        let (first, second) = end.as_slices();
        self.put(first);
        self.put(second);
    }
}

/// Where those of a build lie, below the state folder of the storage.
fn folder_of(build_id: &str) -> String {
    format!("logs/{build_id}")
}

impl Store {
    /// Begins the file of a step that starts; one of the same step, which ran before in this build, is replaced.
    pub fn start_log(&self, build_id: &str, (stage, step): (usize, usize)) -> StepLog {
        let path = format!("{}/{stage}-{step}", folder_of(build_id));
        let make = || -> io::Result<File> {
            let whole = self.root.join(&path);
            atomic::keep(&whole, b"", atomic::Durability::Passing)?;
            File::options().append(true).open(whole)
        };
        StepLog { file: make().ok(), path, written: 0, end: VecDeque::new(), cut: 0 }
    }

    /// Removes what the steps of a build printed.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub(super) fn forget_logs(&self, build_id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.root.join(folder_of(build_id))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn of_what_a_step_prints_the_beginning_and_the_end_are_kept_and_what_is_cut_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs");
        let read = |log: StepLog| {
            let path = store.root().join(log.path().unwrap());
            drop(log);
            fs::read(path).unwrap()
        };
        let mut log = store.start_log("b", (0, 1));
        log.line(b"one");
        log.line(b"two");
        assert_eq!(read(log), b"one\ntwo\n");
        let mut log = store.start_log("b", (0, 1));
        let line = [b'x'; 999];
        (0..3 * HALF / 1000).for_each(|_| log.line(&line));
        log.line(b"last");
        let bytes = read(log);
        assert!(bytes.len() < 2 * HALF + 100, "{}", bytes.len());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("xxx") && text.ends_with("x\nlast\n"));
        assert!(text.contains("bytes are left out here]\n"));
        store.forget_logs("b").unwrap();
        store.forget_logs("b").unwrap();
        assert!(!store.root().join("logs/b").exists());
    }
}
