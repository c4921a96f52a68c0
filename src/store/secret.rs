//! The key under which digests of values are kept: random, made with the folder, and in no other.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Store;
use crate::atomic;
use crate::sealed;
use crate::veil::Veil;

type Key = [u8; blake3::KEY_LEN];

impl Store {
    /// What turns values into what is kept of them.
    pub fn veil(&self) -> &Veil {
        self.veil.get_or_init(|| Veil::new(self.secret()))
    }

    /// The key of this folder; where it cannot be kept one that is this process's alone, and the next build cannot tell
    /// which values changed.
    fn secret(&self) -> Key {
        let path = self.root.join("secret.json");
        self.read_key(&path).unwrap_or_else(|| {
            let key = random();
            let is = self.shelf.is(&path);
            let bytes = sealed::seal(&is, &key).expect("numbers are JSON");
            match self.shelf.kept(&path, |path| atomic::keep_new(path, &bytes)) {
                Ok(()) => key,
                // Another build was faster.
                Err(_) => self.read_key(&path).unwrap_or(key),
            }
        })
    }

    fn read_key(&self, path: &Path) -> Option<Key> {
        self.read::<Key>(path)
    }
}

fn random() -> Key {
    let mut key = Key::default();
    if File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key)).is_err() {
        // Two of these have some 148 random bits, from the system's call.
        let ids = [uuid::Uuid::now_v7(), uuid::Uuid::now_v7()];
        key.copy_from_slice(&[ids[0].as_bytes().as_slice(), ids[1].as_bytes()].concat());
    }
    key
}
