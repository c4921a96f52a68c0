//! Removes what was chosen: names and images through the engine, files from the store.

use serde::Serialize;

use crate::engine::{Engine, EngineError};
use crate::store::Store;

use super::Removal;

/// What came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// What the engine would not remove.
    pub refused: Vec<Refused>,
}

/// A name or an image that the engine would not remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which.
    pub what: String,
    /// What the engine said.
    pub why: String,
    /// Whether a container uses it: then it goes with a later prune, as with the engines' own.
    pub in_use: bool,
}

impl Refused {
    fn new(what: &str, error: &EngineError) -> Self {
        let why = error.to_string();
        // buildah 1.28 and podman 4.3 to 5.8: "image used by ID: image is in use by a container".
        let in_use = why.contains("is in use by a container");
        Self { what: what.to_owned(), why, in_use }
    }
}

/// Removes it. What the engine refuses (an image that a container uses) stays, and so does what is kept about it; `removal`
/// is what really went then.
///
/// # Errors
/// When the storage cannot be read or the store not be written.
pub fn carry_out(engine: &dyn Engine, store: &Store, removal: &mut Removal) -> anyhow::Result<Done> {
    let mut done = Done::default();
    let names: Vec<String> = removal.names.iter().map(|going| going.name.clone()).collect();
    // The engine takes along what has no name and nothing on top of it.
    remove(engine, &names, &mut done);
    let listing = engine.list()?;
    let left: Vec<String> =
        removal.images.iter().filter(|id| listing.contains(id)).map(ToString::to_string).collect();
    let unnamed = |id: &String| {
        let id = crate::image::ImageId::parse(id);
        id.and_then(|id| listing.get(&id).map(|image| image.names.is_empty())).unwrap_or(false)
    };
    remove(engine, &left.into_iter().filter(unnamed).collect::<Vec<_>>(), &mut done);

    let listing = engine.list()?;
    let mut forgotten: Vec<String> = names.into_iter().filter(|name| listing.named(name).is_none()).collect();
    forgotten.extend(removal.stale_names.iter().cloned());
    if !forgotten.is_empty() {
        store.forget_names(&forgotten)?;
    }
    removal.names.retain(|going| listing.named(&going.name).is_none());
    removal.images.retain(|id| !listing.contains(id));
    removal.entries.retain(|key| !store.entry(key).is_some_and(|entry| listing.contains(&entry.image)));
    removal.configs.retain(|id| !listing.contains(id));
    for key in &removal.entries {
        gone(store.forget_entry(key))?;
    }
    for tree in &removal.trees {
        gone(store.forget_tree(tree))?;
    }
    for build_id in &removal.records {
        gone(store.forget_record(build_id))?;
    }
    for identity in &removal.nearest {
        gone(store.forget_nearest(identity))?;
    }
    for image in &removal.configs {
        gone(store.forget_image(image))?;
    }
    for path in &removal.files {
        gone(store.forget_file(path))?;
    }
    Ok(done)
}

/// In one call; where that fails, one by one, so that one that is refused does not keep the others.
pub(super) fn remove(engine: &dyn Engine, what: &[String], done: &mut Done) {
    if what.is_empty() || engine.remove(what).is_ok() {
        return;
    }
    for one in what {
        let still_there = engine.list().is_ok_and(|listing| {
            let id = crate::image::ImageId::parse(one);
            listing.named(one).is_some() || id.is_some_and(|id| listing.contains(&id))
        });
        if !still_there {
            continue;
        }
        if let Err(error) = engine.remove(std::slice::from_ref(one)) {
            done.refused.push(Refused::new(one, &error));
        }
    }
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
