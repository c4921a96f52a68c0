//! What the file index keeps of one file: when it is still the same file, and its digest.
//!
//! The layout of a record is here; the file that holds them and the rules of trust are `index`'s.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rustix::fs::Stat;

use super::Digest;

/// Bytes of one record: eleven words.
pub(super) const RECORD: usize = 88;

/// What a file has to be unchanged in for its digest to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) mode: u32,
}

impl Identity {
    #[allow(clippy::unnecessary_cast)] // the types of the fields differ between architectures
    pub(super) fn of(stat: &Stat) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            mode: stat.st_mode as u32,
        }
    }
}

/// What is remembered of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) digest: Digest,
    /// Its extended attributes are not remembered, only that there are some.
    pub(super) has_xattrs: bool,
}

/// One file of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) path: PathHash,
    pub(super) identity: Identity,
    pub(super) remembered: Remembered,
    /// How often the index was written since a build met the file.
    pub(super) age: u8,
}

/// FNV-1a of a path, so that a record needs no name. Two paths with one hash displace each other's records;
/// neither is believed for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PathHash(u64);

impl PathHash {
    /// Of a path relative to the context.
    pub(super) fn of(path: &[u8]) -> Self {
        Self(0xcbf2_9ce4_8422_2325).and(path)
    }

    /// Of a name in the directory that this is the hash of.
    pub(super) fn child(self, name: &[u8]) -> Self {
        self.and(b"/").and(name)
    }

    fn and(self, bytes: &[u8]) -> Self {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(bytes.iter().fold(self.0, add))
    }
}

/// A map by paths. Their hashes need no hashing again, only their bits spread.
pub(super) type PathMap<V> = HashMap<PathHash, V, BuildHasherDefault<Spread>>;

/// See [`PathMap`].
#[derive(Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        // By the golden ratio: FNV leaves the low bits to the last bytes alone.
        self.0 = (self.0 ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Record {
    /// Appends [`RECORD`] bytes.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let Identity { device, inode, size, mtime_ns, ctime_ns, mode } = self.identity;
        for number in [self.path.0, device, inode, size, mtime_ns as u64, ctime_ns as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(mode.to_le_bytes());
        bytes.extend([self.age, u8::from(self.remembered.has_xattrs), 0, 0]);
        bytes.extend(self.remembered.digest.as_bytes());
    }

    /// The path alone.
    pub(super) fn path_of(bytes: &[u8]) -> PathHash {
        let first = bytes.first_chunk().expect("a record has eleven words");
        PathHash(u64::from_le_bytes(*first))
    }

    /// Takes back what [`Record::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let word = |index: usize| {
            let bytes = bytes[index * 8..][..8].try_into().expect("a record has eleven words");
            u64::from_le_bytes(bytes)
        };
        let last: [u8; 32] = bytes[56..].try_into().expect("a record ends in a digest");
        Self {
            path: PathHash(word(0)),
            identity: Identity {
                device: word(1),
                inode: word(2),
                size: word(3),
                mtime_ns: word(4) as i64,
                ctime_ns: word(5) as i64,
                mode: word(6) as u32,
            },
            remembered: Remembered { digest: Digest::from_bytes(last), has_xattrs: bytes[53] != 0 },
            age: bytes[52],
        }
    }
}
