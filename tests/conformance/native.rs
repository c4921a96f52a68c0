//! Native results on disk: one file for each engine version, case and mode, so that a second run builds one side only.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::corpus::{Case, Mode};
use crate::servers::HexOf;
use crate::side::{Outcome, Prepared};

/// Raise when what is stated about a build changes its form or meaning.
const FORMAT: u32 = 3;

/// The same of builds in a row: what one of them left is no fact of the next.
const FORMAT_OF_A_ROW: u32 = 4;

/// The folder of kept results; without one nothing is kept.
pub struct Natives {
    dir: Option<PathBuf>,
    /// The base images' text: every result depends on it.
    bases: String,
}

impl Natives {
    pub fn new(keep: bool, bases: &[Case], images: &BTreeSet<String>) -> Natives {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = var("CONFORMANCE_CACHE")
            .or_else(|| Some(var("XDG_CACHE_HOME")?.join("podman-stagecache/conformance")))
            .or_else(|| Some(var("HOME")?.join(".cache/podman-stagecache/conformance")));
        let names = images.iter().map(String::as_str);
        Natives {
            dir: dir.filter(|_| keep),
            bases: bases.iter().map(|base| base.text.as_str()).chain(names).collect(),
        }
    }

    fn path(&self, prepared: &Prepared, case: &Case, mode: Mode) -> Option<PathBuf> {
        let engine = &prepared.engine;
        let mut hasher = Sha256::new();
        let isolation = std::env::var("BUILDAH_ISOLATION").unwrap_or_default();
        let root = if engine.rootless { "rootless" } else { "root" };
        let format = if case.then.is_empty() { FORMAT } else { FORMAT_OF_A_ROW }.to_string();
        let parts = [&format, &engine.version, root, &prepared.storage.driver, &isolation, mode.name()];
        let other = case.builds().any(|build| build.by.is_some());
        let other = prepared.other.as_ref().filter(|_| other).map_or("", |engine| &engine.version);
        for part in parts.into_iter().chain([case.subject.as_str(), &case.text, &self.bases, other]) {
            hasher.update(part);
            hasher.update([0]);
        }
        let name =
            format!("{}-{}-{:.16}.json", case.name, mode.name(), format!("{:x}", HexOf(&hasher.finalize())));
        Some(self.dir.as_ref()?.join(engine.label().replace(' ', "-")).join(&case.subject).join(name))
    }

    pub fn get(&self, prepared: &Prepared, case: &Case, mode: Mode) -> Option<Vec<Outcome>> {
        serde_json::from_slice(&fs::read(self.path(prepared, case, mode)?).ok()?).ok()
    }

    pub fn put(&self, prepared: &Prepared, case: &Case, mode: Mode, outcomes: &[Outcome]) -> Result<()> {
        let Some(path) = self.path(prepared, case, mode) else {
            return Ok(());
        };
        let dir = path.parent().expect("a result lies in a folder");
        fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer(&mut file, outcomes)?;
        file.persist(path)?;
        Ok(())
    }
}
