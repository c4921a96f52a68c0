//! Files that only ever grow in number, for who sweeps: how old they are, and taking them away.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Store;
use crate::image::ImageId;
use crate::shelf::ASIDE;

/// What only saves time goes when it has not been written for so long.
pub const LONG: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A file or folder that may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aged {
    /// Where it is.
    pub path: PathBuf,
    /// How long ago it was written.
    pub age: Duration,
}

/// What lies in a folder of the state folder, with its age; nothing of what is half written.
fn within(folder: &Path) -> Vec<Aged> {
    let now = SystemTime::now();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let aged = entries.filter_map(|entry| {
        let written = entry.metadata().ok()?.modified().ok()?;
        Some(Aged { path: entry.path(), age: now.duration_since(written).unwrap_or_default() })
    });
    aged.collect()
}

/// A file that was to be renamed when it is whole.
fn is_half(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
}

impl Store {
    /// Images whose manifest and config are kept.
    pub fn kept_images(&self) -> Vec<ImageId> {
        let folders = within(&self.root.join("images"));
        let files = folders.iter().flat_map(|folder| within(&folder.path));
        files.filter_map(|file| ImageId::parse(file.path.file_stem()?.to_str()?)).collect()
    }

    /// Digests of context files, what short names stood for, and what was put aside.
    pub fn passing_files(&self) -> Vec<Aged> {
        ["index", "short-names", ASIDE].iter().flat_map(|name| within(&self.root.join(name))).collect()
    }

    /// Build identities whose keys have not changed for so long.
    pub fn nearest_unchanged_for(&self, age: Duration) -> Vec<String> {
        let files = within(&self.root.join("nearest")).into_iter().filter(|file| file.age > age);
        files.filter_map(|file| Some(file.path.file_stem()?.to_str()?.to_owned())).collect()
    }

    /// Takes a file or a folder away, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget_file(&self, path: &Path) -> std::io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => Ok(()),
        }
    }

    /// Takes away what killed builds have half written, locks that nobody holds, and folders with nothing in them, all of
    /// at least that age. What cannot be removed stays for another time.
    pub fn tidy(&self, age: Duration) {
        for lock in within(&self.root.join("locks")).iter().filter(|file| file.age >= age) {
            self.remove_free_lock(&lock.path);
        }
        // Answers of engines and of their versions that are not asked any more: two levels up, for all storages.
        if let Some(state) = self.root.ancestors().nth(2) {
            let answers = within(&state.join("engines"));
            let aside = within(&state.join("engines").join(ASIDE));
            for file in answers.iter().chain(&aside).filter(|file| file.age > LONG && file.path.is_file()) {
                let _ = fs::remove_file(&file.path);
            }
        }
        let mut folders = vec![self.root.clone()];
        let mut n = 0;
        while n < folders.len() {
            for file in within(&folders[n]) {
                if file.path.is_dir() && !file.path.is_symlink() {
                    folders.push(file.path);
                } else if is_half(&file.path) && file.age >= age {
                    let _ = fs::remove_file(&file.path);
                }
            }
            n += 1;
        }
        // One that is not empty is not removed.
        folders.iter().skip(1).rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }

    fn swept_path(&self) -> PathBuf {
        self.root.join("swept")
    }

    /// Whether a sweep was so long ago, or never.
    pub fn not_swept_for(&self, age: Duration) -> bool {
        let swept = fs::metadata(self.swept_path()).and_then(|meta| meta.modified());
        swept.map_or(true, |at| SystemTime::now().duration_since(at).unwrap_or_default() > age)
    }

    /// Notes that a sweep was made.
    pub fn note_sweep(&self) {
        let path = self.swept_path();
        let _ =
            self.shelf.kept(&path, |path| crate::atomic::keep(path, b"", crate::atomic::Durability::Passing));
    }
}
