//! Sealed files in a folder of their own: read, written, and put aside where they are not what they should be.
//!
//! A file is there, absent, or unreadable. The unreadable is told of once, put aside and made again; what a later version
//! of this program has written is told of and left alone. What cannot be written is told of once, and nothing fails by it:
//! the next build then has to find out anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic::{self, Durability};
use crate::sealed::{self, Sealed};

/// Where unreadable files are put, below the folder.
pub const ASIDE: &str = "unreadable";

/// Troubles that are told one by one; there may be a thousand of a kind.
const TOLD: usize = 8;

/// What is told of a folder that cannot be written begins so.
const UNWRITTEN: &str = "the state folder";

/// So many files of one name are put aside.
const NAMESAKES: usize = 100;

/// A folder with sealed files. Clones share what they have to tell.
#[derive(Debug, Clone)]
pub struct Shelf {
    root: PathBuf,
    looks_only: bool,
    troubles: Arc<Mutex<Troubles>>,
}

#[derive(Debug, Default)]
struct Troubles {
    known: BTreeSet<String>,
    untold: Vec<String>,
    /// Whether it is known that nothing can be written; why is told once.
    unwritten: bool,
}

impl Shelf {
    /// The files below this folder.
    pub fn new(root: PathBuf) -> Self {
        Self { root, looks_only: false, troubles: Arc::default() }
    }

