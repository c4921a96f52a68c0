//! One look at one file: a stat, and only for a file that the index does not know the reading of it.
//!
//! What is found stays with the directory entry, so a file is looked at once however many instructions copy it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::fs::{ContextFs, Entry, Kind, Listing};
use super::index::{FileIndex, now_ns};
use super::names::{escape, join};
use super::record::{Identity, PathHash, Remembered};
use super::{ContextError, Digest, FileFact};

const BUFFER: usize = 128 * 1024;

/// Finds out facts, with what it has met on the way.
#[derive(Debug)]
pub(super) struct Looker {
    index: Option<FileIndex>,
    ignore_file_mode: bool,
    changed: Mutex<Vec<String>>,
    files_read: AtomicUsize,
}

/// A directory by its real path and, when it is open anyway, by its descriptor.
pub(super) struct Place<'a> {
    path: &'a [u8],
    fd: Option<&'a OwnedFd>,
    /// The hash of a file's path is this and its name.
    hash: Option<PathHash>,
    /// Where the index has the file that was looked at last.
    last: Cell<usize>,
}

impl<'a> Place<'a> {
    pub(super) fn new(path: &'a [u8], fd: Option<&'a OwnedFd>) -> Self {
        let hash = (!path.is_empty()).then(|| PathHash::of(path));
        Self { path, fd, hash, last: Cell::new(usize::MAX) }
    }

    fn hash(&self, name: &[u8]) -> PathHash {
        self.hash.map_or_else(|| PathHash::of(name), |dir| dir.child(name))
    }
}

impl Looker {
    pub(super) fn new(index: Option<FileIndex>, ignore_file_mode: bool) -> Self {
        Self { index, ignore_file_mode, changed: Mutex::default(), files_read: AtomicUsize::new(0) }
    }

    /// One that has met nothing yet.
    pub(super) fn again(&self) -> Self {
        Self::new(self.index.as_ref().map(FileIndex::again), self.ignore_file_mode)
    }

    pub(super) fn index(&self) -> Option<&FileIndex> {
        self.index.as_ref()
    }

    /// Files that changed or vanished while they were read, sorted.
    pub(super) fn changed(&self) -> Vec<String> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    pub(super) fn files_read(&self) -> usize {
        self.files_read.load(Ordering::Relaxed)
    }

    /// The permission bits as they enter a key.
    pub(super) fn mode(&self, mode: u32, is_dir: bool) -> u32 {
        match (self.ignore_file_mode, is_dir || mode & 0o100 != 0) {
            (false, _) => mode & 0o7777,
            (true, true) => 0o755,
            (true, false) => 0o644,
        }
    }

    /// The fact of a directory that was read.
    pub(super) fn directory(&self, listing: &Listing) -> FileFact {
        FileFact::Dir { mode: self.mode(listing.mode, true), xattrs: listing.xattrs.clone() }
    }

