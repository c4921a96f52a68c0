//! What there is: images, layers, names, records, entries; and what stands on what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::engine::{Engine, Layers, Listing};
use crate::image::ImageId;
use crate::key::StepKey;
use crate::names;
use crate::record::{BuildRecord, StageRecord};
use crate::store::{Aged, Entry, LONG, Nearest, Store};

/// Everything that upkeep decides by, gathered once.
#[derive(Debug, Default)]
pub struct Census {
    /// The images.
    pub listing: Listing,
    /// Their layers.
    pub layers: Layers,
    /// Names by build identity and stage, oldest first.
    pub kept: BTreeMap<String, Vec<String>>,
    /// Records, oldest first.
    pub records: Vec<BuildRecord>,
    /// Steps.
    pub entries: BTreeMap<StepKey, Entry>,
    /// The keys of last time.
    pub nearest: Vec<(String, Nearest)>,
    /// Build identities of which nothing has changed for long.
    pub old_nearest: BTreeSet<String>,
    /// Listings of files.
    pub trees: Vec<String>,
    /// Images that are kept as manifest and config.
    pub configs: BTreeSet<ImageId>,
    /// Images of steps that are not in the storage, and can be had again from what is kept of them.
    pub revivable: BTreeSet<ImageId>,
    /// Files that nothing refers to by name.
    pub passing: Vec<Aged>,
    /// When each image was made, where no record tells of it.
    pub created: HashMap<ImageId, String>,
}