    /// The same, for who changes nothing.
    pub fn to_look_at(root: PathBuf) -> Self {
        Self { looks_only: true, ..Self::new(root) }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is to be told since this was last asked.
    pub fn troubles(&self) -> Vec<String> {
        let mut untold = std::mem::take(&mut self.locked().untold);
        let more = untold.len().saturating_sub(TOLD);
        if more > 0 {
            untold.truncate(TOLD);
            untold.push(format!("{more} more files in {} cannot be used either", self.root.display()));
        }
        untold
    }

    /// Tells what another one has to tell.
    pub fn tell_of(&self, other: &Self) {
        let others = std::mem::take(&mut *other.locked());
        let mut troubles = self.locked();
        // Both lie in one state folder.
        let of_writing = |text: &String| others.unwritten && text.starts_with(UNWRITTEN);
        let untold = others.untold.iter().filter(|text| !(troubles.unwritten && of_writing(text)));
        let untold: Vec<String> = untold.cloned().collect();
        troubles.untold.extend(untold);
        troubles.unwritten |= others.unwritten;
        troubles.known.extend(others.known);
    }

    /// Tells of something, once.
    pub fn tell(&self, text: String) {
        let mut troubles = self.locked();
        if troubles.known.insert(text.clone()) {
            troubles.untold.push(text);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a file is: its path in this folder.
    pub fn is(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// What is in a file, which counts as `is`. One that cannot be read has been put aside, and told of.
    pub fn read<T: DeserializeOwned>(&self, path: &Path, is: &str) -> Sealed<T> {
        let read = sealed::read(path, is);
        match &read {
            Sealed::Present(_) | Sealed::Absent => {}
            Sealed::Later(_) => self.leave(path),
            Sealed::Unreadable(why) => self.put_aside(path, why),
        }
        read
    }

    /// Tells of a file of a later version.
    pub fn leave(&self, path: &Path) {
        let path = path.display();
        self.tell(format!("{path} is left as it is: a later version of podman-stagecache has written it"));
    }

    /// Moves a file away that is not what it should be, and tells of it.
    pub fn put_aside(&self, path: &Path, why: &str) {
        let moved = !self.looks_only && self.moved_aside(path).is_ok();
        // Another process may have been faster, or nothing may be written here: then it is only told of.
        let what = if moved { format!(", it was put aside into {ASIDE}/") } else { String::new() };
        self.tell(format!("{} cannot be used: {why}{what}", path.display()));
    }

    fn moved_aside(&self, path: &Path) -> io::Result<()> {
        let folder = self.root.join(ASIDE);
        if fs::symlink_metadata(&folder).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(&folder)?;
        }
        atomic::private_folder(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = std::iter::once(name.clone()).chain((1..NAMESAKES).map(|n| format!("{name}.{n}")));
        let free = names.map(|name| folder.join(name)).find(|place| fs::symlink_metadata(place).is_err());
        fs::rename(path, free.unwrap_or_else(|| folder.join(name)))
    }

    /// Writes a file that is `is`. Where that cannot be done it is told of; one of a later version stays.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn write<T: Serialize>(
        &self,
        path: &Path,
        is: &str,
        value: &T,
        durability: Durability,
    ) -> serde_json::Result<()> {
        if sealed::is_later(path) {
            self.leave(path);
            return Ok(());
        }
        let bytes = sealed::seal(is, value)?;
        let _ = self.kept(path, |path| atomic::keep(path, &bytes, durability));
        Ok(())
    }

    /// Does what writes a file; makes its way free where something else stands there.
    ///
    /// # Errors
    /// When that cannot be done; it has been told of, unless it is that there is a file.
    pub fn kept<T>(&self, path: &Path, write: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        let mut written = write(path);
        if written.is_err() && self.make_way(path) {
            written = write(path);
        }
        if let Err(error) = &written
            && error.kind() != ErrorKind::AlreadyExists
        {
            self.tell_unwritten(error);
        }
        written
    }

    /// Tells that nothing can be written here.
    fn tell_unwritten(&self, error: &io::Error) {
        if std::mem::replace(&mut self.locked().unwritten, true) {
            return;
        }
        // A temporary file's name says nothing.
        let inner = error.get_ref().and_then(|inner| inner.source()?.downcast_ref::<io::Error>());
        self.tell(format!(
            "{UNWRITTEN} {} cannot be written ({}): what this build finds out is not kept for the next one; free some space, or \
             set STAGECACHE_HOME to a folder that can be written",
            self.root.display(),
            inner.unwrap_or(error)
        ));
    }

    /// Puts aside what stands where a file or one of its folders should be.
    fn make_way(&self, path: &Path) -> bool {
        let below: Vec<&Path> = path.ancestors().take_while(|above| *above != self.root).collect();
        let is_wrong = |place: &&&Path| {
            let meta = fs::symlink_metadata(place);
            meta.is_ok_and(|meta| if **place == path { !meta.is_file() } else { !meta.is_dir() })
        };
        let Some(wrong) = below.iter().rev().find(is_wrong) else { return false };
        let what = if *wrong == path { "it is no plain file" } else { "it is no folder" };
        self.put_aside(wrong, what);
        fs::symlink_metadata(wrong).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("shelf"));
        (dir, shelf)
    }

    fn write(shelf: &Shelf, path: &Path) {
        shelf.write(path, "f", &1, Durability::Passing).unwrap();
    }

    #[test]
    fn what_is_unreadable_is_told_of_once_put_aside_and_written_again() {
        let (_dir, shelf) = shelf();
        let path = shelf.root().join("a/f");
        for n in 0..3 {
            write(&shelf, &path);
            fs::write(&path, format!("damaged {n}")).unwrap();
            assert!(matches!(shelf.read::<u32>(&path, "f"), Sealed::Unreadable(_)));
            assert_eq!(shelf.read::<u32>(&path, "f"), Sealed::Absent);
        }
        let told =
            format!("{} cannot be used: it has no seal, it was put aside into unreadable/", path.display());
        assert_eq!(shelf.troubles(), [told]);
        assert_eq!(shelf.troubles(), [""; 0]);
        assert_eq!(fs::read_dir(shelf.root().join(ASIDE)).unwrap().count(), 3);
        write(&shelf, &path);
        assert_eq!(shelf.read::<u32>(&path, "f"), Sealed::Present(1));
    }

    #[test]
    fn what_stands_in_the_way_of_a_file_is_put_aside() {
        let (_dir, shelf) = shelf();
        let path = shelf.root().join("a/b/f");
        for wrong in ["a", "a/b"] {
            let _ = fs::remove_dir_all(shelf.root().join("a"));
            fs::create_dir_all(shelf.root().join(wrong).parent().unwrap()).unwrap();
            fs::write(shelf.root().join(wrong), "in the way").unwrap();
            write(&shelf, &path);
            assert_eq!(shelf.read::<u32>(&path, "f"), Sealed::Present(1), "{wrong}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("folder")).unwrap();
        write(&shelf, &path);
        assert_eq!(shelf.read::<u32>(&path, "f"), Sealed::Present(1));
        assert_eq!(shelf.troubles().len(), 3);
    }

    #[test]
    fn what_a_later_version_has_written_is_neither_put_aside_nor_written_over() {
        let (_dir, shelf) = shelf();
        let path = shelf.root().join("f");
        fs::create_dir(shelf.root()).unwrap();
        let later = "{\"stagecache\":99,\"is\":\"f\",\"blake3\":\"\",\"more\":true}\n1";
        fs::write(&path, later).unwrap();
        assert_eq!(shelf.read::<u32>(&path, "f"), Sealed::Later(99));
        write(&shelf, &path);
        assert_eq!(fs::read_to_string(&path).unwrap(), later);
        assert_eq!(shelf.troubles().len(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_of_once_and_fails_nothing() {
        let shelf = Shelf::new("/proc/no-such-folder".into());
        write(&shelf, &shelf.root().join("a/f"));
        write(&shelf, &shelf.root().join("b/g"));
        let told = shelf.troubles();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("/proc/no-such-folder") && told[0].contains("STAGECACHE_HOME"), "{told:?}");
    }

    #[test]
    fn of_many_troubles_the_first_ones_are_told_and_the_others_counted() {
        let (_dir, shelf) = shelf();
        (0..20).for_each(|n| shelf.tell(n.to_string()));
        let told = shelf.troubles();
        assert_eq!(told.len(), TOLD + 1);
        assert!(told[TOLD].starts_with("12 more files"), "{told:?}");
    }
}