    /// The fact of one entry that is no directory; `None` when it vanished meanwhile.
    pub(super) fn look(
        &self,
        context: &ContextFs,
        place: &Place<'_>,
        name: &[u8],
        entry: &Entry,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<FileFact>, ContextError> {
        if let Some(fact) = entry.fact.get() {
            return Ok(fact.clone());
        }
        let path = || join(place.path, name);
        let fact = match self.find_out(context, place, name, entry.kind, buffer) {
            Ok((fact, true)) => {
                self.note_change(&path());
                Some(fact)
            }
            Ok((fact, false)) => Some(fact),
            Err(Errno::NOENT | Errno::LOOP | Errno::STALE) => {
                self.note_change(&path());
                None
            }
            Err(errno) => return Err(context.failed("reading", &path(), errno)),
        };
        Ok(entry.fact.get_or_init(|| fact).clone())
    }

    /// The fact, and whether it changed meanwhile.
    fn find_out(
        &self,
        context: &ContextFs,
        place: &Place<'_>,
        name: &[u8],
        kind: Kind,
        buffer: &mut Vec<u8>,
    ) -> rustix::io::Result<(FileFact, bool)> {
        let hash = place.hash(name);
        let whole;
        let (dir, name) = match place.fd {
            Some(fd) => (fd, name),
            None => {
                whole = join(place.path, name);
                (context.fd(), &*whole)
            }
        };
        if kind == Kind::Symlink {
            let target = rustix::fs::readlinkat(dir, name, Vec::new()).map_err(|errno| match errno {
                Errno::INVAL => Errno::NOENT, // another thing stands there by now
                errno => errno,
            })?;
            let target = escape(target.as_bytes()).into_owned();
            return Ok((FileFact::Symlink { target }, false));
        }
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = self.mode(stat.st_mode, false);
        let fact = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let known = self.index.as_ref();
                let known = known.and_then(|index| index.get(hash, &Identity::of(&stat), &place.last));
                return self.regular_file(dir, name, hash, &stat, known, buffer);
            }
            FileType::Fifo => FileFact::Fifo { mode },
            FileType::Socket => FileFact::Socket { mode },
            kind @ (FileType::BlockDevice | FileType::CharacterDevice) => FileFact::Device {
                mode,
                block: kind == FileType::BlockDevice,
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            },
            // It has become a directory or a link since the directory was read.
            _ => return Err(Errno::NOENT),
        };
        Ok((fact, false))
    }

    fn regular_file(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        hash: PathHash,
        stat: &Stat,
        known: Option<Remembered>,
        buffer: &mut Vec<u8>,
    ) -> rustix::io::Result<(FileFact, bool)> {
        let mode = self.mode(stat.st_mode, false);
        let unread = |digest, xattrs| {
            let fact = FileFact::File { mode, digest, xattrs };
            Ok((fact, false))
        };
        if let Some(known) = known
            && !known.has_xattrs
        {
            return unread(known.digest, BTreeMap::new());
        }
        // Nothing blocks here: a pipe that takes the file's place is not waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        match known {
            Some(known) => unread(known.digest, xattrs(&file)?),
            None => self.read(file, hash, buffer),
        }
    }

    /// Reads a file and remembers its digest, unless it changed under the reading.
    fn read(
        &self,
        file: OwnedFd,
        hash: PathHash,
        buffer: &mut Vec<u8>,
    ) -> rustix::io::Result<(FileFact, bool)> {
        self.files_read.fetch_add(1, Ordering::Relaxed);
        let began_ns = now_ns();
        let before = rustix::fs::fstat(&file)?;
        let mut file = File::from(file);
        let digest = digest(&mut file, buffer)?;
        let xattrs = xattrs(&file)?;
        let identity = Identity::of(&before);
        let changed = Identity::of(&rustix::fs::fstat(&file)?) != identity;
        if let Some(index) = &self.index
            && !changed
        {
            let has_xattrs = !xattrs.is_empty();
            index.record(hash, identity, Remembered { digest, has_xattrs }, began_ns);
        }
        let fact = FileFact::File { mode: self.mode(before.st_mode, false), digest, xattrs };
        Ok((fact, changed))
    }

    pub(super) fn note_change(&self, path: &[u8]) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(escape(path).into_owned());
    }
}

fn digest(file: &mut File, buffer: &mut Vec<u8>) -> rustix::io::Result<Digest> {
    buffer.resize(BUFFER, 0);
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        };
    }
}

/// The extended attributes that the engines copy (`user.*`, `security.capability`, `security.ima`; buildah 1.28.2
/// drops `trusted.*`), with digests of their values.
pub(super) fn xattrs(file: impl AsFd) -> rustix::io::Result<BTreeMap<String, Digest>> {
    let mut names = vec![0; 1024];
    let length = loop {
        match rustix::fs::flistxattr(&file, names.as_mut_slice()) {
            Ok(length) => break length,
            Err(Errno::RANGE) => names.resize(names.len() * 8, 0),
            Err(Errno::NOTSUP | Errno::NOSYS) => break 0,
            Err(errno) => return Err(errno),
        }
    };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|&byte| byte == 0) {
        if name.starts_with(b"user.") || name == b"security.capability" || name == b"security.ima" {
            found.extend(xattr(&file, name)?.map(|value| (escape(name).into_owned(), value)));
        }
    }
    Ok(found)
}

fn xattr(file: impl AsFd, name: &[u8]) -> rustix::io::Result<Option<Digest>> {
    let mut value = vec![0; 1024];
    loop {
        match rustix::fs::fgetxattr(&file, name, value.as_mut_slice()) {
            Ok(length) => return Ok(Some(Digest::of(&value[..length]))),
            Err(Errno::RANGE) => value.resize(value.len() * 8, 0),
            Err(Errno::NODATA) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}