impl Census {
    /// Gathers it.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub fn new(engine: &dyn Engine, store: &Store) -> anyhow::Result<Self> {
        let listing = engine.list()?;
        let named = listing.iter().filter(|(_, image)| image.names.iter().any(|name| is_ours(name)));
        let created =
            named.filter_map(|(id, _)| Some((id.clone(), engine.image(id).ok()?.created().to_owned())));
        let entries: BTreeMap<StepKey, Entry> = store.entries().into_iter().collect();
        let configs: BTreeSet<ImageId> = store.kept_images().into_iter().collect();
        let missing = entries.values().map(|entry| &entry.image);
        let missing = missing.filter(|id| configs.contains(id) && !listing.contains(id));
        let can_be_had = |id: &&ImageId| {
            let kept = store.image(id).and_then(|kept| kept.stored().ok());
            kept.is_some_and(|image| engine.has_layers(&image.diff_ids()))
        };
        Ok(Self {
            created: created.collect(),
            layers: engine.layers()?,
            kept: store.kept(),
            records: store.records(),
            nearest: store.all_nearest(),
            old_nearest: store.nearest_unchanged_for(LONG).into_iter().collect(),
            trees: store.trees(),
            revivable: missing.filter(can_be_had).cloned().collect(),
            passing: store.passing_files(),
            entries,
            configs,
            listing,
        })
    }

    /// Names of stage images that are in the storage.
    pub fn our_names(&self) -> impl Iterator<Item = (&str, &ImageId)> {
        let images = self.listing.iter();
        images
            .flat_map(|(id, image)| image.names.iter().filter(|n| is_ours(n)).map(move |n| (n.as_str(), id)))
    }

    /// Stages that builds of ours have left something of.
    pub fn stage_names(&self) -> BTreeSet<&str> {
        let recorded = self.records.iter().flat_map(|record| &record.stages);
        let of_names = self.our_names().filter_map(|(name, _)| slug_of(name));
        recorded.map(|stage| stage.name.as_str()).chain(of_names).collect()
    }

    /// Images of stages of these slugs.
    pub fn of_stages(&self, slugs: &[String]) -> BTreeSet<&ImageId> {
        let is_one = |slug: &str| slugs.iter().any(|wanted| wanted == slug);
        let recorded = self.records.iter().flat_map(|record| &record.stages);
        let recorded = recorded.filter(|stage| is_one(&names::slug(&stage.name)));
        let of_names = self.our_names().filter(|(name, _)| slug_of(name).is_some_and(is_one));
        recorded.flat_map(StageRecord::images).chain(of_names.map(|(_, id)| id)).collect()
    }

    /// Images that builds of ours left and that are in the storage.
    pub fn ours(&self) -> impl Iterator<Item = &ImageId> {
        let stages = self.records.iter().flat_map(|record| &record.stages);
        let of_stages = stages.flat_map(|stage| {
            let steps = stage.steps.iter().filter_map(|step| step.image.as_ref());
            // A stage that is a FROM and nothing else has the image of its base, which is nobody's to remove.
            let own =
                stage.image.iter().chain(&stage.tip).filter(|id| stage.base.image.as_ref() != Some(*id));
            own.chain(steps)
        });
        let all: BTreeSet<&ImageId> = self
            .entries
            .values()
            .map(|entry| &entry.image)
            .chain(of_stages)
            .chain(self.our_names().map(|(_, id)| id))
            .filter(|id| self.listing.contains(id))
            .collect();
        all.into_iter()
    }

    /// Images that have a name when these are gone.
    pub fn still_named(&self, gone: &BTreeSet<&str>) -> BTreeSet<ImageId> {
        let named =
            self.listing.iter().filter(|(_, image)| image.names.iter().any(|n| !gone.contains(n.as_str())));
        named.map(|(id, _)| id.clone()).collect()
    }

    /// What the images that keep a name stand on, and what belongs to their stages.
    pub fn needed(&self, kept: &BTreeSet<ImageId>) -> HashSet<&ImageId> {
        let mut needed = self.referred_by(kept);
        let named = kept.iter().filter_map(|id| self.listing.get(id));
        let below: HashSet<&str> = named.flat_map(|image| self.layers.chain(&image.top_layer)).collect();
        let steps = self.entries.values().map(|entry| &entry.image);
        needed.extend(
            steps.filter(|id| {
                self.listing.get(id).is_some_and(|image| below.contains(image.top_layer.as_str()))
            }),
        );
        needed
    }

    /// Tips, leaves and steps of the stages whose image is kept, and what the stages below them hand on.
    fn referred_by(&self, kept: &BTreeSet<ImageId>) -> HashSet<&ImageId> {
        let mut found = HashSet::new();
        for record in &self.records {
            for stage in &record.stages {
                let of_stage = stage.image.iter().chain(&stage.tip);
                if !of_stage.clone().any(|id| kept.contains(id)) {
                    continue;
                }
                found.extend(of_stage);
                let mut next = Some(stage);
                while let Some(stage) = next {
                    found.extend(handed_on(stage));
                    // A stage stands on earlier ones; a record that says otherwise is damaged.
                    let below = stage.base.stage.filter(|below| *below < stage.index);
                    next = below.and_then(|below| record.stages.get(below)).filter(|b| b.index < stage.index);
                }
            }
        }
        found
    }

    /// When a build last used an image, RFC 3339; when it was made, where no record tells.
    pub fn last_used(&self, id: &ImageId) -> String {
        let uses = |record: &&BuildRecord| record.stages.iter().any(|stage| stage_has(stage, id));
        let used = self.records.iter().rev().find(uses).map(|record| record.started.clone());
        used.or_else(|| self.created.get(id).cloned()).unwrap_or_default()
    }

    /// Puts images in an order in which each can be removed: what stands on others first.
    pub fn topmost_first(&self, images: &mut [ImageId]) {
        let height = |id: &ImageId| {
            let top = self.listing.get(id).map(|image| image.top_layer.as_str());
            self.layers.chain(top.unwrap_or_default()).count()
        };
        let steps: HashSet<&ImageId> = self.entries.values().map(|entry| &entry.image).collect();
        let leaves: HashSet<&ImageId> =
            self.records.iter().flat_map(|r| &r.stages).filter_map(|stage| stage.image.as_ref()).collect();
        // On one layer: leaf, tip, step.
        let rank = |id: &ImageId| (leaves.contains(id), !steps.contains(id));
        images.sort_by_cached_key(|id| std::cmp::Reverse((height(id), rank(id), id.as_str().to_owned())));
    }

    /// What the layers of these images hold that no other image has.
    pub fn bytes_of(&self, going: &BTreeSet<&ImageId>) -> u64 {
        let layers_of = |wanted: bool| {
            let images = self.listing.iter().filter(move |(id, _)| going.contains(id) == wanted);
            images.flat_map(|(_, image)| self.layers.chain(&image.top_layer)).collect::<HashSet<&str>>()
        };
        let staying = layers_of(false);
        layers_of(true).difference(&staying).map(|layer| self.layers.bytes(layer)).sum()
    }

    /// The cache's size without these names, to be counted down.
    pub fn tally(&self, gone: &BTreeSet<String>) -> Tally {
        let mut tally = Tally { bytes: 0, images: HashMap::new() };
        let foreign = foreign_layers(&self.listing, &self.layers);
        for (_, image) in self.listing.iter() {
            if image.names.iter().any(|name| is_ours(name) && !gone.contains(name)) {
                for layer in self.layers.chain(&image.top_layer).filter(|layer| !foreign.contains(layer)) {
                    let count = tally.images.entry(layer.to_owned()).or_insert(0);
                    *count += 1;
                    if *count == 1 {
                        tally.bytes += self.layers.bytes(layer);
                    }
                }
            }
        }
        tally
    }
}

