//! The digests of bytes that are copied from images: an image's id never stands for other bytes, so they are worked out once.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Store;
use crate::image::ImageId;

/// What takes less to work out is not kept.
const WORTH: Duration = Duration::from_millis(2);
/// As many are kept, the newest.
const KEPT: usize = 1000;

/// Digests by image and sources, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied(Vec<(String, String)>);

impl Copied {
    fn get(&self, key: &str) -> Option<String> {
        self.0.iter().rev().find(|(other, _)| other == key).map(|(_, digest)| digest.clone())
    }

    fn put(&mut self, key: &str, digest: &str) {
        self.0.retain(|(other, _)| other != key);
        self.0.push((key.to_owned(), digest.to_owned()));
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }
}

/// Raise when the digest of the same bytes is another one.
fn key(image: &ImageId, sources: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"stagecache copied bytes 1\n");
    for part in std::iter::once(image.as_str()).chain(sources.iter().map(String::as_str)) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Store {
    /// The digest of what these sources of an image amount to: what is kept of it, else what `digest` works out.
    ///
    /// That it cannot be kept costs the same time again, and is no error.
    pub fn copied(
        &self,
        image: &ImageId,
        sources: &[String],
        digest: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let key = key(image, sources);
        let path = self.root.join("copied.json");
        let kept = {
            let mut read = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
            read.get_or_insert_with(|| self.read(&path).unwrap_or_default()).get(&key)
        };
        if kept.is_some() {
            return kept;
        }
        let begun = Instant::now();
        let digest = digest()?;
        if begun.elapsed() >= WORTH {
            let mut read = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
            // Another build may have added some.
            let mut all: Copied = self.read(&path).unwrap_or_default();
            all.put(&key, &digest);
            let _ = self.write(&path, &all);
            *read = Some(all);
        }
        Some(digest)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::path::Path;
    use std::thread::sleep;

    use super::*;

    fn image(digit: &str) -> ImageId {
        ImageId::parse(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn a_digest_that_took_long_is_worked_out_once_for_an_image_and_its_sources() {
        let state = tempfile::tempdir().unwrap();
        let open = || Store::open(state.path(), Path::new("/graph"), "overlay");
        let asked = Cell::new(0);
        let ask = |store: &Store, digit: &str, sources: &[&str], took: Duration| {
            let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
            store.copied(&image(digit), &sources, || {
                asked.set(asked.get() + 1);
                sleep(took);
                Some(format!("{digit} {sources:?}"))
            })
        };
        let store = open();
        for store in [&store, &store, &open()] {
            assert_eq!(ask(store, "a", &["/x"], WORTH).unwrap(), "a [\"/x\"]");
        }
        assert_eq!(asked.get(), 1);
        for (digit, sources) in [("b", &["/x"][..]), ("a", &["/x", "/y"]), ("a", &["/x/y"]), ("a", &[])] {
            let expected = format!("{digit} {sources:?}");
            assert_eq!(ask(&store, digit, sources, WORTH).unwrap(), expected);
        }
        assert_eq!(asked.get(), 5);
        ask(&store, "c", &[], Duration::ZERO);
        ask(&store, "c", &[], Duration::ZERO);
        assert_eq!(asked.get(), 7, "what takes no time is not kept");

        let path = store.root().join("copied.json");
        let written = fs::read(&path).unwrap();
        let damaged =
            written.iter().map(|byte| if *byte == b'a' { b'b' } else { *byte }).collect::<Vec<u8>>();
        fs::write(&path, damaged).unwrap();
        let store = open();
        assert_eq!(ask(&store, "a", &["/x"], WORTH).unwrap(), "a [\"/x\"]");
        assert_eq!((asked.get(), store.troubles().len()), (8, 1));
    }

    #[test]
    fn the_newest_are_kept() {
        let mut copied = Copied::default();
        for n in 0..=KEPT {
            copied.put(&n.to_string(), "d");
        }
        assert_eq!((copied.0.len(), copied.get("0"), copied.get("1")), (KEPT, None, Some("d".to_owned())));
    }
}
