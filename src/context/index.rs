//! The file index: digests of files whose stat is what it was, so that an unchanged file is not read again.
//!
//! One binary file for each context: 16 bytes of header, a record of 88 bytes for each file, a BLAKE3 checksum. It may be deleted at any time; what is corrupt, too long or of another version counts as empty.
//!
//! A record is used only when device, inode, size, mtime, ctime and mode of the file at that path are all what they
//! were. ctime cannot be set from user space, so new content with the old size and the old mtime is seen, and so is
//! a changed extended attribute. What ctime cannot tell is a change in the same instant of a coarse clock, after
//! the file was read. So, as in git, a file is recorded only when its ctime was [`MARGIN_NS`] old before the reading
//! began: any later change then gets another ctime. (Open at that: stores through a writable shared mapping whose
//! page the kernel has not yet written back, and a file server whose clock runs behind ours by more than the margin
//! and that changes a file twice within one of its clock ticks.)
//!
//! Builds may run at the same time: each reads the file once and replaces it as a whole, the last one wins, and
//! every record proves itself against the file that it speaks of.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::hash::BuildHasherDefault;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Digest;
use crate::atomic::{self, Durability};
use crate::sealed;

use super::record::{Identity, PathHash, PathMap, RECORD, Record, Remembered};

/// Raise the last digit when the layout changes; other files are then taken for empty.
const MAGIC: &[u8; 8] = b"scindex1";
const HEADER: usize = 16;
const CHECKSUM: usize = 32;

/// Bounds the file to 44 MB and what it costs to read it.
const MAX_RECORDS: usize = 500_000;

/// So many times the index is written without a file being seen before its record goes.
const MAX_AGE: u8 = 8;

/// Timestamps are as coarse as two seconds (FAT) and come from a clock that ticks every few milliseconds.
const MARGIN_NS: i64 = 3_000_000_000;

/// The digests that earlier builds found in one context.
#[derive(Debug)]
pub struct FileIndex {
    file: PathBuf,
    known: Loaded,
    fresh: Mutex<Vec<Record>>,
    margin_ns: i64,
}

/// The records of an index file, which a thread reads while the caller does something else.
#[derive(Debug)]
struct Loaded {
    reading: Mutex<Option<JoinHandle<Known>>>,
    known: OnceLock<Known>,
}

impl Loaded {
    fn start(file: PathBuf) -> Self {
        let read = move || match read(&file) {
            Ok(known) => known,
            Err(Unusable::Later) => Known { is_later: true, ..Known::default() },
            Err(Unusable::Unreadable(why)) => Known { unreadable: Mutex::new(Some(why)), ..Known::default() },
        };
        let reading = thread::Builder::new().spawn(read).ok();
        Self { reading: Mutex::new(reading), known: OnceLock::new() }
    }

    fn get(&self) -> &Known {
        self.known.get_or_init(|| {
            let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take();
            reading.and_then(|reading| reading.join().ok()).unwrap_or_default()
        })
    }
}

/// The records as they lie in the file: in the order of a walk, so that neighbours are met together.
#[derive(Debug, Default)]
struct Known {
    bytes: Vec<u8>,
    places: PathMap<u32>,
    /// Whether this build has met the file of a record.
    seen: Vec<AtomicBool>,
    /// Whether a later version of this program has written the file.
    is_later: bool,
    /// Why there is nothing though there is a file.
    unreadable: Mutex<Option<String>>,
}

enum Unusable {
    Later,
    Unreadable(String),
}

impl FileIndex {
    /// Opens the index of the context at `context_root` in the folder `dir`, which is read meanwhile; what cannot be read is
    /// empty.
    pub fn open(dir: &Path, context_root: &Path) -> Self {
        let root = fs::canonicalize(context_root).unwrap_or_else(|_| context_root.to_owned());
        let name = Digest::of(root.as_os_str().as_bytes()).to_hex();
        let file = dir.join(format!("{}.index", &name[..32]));
        let known = Loaded::start(file.clone());
        Self { file, known, fresh: Mutex::default(), margin_ns: MARGIN_NS }
    }

    /// The index as it is on the disk by now.
    pub fn again(&self) -> Self {
        let known = Loaded::start(self.file.clone());
        Self { file: self.file.clone(), known, fresh: Mutex::default(), margin_ns: self.margin_ns }
    }

