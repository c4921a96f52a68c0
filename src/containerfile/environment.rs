//! A list of environment entries in which a later value takes the place of an earlier one.

use std::collections::BTreeMap;

/// Entries of the form `NAME=value`, each name once, in the order in which the names came.
///
/// `mergeEnv` in imagebuilder's `internals.go`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    entries: Vec<String>,
    positions: BTreeMap<String, usize>,
}

impl Environment {
    /// Puts an entry in, in the place of one of the same name.
    pub fn set(&mut self, entry: String) {
        let name = name(&entry);
        match self.positions.get(name) {
            Some(&position) => self.entries[position] = entry,
            None => {
                self.positions.insert(name.to_owned(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// The value of a name; empty for an entry without `=`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let entry = &self.entries[*self.positions.get(name)?];
        Some(entry.split_once('=').map_or("", |(_, value)| value))
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[String] {
        &self.entries
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
