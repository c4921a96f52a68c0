//! A map whose copies share what they have in common.
//!
//! A stage keeps the variables in front of each of its instructions: with maps of their own that would be the square of
//! them. Entries lie in levels, each at least twice as large as the one behind it, as the bits of a binary counter:
//! taking one in costs `log n`, and a copy is a pointer for each level.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Names with values, cheap to copy.
#[derive(Debug, Clone)]
pub(super) struct SharedMap<V> {
    /// What stands further behind counts more.
    levels: Vec<Arc<BTreeMap<Arc<str>, V>>>,
}

impl<V> Default for SharedMap<V> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

impl<V: Clone> SharedMap<V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.levels.iter().rev().find_map(|level| level.get(name))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn insert(&mut self, name: &str, value: V) {
        let mut newest = BTreeMap::from([(Arc::from(name), value)]);
        while let Some(level) = self.levels.pop_if(|level| level.len() <= newest.len()) {
            for (name, value) in level.iter() {
                newest.entry(Arc::clone(name)).or_insert_with(|| value.clone());
            }
        }
        self.levels.push(Arc::new(newest));
    }

    /// The entries by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let all = self.levels.iter().flat_map(|level| level.iter());
        all.map(|(name, value)| (&**name, value)).collect::<BTreeMap<_, _>>().into_iter()
    }
}

impl<V: Clone> FromIterator<(String, V)> for SharedMap<V> {
    fn from_iter<T: IntoIterator<Item = (String, V)>>(entries: T) -> Self {
        let level: BTreeMap<Arc<str>, V> =
            entries.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { levels: if level.is_empty() { Vec::new() } else { vec![Arc::new(level)] } }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_of_its_own_holds_and_so_does_each_copy(
            entries in proptest::collection::vec(("[a-e]{1,2}", any::<u8>()), 0..60),
        ) {
            let mut shared = SharedMap::default();
            let mut own = BTreeMap::new();
            let mut copies = Vec::new();
            for (name, value) in entries {
                shared.insert(&name, value);
                own.insert(name, value);
                copies.push((shared.clone(), own.clone()));
            }
            for (shared, own) in copies {
                let own: Vec<(&str, &u8)> = own.iter().map(|(name, value)| (name.as_str(), value)).collect();
                prop_assert_eq!(shared.iter().collect::<Vec<_>>(), own.clone());
                prop_assert!(own.iter().all(|(name, value)| shared.get(name) == Some(value)));
                prop_assert!(!shared.contains("z"));
            }
        }
    }

    #[test]
    fn thousands_of_copies_have_few_entries_of_their_own() {
        let count = 3000;
        let mut map = SharedMap::default();
        let copies: Vec<SharedMap<()>> = (0..count)
            .map(|n| {
                map.insert(&n.to_string(), ());
                map.clone()
            })
            .collect();
        let levels = copies.iter().flat_map(|copy| &copy.levels);
        let distinct: BTreeMap<_, usize> = levels.map(|level| (Arc::as_ptr(level), level.len())).collect();
        assert!(distinct.values().sum::<usize>() < count * 12);
        assert!(copies.iter().all(|copy| copy.levels.len() <= 12));
    }
}
