//! Files that prove themselves: a line that says what the file is, with a checksum, and one line of JSON.
//!
//! A disk, an editor or a copy gone wrong must not turn into a hit, so nothing is believed that was not written here as
//! what it is read as: not the bytes of another entry, not a file of another format, nothing that is no plain file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::trust::Us;

/// Raise when sealed files are written otherwise.
const FORMAT: u32 = 2; // 1: without a seal. 2: first with one.

/// The listing of a million files with long names is shorter.
const LONGEST: u64 = 512 << 20;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    stagecache: u32,
    /// What the file is: its path in the state folder, or what it answers.
    is: String,
    blake3: String,
}

impl Seal {
    fn new(is: &str, body: &[u8]) -> Self {
        let blake3 = blake3::hash(&[is.as_bytes(), b"\n", body].concat()).to_hex().to_string();
        Self { stagecache: FORMAT, is: is.to_owned(), blake3 }
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed<T> {
    /// What was written.
    Present(T),
    /// There is none.
    Absent,
    /// There is one of a later format, which this program does not know.
    Later(u32),
    /// There is one, and it is not what it should be: why.
    Unreadable(String),
}

impl<T> Sealed<T> {
    /// What was written, if that can be read.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Later(_) | Self::Unreadable(_) => None,
        }
    }
}

/// The bytes of a file that is this.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn seal<T: Serialize>(is: &str, value: &T) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = serde_json::to_vec(&Seal::new(is, &body))?;
    bytes.push(b'\n');
    bytes.extend(body);
    Ok(bytes)
}

/// Reads what [`seal`] wrote as this.
pub fn read<T: DeserializeOwned>(path: &Path, is: &str) -> Sealed<T> {
    let bytes = match plain_file(path, LONGEST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Sealed::Absent,
        Err(why) => return Sealed::Unreadable(why),
    };
    if let Some(format) = later_format(&bytes) {
        return Sealed::Later(format);
    }
    match open(&bytes, is) {
        Ok(value) => Sealed::Present(value),
        Err(why) => Sealed::Unreadable(why),
    }
}

/// Whether a file is of a later format.
pub fn is_later(path: &Path) -> bool {
    let mut start = [0; 1 << 10];
    let read = opened(path).ok().flatten().and_then(|mut file| file.read(&mut start).ok());
    read.is_some_and(|length| later_format(&start[..length]).is_some())
}

/// The format of a seal that a later version has written: what else is in its line is that one's.
fn later_format(bytes: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Format {
        stagecache: u32,
    }
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let format: Format = serde_json::from_slice(line).ok()?;
    (format.stagecache > FORMAT).then_some(format.stagecache)
}

fn open<T: DeserializeOwned>(bytes: &[u8], is: &str) -> Result<T, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no seal")?;
    let (first, body) = (&bytes[..end], &bytes[end + 1..]);
    let seal: Seal = serde_json::from_slice(first).map_err(|_| "it has no seal")?;
    if seal.stagecache != FORMAT {
        return Err(format!("it is of format {}, and this program reads {FORMAT}", seal.stagecache));
    }
    if seal.is != is {
        return Err("it is another file's content".to_owned());
    }
    if seal != Seal::new(is, body) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The bytes of a plain file that somebody has written who is believed, links not followed; nothing where there is none.
/// A pipe is not waited for.
///
/// # Errors
/// When it is something else, or longer than `longest`: why.
pub fn plain_file(path: &Path, longest: u64) -> Result<Option<Vec<u8>>, String> {
    let Some(file) = opened(path)? else { return Ok(None) };
    let size = file.metadata().map_or(0, |meta| meta.len()).min(longest);
    // With room for one byte more the end is seen without another call.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > longest {
        return Err(format!("it is longer than {longest} bytes"));
    }
    Ok(Some(bytes))
}

fn opened(path: &Path) -> Result<Option<File>, String> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            return Err("it is no plain file".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is no plain file".to_owned());
    }
    if !Us::now().believe_file(&meta) {
        return Err(format!("it is user {}'s", meta.uid()));
    }
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_byte_counts_and_so_does_what_the_file_is_read_as() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let written = seal("entries/a", &vec!["x".to_owned(), "y".to_owned()]).unwrap();
        fs::write(&path, &written).unwrap();
        let value = |is: &str| read::<Vec<String>>(&path, is);
        assert_eq!(value("entries/a"), Sealed::Present(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(value("entries/b"), Sealed::Unreadable("it is another file's content".into()));
        for at in 0..written.len() {
            for bit in 0..8 {
                let mut damaged = written.clone();
                damaged[at] ^= 1 << bit;
                fs::write(&path, &damaged).unwrap();
                let read = value("entries/a");
                // One bit makes a 6 of the format's 2.
                let is_wrong = matches!(read, Sealed::Unreadable(_) | Sealed::Later(_));
                assert!(is_wrong, "byte {at}, bit {bit}");
            }
        }
        for length in 0..written.len() {
            fs::write(&path, &written[..length]).unwrap();
            assert!(matches!(value("entries/a"), Sealed::Unreadable(_)), "length {length}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_not_read_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), seal("f", &1).unwrap()).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(at("folder")).unwrap();
        assert_eq!(read::<u32>(&at("file"), "f"), Sealed::Present(1));
        assert_eq!(read::<u32>(&at("gone"), "f"), Sealed::Absent);
        assert_eq!(read::<u32>(&at("file/below"), "f"), Sealed::Absent);
        for name in ["link", "fifo", "folder"] {
            assert!(matches!(read::<u32>(&at(name), "f"), Sealed::Unreadable(_)), "{name}");
        }
    }

    #[test]
    fn a_later_format_is_not_read_as_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let seal = Seal { stagecache: FORMAT + 1, ..Seal::new("f", b"1") };
        fs::write(&path, format!("{}\n1", serde_json::to_string(&seal).unwrap())).unwrap();
        assert_eq!(read::<u32>(&path, "f"), Sealed::Later(FORMAT + 1));
        assert!(is_later(&path));
    }

    #[test]
    fn a_file_that_somebody_else_has_written_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, seal("f", &1).unwrap()).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4242), Some(4242)).unwrap();
            assert_eq!(read::<u32>(&path, "f"), Sealed::Unreadable("it is user 4242's".into()));
            std::os::unix::fs::chown(&path, Some(4242), Some(0)).unwrap();
        }
        assert_eq!(read::<u32>(&path, "f"), Sealed::Present(1), "a group of ours shares it");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert_eq!(plain_file(&path, 5), Ok(Some(b"12345".to_vec())));
        assert_eq!(plain_file(&path, 4), Err("it is longer than 4 bytes".into()));
        assert!(plain_file(Path::new("/dev/zero"), 4).is_err());
    }
}
