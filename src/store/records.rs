//! Records of builds: written when a build starts, as it goes, and when it ends.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::Store;
use crate::atomic::{self, Durability};
use crate::record::{BuildRecord, BuildStatus, SCHEMA};
use crate::sealed::{self, Sealed};
use crate::shelf::Shelf;

/// Longer than any record of a build.
const LONGEST: u64 = 256 << 20;

/// The record of a build that runs; every change is on the disk when it returns, where that can be written.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    shelf: Shelf,
    record: Mutex<BuildRecord>,
}

impl RecordFile {
    /// Changes the record; the change is on the disk with the next [`RecordFile::update`].
    pub fn change(&self, change: impl FnOnce(&mut BuildRecord)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Changes the record and writes it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn update(&self, change: impl FnOnce(&mut BuildRecord)) -> anyhow::Result<()> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        self.write(&record, Durability::Passing)
    }

    /// Changes the record and sees to it that it survives a crash of the machine.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn finish(&self, change: impl FnOnce(&mut BuildRecord)) -> anyhow::Result<BuildRecord> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        self.write(&record, Durability::Whole)?;
        Ok(record.clone())
    }

    fn write(&self, record: &BuildRecord, durability: Durability) -> anyhow::Result<()> {
        let bytes = bytes_of(record)?;
        let _ = self.shelf.kept(&self.path, |path| atomic::keep(path, &bytes, durability));
        Ok(())
    }
}

fn bytes_of(record: &BuildRecord) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec_pretty(record).context("writing a build record")
}

fn open(bytes: &[u8]) -> Sealed<BuildRecord> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    match serde_json::from_slice::<Schema>(bytes) {
        Ok(Schema { schema }) if schema > SCHEMA => return Sealed::Later(schema),
        Ok(_) => {}
        Err(error) => return Sealed::Unreadable(error.to_string()),
    }
    let record = serde_json::from_slice(bytes);
    record.map_or_else(|error| Sealed::Unreadable(error.to_string()), Sealed::Present)
}

impl Store {
    fn record_path(&self, build_id: &str) -> PathBuf {
        self.root.join("builds").join(format!("{build_id}.json"))
    }

    /// Whether there is a record of that id.
    pub fn has_record(&self, build_id: &str) -> bool {
        self.record_path(build_id).exists()
    }

    /// Starts the record of a build.
    ///
    /// # Errors
    /// When another build has that id.
    pub fn start_record(&self, record: BuildRecord) -> anyhow::Result<RecordFile> {
        let path = self.record_path(&record.build_id);
        let bytes = bytes_of(&record)?;
        // Of two builds that start at once with one id the first has it.
        if let Err(error) = self.shelf.kept(&path, |path| atomic::keep_new(path, &bytes))
            && error.kind() == ErrorKind::AlreadyExists
        {
            bail!(
                "--build-id={}: there is a record of a build of that id; give another one, or leave it out",
                record.build_id
            );
        }
        Ok(RecordFile { path, shelf: self.shelf.clone(), record: Mutex::new(record) })
    }

    /// Says of a build whose record says that it runs that it was interrupted.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn interrupt_record(&self, build_id: &str) -> anyhow::Result<()> {
        // A build that was ended early may not have one.
        let Ok(mut record) = self.record(build_id) else { return Ok(()) };
        if record.status == BuildStatus::Running {
            record.fail("interrupted", true);
            let bytes = bytes_of(&record)?;
            let _ = self
                .shelf
                .kept(&self.record_path(build_id), |path| atomic::keep(path, &bytes, Durability::Whole));
        }
        Ok(())
    }

    /// The ids of all builds, oldest first.
    pub fn build_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = fs::read_dir(self.root.join("builds"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|file| Some(file.path().file_name()?.to_str()?.strip_suffix(".json")?.to_owned()))
            .collect();
        ids.sort();
        ids
    }

    /// What there is of a build's record; one that cannot be read has been put aside, and told of.
    fn read_record(&self, build_id: &str) -> Sealed<BuildRecord> {
        let path = self.record_path(build_id);
        let read = match sealed::plain_file(&path, LONGEST) {
            Ok(Some(bytes)) => open(&bytes),
            Ok(None) => Sealed::Absent,
            Err(why) => Sealed::Unreadable(why),
        };
        match &read {
            Sealed::Present(_) | Sealed::Absent => {}
            Sealed::Later(_) => self.shelf.leave(&path),
            Sealed::Unreadable(why) => self.put_aside(&path, why),
        }
        read
    }

    /// The record of a build.
    ///
    /// # Errors
    /// When there is none of that id or it cannot be read.
    pub fn record(&self, build_id: &str) -> anyhow::Result<BuildRecord> {
        match self.read_record(build_id) {
            Sealed::Present(record) => Ok(record),
            Sealed::Absent => bail!("there is no record of build {build_id}"),
            Sealed::Later(schema) => bail!(
                "the record of build {build_id} has schema {schema}, and this program reads {SCHEMA}: take the one that wrote it"
            ),
            Sealed::Unreadable(why) => bail!("the record of build {build_id} cannot be read: {why}"),
        }
    }

    /// All records that can be read, oldest first.
    pub fn records(&self) -> Vec<BuildRecord> {
        self.build_ids().iter().filter_map(|id| self.read_record(id).present()).collect()
    }

    /// The one build whose id starts with `prefix`, or that `latest` stands for.
    ///
    /// # Errors
    /// When no build, or more than one, is meant.
    pub fn find_build(&self, prefix: &str) -> anyhow::Result<String> {
        let ids = self.build_ids();
        if prefix == "latest" {
            return ids
                .last()
                .cloned()
                .ok_or_else(|| anyhow!("no build is recorded in {}", self.root.display()));
        }
        // Version 7 ids of one minute share their first digits; the last ones tell them apart.
        let matches: Vec<&String> =
            ids.iter().filter(|id| id.starts_with(prefix) || id.ends_with(prefix)).collect();
        match matches.as_slice() {
            [one] => Ok((*one).clone()),
            [] => bail!("no build `{prefix}` is recorded; `podman-stagecache ls` lists them"),
            many => bail!("`{prefix}` stands for {} builds; give more digits", many.len()),
        }
    }

    /// Forgets a build.
    ///
    /// # Errors
    /// When the record is there and cannot be removed.
    pub fn forget_record(&self, build_id: &str) -> std::io::Result<()> {
        self.forget_logs(build_id)?;
        fs::remove_file(self.record_path(build_id))
    }
}