/// The cache's size while names are taken away.
#[derive(Debug)]
pub struct Tally {
    bytes: u64,
    /// How many stage images have a layer.
    images: HashMap<String, usize>,
}

impl Tally {
    /// The size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a name's image away, unless another name holds it.
    pub fn remove(&mut self, census: &Census, image: &ImageId, gone: &BTreeSet<String>) {
        let Some(listed) = census.listing.get(image) else { return };
        if listed.names.iter().any(|name| is_ours(name) && !gone.contains(name)) {
            return;
        }
        for layer in census.layers.chain(&listed.top_layer) {
            if let Some(count) = self.images.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    self.images.remove(layer);
                    self.bytes -= census.layers.bytes(layer);
                }
            }
        }
    }
}

/// How much the cache holds: layers that stage images have and no image with a name of the user's has.
pub fn usage(listing: &Listing, layers: &Layers) -> u64 {
    let foreign = foreign_layers(listing, layers);
    let ours = listing.iter().filter(|(_, image)| image.names.iter().any(|name| is_ours(name)));
    let held: HashSet<&str> = ours.flat_map(|(_, image)| layers.chain(&image.top_layer)).collect();
    held.difference(&foreign).map(|layer| layers.bytes(layer)).sum()
}

fn foreign_layers<'a>(listing: &'a Listing, layers: &'a Layers) -> HashSet<&'a str> {
    let foreign = listing.iter().filter(|(_, image)| image.names.iter().any(|name| !is_ours(name)));
    foreign.flat_map(|(_, image)| layers.chain(&image.top_layer)).collect()
}

/// The slug of the stage that a name of ours is of.
fn slug_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(names::REPOSITORY)?.strip_prefix('/')?;
    rest.rsplit_once(':').map(|(slug, _)| slug)
}

/// Whether a name is one that we gave.
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix(names::REPOSITORY).is_some_and(|rest| rest.starts_with('/'))
}

fn handed_on(stage: &StageRecord) -> impl Iterator<Item = &ImageId> {
    stage.tip.iter().chain(stage.steps.iter().filter_map(|step| step.image.as_ref()))
}

fn stage_has(stage: &StageRecord, id: &ImageId) -> bool {
    stage.image.as_ref() == Some(id) || handed_on(stage).any(|image| image == id)
}
