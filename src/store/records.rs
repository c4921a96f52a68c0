//! Records of builds: written when a build starts, as it goes, and when it ends.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, anyhow, bail};

use super::Store;
use crate::record::{BuildRecord, BuildStatus};

/// The record of a build that runs; every change is on the disk when it returns.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    record: Mutex<BuildRecord>,
}

impl RecordFile {
    /// Changes the record; the change is on the disk with the next [`RecordFile::update`].
    pub fn change(&self, change: impl FnOnce(&mut BuildRecord)) {
        change(&mut self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Changes the record and writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn update(&self, change: impl FnOnce(&mut BuildRecord)) -> anyhow::Result<()> {
        let mut record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut record);
        write(&self.path, &record, false)
    }

    /// Changes the record and sees to it that it survives a crash of the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&self, change: impl FnOnce(&mut BuildRecord)) -> anyhow::Result<BuildRecord> {
        let mut record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut record);
        write(&self.path, &record, true)?;
        Ok(record.clone())
    }
}

fn write(path: &std::path::Path, record: &BuildRecord, durably: bool) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec_pretty(record).context("writing a build record")?;
    let written =
        if durably { crate::atomic::write_durably(path, &bytes) } else { crate::atomic::write(path, &bytes) };
    written.with_context(|| {
        format!(
            "writing the build record {} (free some space, or set STAGECACHE_HOME to a folder that can be written)",
            path.display()
        )
    })
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
    /// When it cannot be written, or another build has that id.
    pub fn start_record(&self, record: BuildRecord) -> anyhow::Result<RecordFile> {
        let path = self.record_path(&record.build_id);
        // Of two builds that start at once with one id the first has it.
        if let Err(error) = fs::File::create_new(&path)
            && error.kind() == std::io::ErrorKind::AlreadyExists
        {
            bail!(
                "--build-id={}: there is a record of a build of that id; give another one, or leave it out",
                record.build_id
            );
        }
        write(&path, &record, false)?;
        Ok(RecordFile { path, record: Mutex::new(record) })
    }

    /// Says of a build whose record says that it runs that it was interrupted.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn interrupt_record(&self, build_id: &str) -> anyhow::Result<()> {
        // A build that was ended early may not have one.
        let Ok(mut record) = self.record(build_id) else { return Ok(()) };
        if record.status == BuildStatus::Running {
            crate::recording::failed(&mut record, "interrupted", true);
            write(&self.record_path(build_id), &record, true)?;
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

    /// The record of a build.
    ///
    /// # Errors
    /// When there is none of that id or it cannot be read.
    pub fn record(&self, build_id: &str) -> anyhow::Result<BuildRecord> {
        let path = self.record_path(build_id);
        let bytes = fs::read(&path).with_context(|| format!("reading the record of build {build_id}"))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
    }

    /// All records that can be read, oldest first.
    pub fn records(&self) -> Vec<BuildRecord> {
        self.build_ids().iter().filter_map(|id| self.record(id).ok()).collect()
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
        fs::remove_file(self.record_path(build_id))
    }
}