    /// How many files are remembered.
    pub fn len(&self) -> usize {
        self.known.get().seen.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.get().seen.is_empty()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Whether a later version of this program has written the file.
    pub fn is_later(&self) -> bool {
        self.known.get().is_later
    }

    /// Why the file that was there cannot be read; once.
    pub fn unreadable(&self) -> Option<String> {
        self.known.get().unreadable.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Writes what was learned since [`FileIndex::open`]; says whether there was anything to write. What a later version
    /// has written stays.
    pub fn save(&self) -> io::Result<bool> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_empty() || self.is_later() {
            return Ok(false);
        }
        let replaced: HashSet<PathHash> = fresh.iter().map(|record| record.path).collect();
        let known = self.known.get();
        let known = known.seen.iter().enumerate().map(|(place, seen)| {
            let record = known.record(place);
            match seen.load(Ordering::Relaxed) {
                true => Record { age: 0, ..record },
                false => Record { age: record.age.saturating_add(1), ..record },
            }
        });
        let mut records: Vec<Record> = known
            .filter(|record| record.age <= MAX_AGE && !replaced.contains(&record.path))
            .chain(fresh.iter().copied())
            .collect();
        drop(fresh);
        if records.len() > MAX_RECORDS {
            records.sort_by_key(|record| record.age);
            records.truncate(MAX_RECORDS);
        }
        write(&self.file, &records)?;
        Ok(true)
    }

    /// What is known of the file at `path` if it is still the same file. `last` is where the file before it was found:
    /// neighbours in a directory mostly are neighbours here.
    pub(super) fn get(&self, path: PathHash, identity: &Identity, last: &Cell<usize>) -> Option<Remembered> {
        let known = self.known.get();
        let place = known.place(path, last.get())?;
        last.set(place);
        let record = known.record(place);
        (record.identity == *identity).then(|| {
            known.seen[place].store(true, Ordering::Relaxed);
            record.remembered
        })
    }

    /// Remembers what was read from `read_began_ns` on, unless a change in that instant could go unseen.
    pub(super) fn record(
        &self,
        path: PathHash,
        identity: Identity,
        remembered: Remembered,
        read_began_ns: i64,
    ) {
        if identity.ctime_ns > read_began_ns.saturating_sub(self.margin_ns) {
            return;
        }
        let record = Record { path, identity, remembered, age: 0 };
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// The same index that trusts files however young they are: for tests that cannot wait.
    #[cfg(test)]
    pub(super) fn without_margin(mut self) -> Self {
        self.margin_ns = i64::MIN / 2;
        self
    }
}

/// The clock that file timestamps are compared with.
pub(super) fn now_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

impl Known {
    fn place(&self, path: PathHash, last: usize) -> Option<usize> {
        /// Two threads may have written their records in turn.
        const NEAR: usize = 4;
        let near = last.saturating_add(1)..last.saturating_add(1 + NEAR).min(self.seen.len());
        near.into_iter()
            .find(|&place| Record::path_of(&self.bytes[HEADER + place * RECORD..]) == path)
            .or_else(|| self.places.get(&path).map(|&place| place as usize))
    }

    fn record(&self, place: usize) -> Record {
        Record::decode(&self.bytes[HEADER + place * RECORD..][..RECORD])
    }
}

/// What there is of an index; an error says why it cannot be used.
fn read(file: &Path) -> Result<Known, Unusable> {
    let longest = (HEADER + MAX_RECORDS * RECORD + CHECKSUM) as u64;
    let bytes = sealed::plain_file(file, longest).map_err(Unusable::Unreadable)?;
    let Some(bytes) = bytes else { return Ok(Known::default()) };
    if is_later(&bytes) {
        return Err(Unusable::Later);
    }
    known(bytes).ok_or_else(|| Unusable::Unreadable("its checksum is wrong".to_owned()))
}

/// Whether a later version has written it.
fn is_later(bytes: &[u8]) -> bool {
    let (name, version) = MAGIC.split_at(MAGIC.len() - 1);
    bytes.starts_with(name) && bytes.get(name.len()).is_some_and(|v| v.is_ascii_digit() && *v > version[0])
}

fn known(bytes: Vec<u8>) -> Option<Known> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
    let (header, records) = content.split_first_chunk::<HEADER>()?;
    let count = records.len() / RECORD;
    let whole = header.starts_with(MAGIC)
        && records.len() % RECORD == 0
        && header[8..] == (count as u64).to_le_bytes()
        && Digest::of(content).as_bytes() == checksum;
    if !whole {
        return None;
    }
    let mut known = Known {
        places: PathMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
        seen: (0..count).map(|_| AtomicBool::new(false)).collect(),
        is_later: false,
        unreadable: Mutex::default(),
        bytes,
    };
    for place in 0..count {
        let path = known.record(place).path;
        known.places.insert(path, u32::try_from(place).ok()?);
    }
    Some(known)
}

fn write(file: &Path, records: &[Record]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEADER + records.len() * RECORD + CHECKSUM);
    bytes.extend(MAGIC);
    bytes.extend((records.len() as u64).to_le_bytes());
    records.iter().for_each(|record| record.encode(&mut bytes));
    let checksum = Digest::of(&bytes);
    bytes.extend(checksum.as_bytes());
    atomic::keep(file, &bytes, Durability::Passing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity =
        Identity { device: 1, inode: 2, size: 3, mtime_ns: -4, ctime_ns: 5_000_000_000, mode: 0o100_644 };

    fn remembered(content: &str) -> Remembered {
        Remembered { digest: Digest::of(content.as_bytes()), has_xattrs: false }
    }

    fn get(index: &FileIndex, path: &[u8], identity: &Identity) -> Option<Remembered> {
        index.get(PathHash::of(path), identity, &Cell::new(usize::MAX))
    }

    /// An index file in `dir` that remembers `paths`.
    fn saved(dir: &Path, paths: &[&str]) {
        let index = FileIndex::open(dir, dir);
        paths.iter().for_each(|path| {
            index.record(PathHash::of(path.as_bytes()), IDENTITY, remembered(path), now_ns())
        });
        assert!(index.save().unwrap());
    }

    #[test]
    fn what_was_saved_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &["a", "b"]);
        let index = FileIndex::open(dir.path(), dir.path());
        assert_eq!(
            (get(&index, b"a", &IDENTITY), get(&index, b"b", &IDENTITY)),
            (Some(remembered("a")), Some(remembered("b")))
        );
        assert_eq!(get(&index, b"c", &IDENTITY), None);
        assert!(!index.save().unwrap(), "nothing new, nothing to write");
    }

    #[test]
    fn a_file_is_found_wherever_the_one_before_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..9).map(|number| number.to_string()).collect();
        saved(dir.path(), &paths.iter().map(String::as_str).collect::<Vec<_>>());
        let index = FileIndex::open(dir.path(), dir.path());
        for before in (0..9).chain([usize::MAX]) {
            for (place, path) in paths.iter().enumerate() {
                let last = Cell::new(before);
                let found = index.get(PathHash::of(path.as_bytes()), &IDENTITY, &last);
                assert_eq!((found, last.get()), (Some(remembered(path)), place), "behind {before}");
            }
        }
    }

    #[test]
    fn every_part_of_the_stat_counts() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &["a"]);
        let index = FileIndex::open(dir.path(), dir.path());
        for other in [
            Identity { device: 9, ..IDENTITY },
            Identity { inode: 9, ..IDENTITY },
            Identity { size: 9, ..IDENTITY },
            Identity { mtime_ns: 9, ..IDENTITY },
            Identity { ctime_ns: 9, ..IDENTITY },
            Identity { mode: 9, ..IDENTITY },
        ] {
            assert_eq!(get(&index, b"a", &other), None, "{other:?}");
        }
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let index = FileIndex::open(dir.path(), dir.path());
        let began = IDENTITY.ctime_ns + MARGIN_NS;
        index.record(PathHash::of(b"young"), IDENTITY, remembered("1"), began - 1);
        assert!(!index.save().unwrap());
        index.record(PathHash::of(b"old"), IDENTITY, remembered("1"), began);
        assert!(index.save().unwrap());
    }

    #[test]
    fn a_damaged_index_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &["a", "b", "c"]);
        let file = FileIndex::open(dir.path(), dir.path()).file;
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&file, damaged).unwrap();
            assert!(FileIndex::open(dir.path(), dir.path()).is_empty(), "byte {at}");
        }
        for length in [0, 1, HEADER, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(FileIndex::open(dir.path(), dir.path()).is_empty(), "length {length}");
        }
        fs::write(&file, whole).unwrap();
        assert_eq!(FileIndex::open(dir.path(), dir.path()).len(), 3);
    }

    #[test]
    fn files_not_seen_for_long_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &["kept", "gone"]);
        for run in 0..=MAX_AGE {
            let index = FileIndex::open(dir.path(), dir.path());
            assert!(get(&index, b"kept", &IDENTITY).is_some());
            index.record(PathHash::of(format!("new {run}").as_bytes()), IDENTITY, remembered("x"), now_ns());
            assert!(index.save().unwrap());
        }
        let index = FileIndex::open(dir.path(), dir.path());
        assert!(get(&index, b"gone", &IDENTITY).is_none());
        assert!(get(&index, b"kept", &IDENTITY).is_some());
    }

    #[test]
    fn the_newer_record_of_a_path_wins() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &["a"]);
        let index = FileIndex::open(dir.path(), dir.path());
        let newer = Identity { ctime_ns: 6_000_000_000, ..IDENTITY };
        index.record(PathHash::of(b"a"), newer, remembered("new"), now_ns());
        index.save().unwrap();
        let index = FileIndex::open(dir.path(), dir.path());
        assert_eq!((index.len(), get(&index, b"a", &newer)), (1, Some(remembered("new"))));
    }

    #[test]
    fn writers_at_the_same_time_leave_a_whole_index() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    for _ in 0..20 {
                        let index = FileIndex::open(dir, dir);
                        index.record(
                            PathHash::of(format!("{writer}").as_bytes()),
                            IDENTITY,
                            remembered("x"),
                            now_ns(),
                        );
                        index.save().unwrap();
                    }
                });
            }
        });
        assert!(!FileIndex::open(dir.path(), dir.path()).is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary files stay behind");
    }
}
