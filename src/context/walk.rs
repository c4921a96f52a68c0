//! Walks a directory tree on all cores and collects what the ignore rules leave in.
//!
//! A job is one directory or a handful of its files, so that a folder of many new files is hashed by every thread.
//! The result does not depend on who does what: the caller sorts it by path.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::fs::{ContextFs, Kind, Listing};
use super::look::{Looker, Place};
use super::names::{escape, join, lossy};
use super::tree::Run;
use super::{ContextError, IgnoreRules};

/// Files of one directory that make one job.
const FILES_A_JOB: usize = 128;

/// Beyond this the kernel's directory cache is the limit, not the cores.
const MAX_THREADS: usize = 8;

/// One tree to walk.
pub(super) struct Walk<'a> {
    pub(super) context: &'a ContextFs,
    pub(super) looker: &'a Looker,
    /// `None`: nothing is left out, sockets included, and the top directory has an entry too.
    pub(super) rules: Option<&'a IgnoreRules>,
}

/// The names that one directory goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// Where it is, without links.
    pub(super) real: Vec<u8>,
    /// What ignore patterns are matched with.
    pub(super) named: Vec<u8>,
    /// What its files are listed under, escaped.
    pub(super) listed: String,
}

enum Job {
    Dir { names: Names, listed: bool },
    Files { names: Arc<Names>, listing: Arc<Listing>, fd: Option<Arc<OwnedFd>>, picked: Vec<usize> },
}

impl Walk<'_> {
    /// Everything below (and without rules: and at) the directory `top`: what each job found, sorted.
    pub(super) fn run(&self, top: Names) -> Result<Vec<Run>, ContextError> {
        let queue = Queue::new(Job::Dir { names: top, listed: self.rules.is_none() });
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let mut runs = Vec::new();
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.work(&queue))).collect();
            runs.extend(self.work(&queue));
            for other in others {
                runs.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
        queue.into_result().map(|()| runs)
    }

    fn work(&self, queue: &Queue) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut buffer = Vec::new();
        while let Some(job) = queue.next() {
            let found = match job {
                Job::Dir { names, listed } => self.directory(names, listed, queue),
                Job::Files { names, listing, fd, picked } => {
                    self.files(&names, &listing, fd.as_deref(), &picked, &mut buffer).map(Some)
                }
            };
            queue.done(found.map(|found| runs.extend(found)));
        }
        runs
    }

    /// The directory itself, where it is to be listed; what is in it become jobs.
    fn directory(&self, names: Names, listed: bool, queue: &Queue) -> Result<Option<Run>, ContextError> {
        let (listing, fd) = match self.context.list(&names.real) {
            Err(ContextError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.looker.note_change(&names.real);
                return Ok(None);
            }
            listing => listing?,
        };
        let itself = listed.then(|| {
            let shown = if names.listed.is_empty() { "." } else { &names.listed };
            Run::of(shown, self.looker.directory(&listing))
        });
        let names = Arc::new(names);
        let fd = fd.map(Arc::new);
        let mut picked: Vec<Vec<usize>> = Vec::new();
        let mut jobs = Vec::new();
        // Of two files with a directory between them the paths below it mostly stand between theirs as well.
        let mut divided = true;
        for (index, entry) in listing.entries.iter().enumerate() {
            let name = listing.name(entry);
            match (self.left_out(&names, name, entry.kind), entry.kind) {
                (LeftOut::Yes, _) => {}
                (left_out, Kind::Dir) => {
                    jobs.push(Job::Dir { names: names.child(name), listed: left_out == LeftOut::No });
                    divided = true;
                }
                (LeftOut::ButSearched, _) => {}
                // The engines pass over the sockets in a directory (buildah 1.28.2 silently, later ones with a warning).
                (LeftOut::No, Kind::Socket) if self.rules.is_some() => {}
                (LeftOut::No, _) => match picked.last_mut() {
                    Some(last) if !divided && last.len() < FILES_A_JOB => last.push(index),
                    _ => {
                        picked.push(vec![index]);
                        divided = false;
                    }
                },
            }
        }
        jobs.extend(picked.into_iter().map(|picked| Job::Files {
            names: Arc::clone(&names),
            listing: Arc::clone(&listing),
            fd: fd.clone(),
            picked,
        }));
        queue.extend(jobs);
        Ok(itself)
    }

    fn left_out(&self, names: &Names, name: &[u8], kind: Kind) -> LeftOut {
        let Some(rules) = self.rules.filter(|rules| !rules.is_empty()) else {
            return LeftOut::No;
        };
        let path = join(&names.named, name);
        let path = lossy(&path);
        if !rules.excluded(&path) {
            LeftOut::No
        } else if kind == Kind::Dir && rules.searched_anyway(&path) {
            LeftOut::ButSearched
        } else {
            LeftOut::Yes
        }
    }

    fn files(
        &self,
        names: &Names,
        listing: &Listing,
        fd: Option<&OwnedFd>,
        picked: &[usize],
        buffer: &mut Vec<u8>,
    ) -> Result<Run, ContextError> {
        let place = Place::new(&names.real, fd);
        let entries = || picked.iter().map(|&index| &listing.entries[index]);
        let bytes = entries().map(|entry| names.listed.len() + 1 + listing.name(entry).len()).sum();
        let mut found = Run::with_capacity(picked.len(), bytes);
        for entry in entries() {
            let name = listing.name(entry);
            if let Some(fact) = self.looker.look(self.context, &place, name, entry, buffer)? {
                found.push(&names.listed, &escape(name), fact);
            }
        }
        Ok(found)
    }
}

fn listed_below(dir: &str, name: &[u8]) -> String {
    let name = escape(name);
    if dir.is_empty() { name.into_owned() } else { format!("{dir}/{name}") }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    No,
    Yes,
    /// A directory that is left out but may hold something that is not.
    ButSearched,
}

impl Names {
    fn child(&self, name: &[u8]) -> Self {
        Self {
            real: join(&self.real, name),
            named: join(&self.named, name),
            listed: listed_below(&self.listed, name),
        }
    }
}

/// The jobs of one walk: last in, first out, which keeps few directories open.
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    jobs: Vec<Job>,
    /// Jobs being done, each of which may bring more.
    running: usize,
    failed: Option<ContextError>,
}

impl Queue {
    fn new(job: Job) -> Self {
        Self { state: Mutex::new(State { jobs: vec![job], running: 0, failed: None }), wake: Condvar::new() }
    }

    /// The next job; `None` when all are done or one has failed.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(job) = state.jobs.pop() {
                state.running += 1;
                return Some(job);
            }
            if state.running == 0 {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn extend(&self, jobs: Vec<Job>) {
        self.lock().jobs.extend(jobs);
        self.wake.notify_all();
    }

    fn done(&self, result: Result<(), ContextError>) {
        let mut state = self.lock();
        state.running -= 1;
        if let Err(error) = result {
            state.failed.get_or_insert(error);
        }
        if state.running == 0 || state.failed.is_some() {
            self.wake.notify_all();
        }
    }

    fn into_result(self) -> Result<(), ContextError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failed.map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
