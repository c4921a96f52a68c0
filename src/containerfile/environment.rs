//! A list of environment entries in which a later value takes the place of an earlier one.

use std::sync::Arc;

use super::shared_map::SharedMap;

/// Entries of the form `NAME=value`, each name once, in the order in which the names came.
///
/// `mergeEnv` in imagebuilder's `internals.go`.
/// Copies share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// By name, with the position.
    entries: SharedMap<(usize, Arc<str>)>,
    count: usize,
}

impl Environment {
    /// Puts an entry in, in the place of one of the same name.
    pub fn set(&mut self, entry: String) {
        let name = name(&entry);
        let position = self.entries.get(name).map_or(self.count, |(position, _)| *position);
        self.count = self.count.max(position + 1);
        self.entries.insert(name, (position, entry.as_str().into()));
    }

    /// The value of a name; empty for an entry without `=`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, entry) = self.entries.get(name)?;
        Some(entry.split_once('=').map_or("", |(_, value)| value))
    }

    /// The entries in their order.
    pub fn entries(&self) -> Vec<String> {
        let mut entries: Vec<&(usize, Arc<str>)> = self.entries.iter().map(|(_, entry)| entry).collect();
        entries.sort_unstable_by_key(|(position, _)| *position);
        entries.into_iter().map(|(_, entry)| entry.to_string()).collect()
    }
}

impl FromIterator<String> for Environment {
    fn from_iter<T: IntoIterator<Item = String>>(entries: T) -> Self {
        let mut environment = Self::default();
        entries.into_iter().for_each(|entry| environment.set(entry));
        environment
    }
}

/// The name of an entry.
fn name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_value_takes_the_place_of_the_earlier() {
        let environment: Environment = ["A=1", "B", "C=3=4", "A=5"].map(str::to_owned).into_iter().collect();
        assert_eq!(environment.entries(), ["A=5", "B", "C=3=4"]);
        assert_eq!(environment.get("C"), Some("3=4"));
        assert_eq!(environment.get("B"), Some(""));
        assert_eq!(environment.get("D"), None);
    }
}
