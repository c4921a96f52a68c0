//! Which stage images are kept by name, for which build and stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Store;
use crate::sealed::Sealed;

/// Names by build identity and stage, oldest first.
type Kept = BTreeMap<String, Vec<String>>;

impl Store {
    fn names_path(&self) -> PathBuf {
        self.root.join("names.json")
    }

    /// Read where the other one cannot be: no build may lose the names of another.
    fn copy_path(&self) -> PathBuf {
        self.root.join("names-copy.json")
    }

    fn read_names(&self) -> Kept {
        match self.read_sealed(&self.names_path()) {
            Sealed::Present(kept) => kept,
            Sealed::Absent | Sealed::Unreadable(_) => self.read(&self.copy_path()).unwrap_or_default(),
            Sealed::Later(_) => Kept::default(),
        }
    }

    fn write_names(&self, kept: &Kept) -> anyhow::Result<()> {
        let is_left = match self.read_sealed::<Kept>(&self.names_path()) {
            // One that can neither be read nor be put aside is somebody's who can.
            Sealed::Unreadable(_) => self.names_path().symlink_metadata().is_ok(),
            Sealed::Later(_) => true,
            Sealed::Present(_) | Sealed::Absent => false,
        };
        if is_left {
            return Ok(());
        }
        self.write_synced(&self.names_path(), kept)?;
        self.write(&self.copy_path(), kept)
    }

    /// Notes the names of a build's stage images and keeps the last `keep` of each stage; returns those that fall
    /// out and that no other build holds.
    ///
    /// # Errors
    /// When they cannot be written as JSON, or a signal ends the waiting for who writes them.
    pub fn keep_names(
        &self,
        identity: &str,
        names: &[(String, String)],
        keep: usize,
    ) -> anyhow::Result<Vec<String>> {
        let old = self.read_names();
        if changed(&old, identity, names, keep).0 == old {
            return Ok(Vec::new());
        }
        let _lock = self.lock("names", || {})?;
        let old = self.read_names();
        let (new, dropped) = changed(&old, identity, names, keep);
        self.write_names(&new)?;
        Ok(dropped)
    }

    /// Names by build identity and stage (`<identity>/<stage>`), oldest first.
    pub fn kept(&self) -> BTreeMap<String, Vec<String>> {
        self.read_names()
    }

    /// The names that are kept for a stage of a build.
    pub fn names_of(&self, identity: &str, stage: &str) -> Vec<String> {
        self.read_names().get(&format!("{identity}/{stage}")).cloned().unwrap_or_default()
    }

    /// All names that are kept.
    pub fn kept_names(&self) -> Vec<String> {
        self.read_names().into_values().flatten().collect()
    }

    /// Forgets names that were removed.
    ///
    /// # Errors
    /// As [`Store::keep_names`].
    pub fn forget_names(&self, names: &[String]) -> anyhow::Result<()> {
        let _lock = self.lock("names", || {})?;
        let mut kept = self.read_names();
        for list in kept.values_mut() {
            list.retain(|name| !names.contains(name));
        }
        kept.retain(|_, list| !list.is_empty());
        self.write_names(&kept)
    }
}

fn changed(old: &Kept, identity: &str, names: &[(String, String)], keep: usize) -> (Kept, Vec<String>) {
    let mut kept = old.clone();
    let mut fallen = Vec::new();
    for (stage, name) in names {
        let list = kept.entry(format!("{identity}/{stage}")).or_default();
        if list.last() != Some(name) {
            list.retain(|other| other != name);
            list.push(name.clone());
        }
        let over = list.len().saturating_sub(keep);
        fallen.extend(list.drain(..over));
    }
    // Two builds, or two stages, can have one and the same image.
    fallen.retain(|name| !kept.values().flatten().any(|other| other == name));
    (kept, fallen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn no_build_loses_the_names_of_another_by_a_damaged_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs");
        let name = |name: &str| vec![("s".to_owned(), name.to_owned())];
        store.keep_names("one", &name("1"), 3).unwrap();
        for (n, damage) in ["", "{}", "{\"stagecache\":2"].into_iter().enumerate() {
            fs::write(store.names_path(), damage).unwrap();
            store.keep_names("two", &name(&n.to_string()), 9).unwrap();
            assert_eq!(store.names_of("one", "s"), ["1"], "{damage}");
        }
        fs::write(store.copy_path(), "").unwrap();
        assert_eq!(store.names_of("two", "s"), ["0", "1", "2"]);
        let later = "{\"stagecache\":99}\n";
        fs::write(store.names_path(), later).unwrap();
        store.keep_names("two", &name("4"), 9).unwrap();
        assert_eq!(fs::read_to_string(store.names_path()).unwrap(), later);
    }

    fn after(builds: &[(&str, &str)], keep: usize) -> Vec<Vec<String>> {
        let mut kept = Kept::new();
        builds
            .iter()
            .map(|(identity, name)| {
                let (new, dropped) = changed(&kept, identity, &[("s".into(), (*name).into())], keep);
                kept = new;
                dropped
            })
            .collect()
    }

    #[test]
    fn the_oldest_falls_out_when_there_are_more_than_are_kept() {
        let dropped = after(&[("i", "1"), ("i", "2"), ("i", "3"), ("i", "4")], 3);
        assert_eq!(dropped, [vec![], vec![], vec![], vec!["1".to_owned()]]);
    }

    #[test]
    fn an_image_that_comes_again_is_the_newest() {
        let dropped = after(&[("i", "1"), ("i", "2"), ("i", "1"), ("i", "3"), ("i", "4")], 2);
        assert_eq!(dropped.concat(), ["2", "1"]);
    }

    #[test]
    fn an_image_that_another_build_holds_stays() {
        let dropped = after(&[("i", "1"), ("j", "1"), ("i", "2")], 1);
        assert_eq!(dropped.concat(), Vec::<String>::new());
    }
}
