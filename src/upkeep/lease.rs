//! What says that builds are alive, and what is theirs: a file that their process holds locked.
//!
//! The lock ends with the process, whatever ends it, and is seen from other containers too, where process ids say nothing.
//! What is in the file tells who comes next what to clean up ([`super::dead`]).

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::atomic;
use crate::engine::{Engine, new_mark, temporary};
use crate::sealed;
use crate::store::Store;

/// The builds of one process, while they run.
#[derive(Debug)]
pub struct Lease {
    id: String,
    own: Own,
    /// Held while the builds run; nothing where the state folder cannot be written.
    held: Option<(PathBuf, File)>,
}

/// What builds have that is to be gone when they are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Own {
    /// Their ids.
    pub(super) builds: Vec<String>,
    /// What their folders for temporary files begin with.
    pub(super) prefix: String,
    /// Where those lie.
    pub(super) folders: Vec<PathBuf>,
}

/// Where the files lie.
pub(super) fn folder(store: &Store) -> PathBuf {
    store.root().join("running")
}

/// What a lease's file is, for its seal.
pub(super) fn is(id: &str) -> String {
    format!("running/{id}")
}

impl Lease {
    /// For builds of these ids, which begin now.
    pub fn take(store: &Store, builds: &[String]) -> Self {
        let own = Own {
            builds: builds.to_vec(),
            prefix: temporary::prefix().to_owned(),
            folders: temporary::parents(),
        };
        let id = new_mark();
        // Where nothing can be written, nothing can be left either that a later build could be told of.
        let held = write(store, &id, &own).ok();
        Self { id, own, held }
    }

    /// A mark for one call of these builds: begins with that of the lease.
    pub fn mark_of_call(&self) -> String {
        format!("{}.{}", self.id, uuid::Uuid::now_v7().simple())
    }

    /// A folder for temporary files that may be large.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix(&self.own.prefix).tempdir_in(temporary::large())
    }

    /// The file, where there is one.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.held.as_ref().map(|(path, _)| path)
    }

    /// Removes what builds that have failed left in the storage; their folders go by themselves.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn clean_up(&self, engine: &dyn Engine, store: &Store) -> anyhow::Result<()> {
        let own = Own { builds: self.own.builds.clone(), ..Own::default() };
        super::dead::clean_up(engine, store, &self.id, &own)
    }

    /// Removes all that is the process's, which ends with it.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn clean_up_at_the_end(&self, engine: &dyn Engine, store: &Store) -> anyhow::Result<()> {
        super::dead::clean_up(engine, store, &self.id, &self.own)
    }

    /// There is nothing to clean up any more.
    pub fn forget(&self) {
        if let Some((path, _)) = &self.held {
            // While it is held: nobody takes it for that of dead builds.
            let _ = fs::remove_file(path);
        }
    }

    /// The builds are over, and something of theirs is left for who comes next.
    pub fn leave(mut self) {
        self.held = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.forget();
    }
}

fn write(store: &Store, id: &str, own: &Own) -> io::Result<(PathBuf, File)> {
    let path = folder(store).join(id);
    let file = atomic::keep_locked(&path, &sealed::seal(&is(id), own)?)?;
    Ok((path, file))
}
