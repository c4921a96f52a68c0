//! Which stage images are kept by name, for which build and stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Store;

/// Names by build identity and stage, oldest first.
type Kept = BTreeMap<String, Vec<String>>;

impl Store {
    fn names_path(&self) -> PathBuf {
        self.root.join("names.json")
    }

    /// Notes the names of a build's stage images and keeps the last `keep` of each stage; returns those that fall
    /// out and that no other build holds.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep_names(
        &self,
        identity: &str,
        names: &[(String, String)],
        keep: usize,
    ) -> anyhow::Result<Vec<String>> {
        let old: Kept = self.read(&self.names_path()).unwrap_or_default();
        if changed(&old, identity, names, keep).0 == old {
            return Ok(Vec::new());
        }
        let _lock = self.lock("names", || {})?;
        let old: Kept = self.read(&self.names_path()).unwrap_or_default();
        let (new, dropped) = changed(&old, identity, names, keep);
        self.write(&self.names_path(), &new)?;
        Ok(dropped)
    }

    /// Names by build identity and stage (`<identity>/<stage>`), oldest first.
    pub fn kept(&self) -> BTreeMap<String, Vec<String>> {
        self.read(&self.names_path()).unwrap_or_default()
    }

    /// The names that are kept for a stage of a build.
    pub fn names_of(&self, identity: &str, stage: &str) -> Vec<String> {
        let kept: Kept = self.read(&self.names_path()).unwrap_or_default();
        kept.get(&format!("{identity}/{stage}")).cloned().unwrap_or_default()
    }

    /// All names that are kept.
    pub fn kept_names(&self) -> Vec<String> {
        self.read::<Kept>(&self.names_path()).unwrap_or_default().into_values().flatten().collect()
    }

    /// Forgets names that were removed.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn forget_names(&self, names: &[String]) -> anyhow::Result<()> {
        let _lock = self.lock("names", || {})?;
        let mut kept: Kept = self.read(&self.names_path()).unwrap_or_default();
        for list in kept.values_mut() {
            list.retain(|name| !names.contains(name));
        }
        kept.retain(|_, list| !list.is_empty());
        self.write(&self.names_path(), &kept)
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
