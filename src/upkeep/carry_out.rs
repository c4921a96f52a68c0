//! Removes what was chosen: names and images through the engine, files from the store.

use crate::engine::Engine;
use crate::store::Store;

use super::Removal;

/// What came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// What the engine would not remove, with its reason.
    pub refused: Vec<(String, String)>,
}

/// Removes it. What the engine refuses (an image that a container uses) stays, and so does what is kept about it.
///
/// # Errors
/// When the storage cannot be read or the store not be written.
pub fn carry_out(engine: &dyn Engine, store: &Store, removal: &Removal) -> anyhow::Result<Done> {
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
    for key in &removal.entries {
        if store.entry(key).is_some_and(|entry| !listing.contains(&entry.image)) {
            gone(store.forget_entry(key))?;
        }
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
            done.refused.push((one.clone(), error.to_string()));
        }
    }
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
