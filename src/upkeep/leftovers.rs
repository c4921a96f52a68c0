//! What a build leaves that nobody needs: stage images that fell out of the ones kept, with the steps on which nothing
//! else stands, and images that only one call stood on.
//!
//! The engine takes along the untagged images whose history a removed one continues. It does not know the steps of
//! other builds that stood below: they are found by their layers.

use std::collections::BTreeSet;

use super::carry_out::remove;
use super::{Done, LOCK, Refused};
use crate::engine::{Engine, Layers, Listing};
use crate::image::ImageId;
use crate::store::Store;

/// What may go after a build.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    /// Names of stage images that are no longer kept.
    pub names: Vec<String>,
    /// Further names of images that have another one: nothing goes with them.
    pub second_names: Vec<String>,
    /// Images that were made for one call to stand on, or that another one has replaced.
    pub images: Vec<ImageId>,
}

/// Removes it; `in_use` are the images of the build itself.
///
/// While other builds run, which may stand on those steps, only the names go.
///
/// # Errors
/// When the storage cannot be read, or the engine removes nothing.
pub fn clear_away(
    engine: &dyn Engine,
    store: &Store,
    leftovers: &Leftovers,
    in_use: &BTreeSet<&ImageId>,
) -> anyhow::Result<()> {
    let second_names = &leftovers.second_names;
    if leftovers.names.is_empty() && leftovers.images.is_empty() && second_names.is_empty() {
        return Ok(());
    }
    let lock = store.try_lock(LOCK)?;
    let (before, layers) = (engine.list()?, engine.layers()?);
    let mut done = Done::default();
    let names: Vec<String> =
        leftovers.names.iter().filter(|name| before.named(name).is_some()).cloned().collect();
    // One call for all.
    let second_names = second_names.iter().filter(|name| before.named(name).is_some());
    remove(engine, &second_names.chain(&names).cloned().collect::<Vec<_>>(), &mut done);
    if names.is_empty() && leftovers.images.is_empty() {
        return refused(&done);
    }
    if lock.is_some() {
        let after = engine.list()?;
        let stood_on: BTreeSet<&str> = names
            .iter()
            .filter_map(|name| before.get(before.named(name)?))
            .flat_map(|image| layers.chain(&image.top_layer))
            .collect();
        let is_ours = |id: &ImageId| store.image(id).is_some() && !in_use.contains(id);
        let mut images = fallen(&after, &layers, &stood_on, &is_ours);
        images.extend(leftovers.images.iter().filter(|id| !in_use.contains(id)).cloned());
        let unnamed = |id: &&ImageId| after.get(id).is_some_and(|image| image.names.is_empty());
        let ids: Vec<String> = images.iter().filter(unnamed).map(ToString::to_string).collect();
        remove(engine, &ids, &mut done);
    }
    refused(&done)
}

fn refused(done: &Done) -> anyhow::Result<()> {
    match done.refused.iter().find(|refused| !refused.in_use) {
        Some(Refused { what, why, .. }) => anyhow::bail!("{what}: {why}"),
        None => Ok(()),
    }
}

/// Steps and tips on these layers that no other image stands on, the topmost first.
fn fallen(
    listing: &Listing,
    layers: &Layers,
    stood_on: &BTreeSet<&str>,
    is_ours: &dyn Fn(&ImageId) -> bool,
) -> Vec<ImageId> {
    let (candidates, others): (Vec<_>, Vec<_>) = listing.iter().partition(|(id, image)| {
        image.names.is_empty() && stood_on.contains(image.top_layer.as_str()) && is_ours(id)
    });
    let held: BTreeSet<&str> = others.iter().flat_map(|(_, image)| layers.chain(&image.top_layer)).collect();
    let mut fallen: Vec<_> =
        candidates.into_iter().filter(|(_, image)| !held.contains(image.top_layer.as_str())).collect();
    fallen.sort_by_cached_key(|(id, image)| {
        (std::cmp::Reverse(layers.chain(&image.top_layer).count()), (*id).clone())
    });
    fallen.into_iter().map(|(id, _)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ListedImage;

    fn image(listing: &mut Listing, letter: char, names: &[&str], top_layer: &str) -> ImageId {
        let id = ImageId::parse(&letter.to_string().repeat(64)).unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        listing.add(
            id.clone(),
            ListedImage { digest: String::new(), names, top_layer: top_layer.to_owned(), store: 0 },
        );
        id
    }

    #[test]
    fn steps_go_that_no_other_image_stands_on_and_the_topmost_goes_first() {
        let layers =
            Layers::of(&[("base", "", 1), ("1", "base", 1), ("2", "1", 1), ("3", "1", 1), ("4", "3", 1)]);
        let mut listing = Listing::default();
        image(&mut listing, 'b', &["alpine"], "base");
        let one = image(&mut listing, '1', &[], "1");
        let two = image(&mut listing, '2', &[], "2");
        let three = image(&mut listing, '3', &[], "3");
        let four = image(&mut listing, '4', &[], "4");
        let gone = |listing: &Listing, top: &str| {
            let stood_on: BTreeSet<&str> = layers.chain(top).collect();
            fallen(listing, &layers, &stood_on, &|_| true)
        };

        assert_eq!(
            gone(&listing, "2"),
            *std::slice::from_ref(&two),
            "another chain stands on the first step"
        );
        // An image of the user holds what it stands on.
        image(&mut listing, 'd', &["mine"], "3");
        assert_eq!(gone(&listing, "4"), *std::slice::from_ref(&four));
        let mut alone = Listing::default();
        for (id, top) in [(&one, "1"), (&three, "3"), (&four, "4")] {
            alone.add(
                id.clone(),
                ListedImage { digest: String::new(), names: vec![], top_layer: top.into(), store: 0 },
            );
        }
        assert_eq!(gone(&alone, "4"), [four, three, one]);
    }
}
