//! What the plan asks about earlier builds, answered from the store and the listing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::context::CopiedTree;
use crate::engine::{CopiedRequest, Engine, Listing};
use crate::host;
use crate::image::ImageId;
use crate::key::{StepInputs, StepKey};
use crate::plan::Known;
use crate::prepare::FolderRead;
use crate::store::{Entry, Nearest, Store};

/// What `plan` asks about earlier builds, answered from the store and the listing.
pub(super) struct StoredKnowledge<'a> {
    pub(super) store: &'a Store,
    pub(super) listing: &'a Listing,
    pub(super) nearest: &'a Nearest,
    pub(super) engine: &'a dyn Engine,
}

impl Known for StoredKnowledge<'_> {
    fn entry(&self, key: &StepKey) -> Option<Entry> {
        self.store.entry(key)
    }

    fn has_image(&self, id: &ImageId) -> bool {
        if self.listing.contains(id) {
            return true;
        }
        // Pruned, but its layers may lie below an image that was not.
        let kept = self.store.image(id).and_then(|kept| kept.stored().ok());
        kept.is_some_and(|image| self.engine.has_layers(&image.diff_ids()))
    }

    fn nearest(&self, stage: &str, index: usize, step: usize) -> Option<Entry> {
        self.store.entry(self.nearest.stage(stage, index)?.steps.get(step)?)
    }

    fn as_kept(&self, inputs: &StepInputs) -> StepInputs {
        inputs.kept(self.store.veil())
    }

    fn files(&self, old: &str, new: &str) -> Option<String> {
        let old: CopiedTree = self.store.tree(old)?;
        let new: CopiedTree = self.store.tree(new)?;
        Some(CopiedTree::diff(&old, &new).to_string())
    }

    fn copied(&self, request: &CopiedRequest) -> Option<String> {
        self.store.copied(&request.image, &request.sources, || self.engine.copied(request))
    }

    fn part_of(&self, read: &FolderRead, folders: &BTreeSet<PathBuf>) -> Option<String> {
        let Some(whole) = &read.digest else { return Some("nothing".to_owned()) };
        let root = host::real(&read.root);
        if folders.iter().any(|folder| root.starts_with(folder)) {
            return Some(whole.clone());
        }
        // Where it cannot be told apart, all of it counts.
        let Some(tree) = self.store.tree::<CopiedTree>(whole) else { return Some(whole.clone()) };
        let lies_there = |path: &str| {
            let path = root.join(path);
            let named =
                path.parent().map(|parent| host::real(parent).join(path.file_name().unwrap_or_default()));
            let places = [Some(host::real(&path)), named];
            places.iter().flatten().any(|place| folders.iter().any(|folder| place.starts_with(folder)))
        };
        let part = tree.only(&|path| path.contains('\\') || lies_there(path));
        (!part.is_empty()).then(|| part.digest().to_hex())
    }
}
