//! What a call leaves that bears no mark of its: it was ended between the making of a thing and its first line.
//!
//! A working container has no `buildah.json` then, and an image no manifest, on which `podman images` fails from then on
//! (buildah 1.28, podman 4.3). They are ours when they came while the call ran, nobody completes them, and a container's
//! image is one that the call names. podman's own containers are told by the metadata that they have from the first.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::storage::{self, ImageStore};
use crate::image::ImageId;

/// How long who makes a container or an image may take from the one moment to the other.
const COMPLETING: Duration = Duration::from_millis(250);

/// What was in the storage before a call.
#[derive(Debug)]
pub(super) struct Before {
    containers: BTreeSet<String>,
    images: Option<storage::Listing>,
}

/// What is left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remains {
    /// Ids of working containers.
    pub(super) containers: BTreeSet<String>,
    /// Ids of images.
    pub(super) images: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Container {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    metadata: String,
}

impl Before {
    pub(super) fn look(stores: &[ImageStore]) -> Self {
        let containers = containers(stores).into_iter().map(|container| container.id).collect();
        Self { containers, images: storage::list(stores).ok() }
    }

    /// What came since then and stays incomplete; `text` is the Containerfile of the call.
    pub(super) fn remains(&self, stores: &[ImageStore], text: &str) -> Remains {
        let first = self.incomplete(stores, text);
        if first == Remains::default() {
            return first;
        }
        thread::sleep(COMPLETING);
        let second = self.incomplete(stores, text);
        Remains { containers: &first.containers & &second.containers, images: &first.images & &second.images }
    }

    fn incomplete(&self, stores: &[ImageStore], text: &str) -> Remains {
        let is_buildahs = |container: &Container| {
            container.metadata.is_empty()
                && container.names.iter().any(|name| name.contains("working-container"))
                && text.contains(if container.image.is_empty() { "scratch" } else { &container.image })
        };
        let is_complete = |container: &Container| {
            let file = storage::containers_folder(stores).map(|folder| folder.join(&container.id));
            file.is_none_or(|file| {
                fs::metadata(file.join("userdata/buildah.json")).is_ok_and(|meta| meta.len() > 0)
            })
        };
        let containers = containers(stores).into_iter().filter(|container| {
            !self.containers.contains(&container.id) && is_buildahs(container) && !is_complete(container)
        });
        let (before, now) = (self.images.as_ref(), storage::list(stores).unwrap_or_default());
        let is_new = |id: &ImageId| before.is_some_and(|before| !before.contains(id));
        let images = now.iter().filter(|(id, image)| {
            image.store == 0 && image.names.is_empty() && is_new(id) && storage::read(stores, id).is_err()
        });
        Remains {
            containers: containers.map(|container| container.id).collect(),
            images: images.map(|(id, _)| id.to_string()).collect(),
        }
    }
}

fn containers(stores: &[ImageStore]) -> Vec<Container> {
    let Some(folder) = storage::containers_folder(stores) else { return Vec::new() };
    let indexes = storage::CONTAINER_INDEXES.map(|name| fs::read(folder.join(name)));
    let listed = indexes.into_iter().flatten();
    listed.filter_map(|bytes| serde_json::from_slice::<Vec<Container>>(&bytes).ok()).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_incomplete_and_came_while_the_call_ran_is_left_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let stores = [ImageStore { root: dir.path().into(), driver: "vfs".into() }];
        let image = "ab".repeat(32);
        let container = |id: &str, name: &str, image: &str, more: &str| {
            format!(r#"{{"id":"{id}","names":["{name}"],"image":"{image}"{more}}}"#)
        };
        let write = |containers: &[String], images: &str| {
            fs::create_dir_all(at("vfs-containers")).unwrap();
            fs::create_dir_all(at("vfs-images")).unwrap();
            fs::write(at("vfs-containers/containers.json"), format!("[{}]", containers.join(","))).unwrap();
            fs::write(at("vfs-images/images.json"), format!("[{images}]")).unwrap();
        };
        let old = container("old", "a-working-container", &image, "");
        write(std::slice::from_ref(&old), "");
        let before = Before::look(&stores);
        let left = container("left", "a-working-container-1", &image, "");
        let others = [
            container("podman", "x-working-container", &image, r#","metadata":"{}""#),
            container("named", "x", &image, ""),
            container("elsewhere", "a-working-container-2", &"cd".repeat(32), ""),
            container("whole", "a-working-container-3", &image, ""),
        ];
        fs::create_dir_all(at("vfs-containers/whole/userdata")).unwrap();
        fs::write(at("vfs-containers/whole/userdata/buildah.json"), "{}").unwrap();
        let broken = "ef".repeat(32);
        write(&[&[old, left][..], &others].concat(), &format!(r#"{{"id":"{broken}"}}"#));
        let remains = before.remains(&stores, &format!("FROM {image}\nRUN x\n"));
        assert_eq!(remains.containers, BTreeSet::from(["left".to_owned()]));
        assert_eq!(remains.images, BTreeSet::from([broken]));
        assert_eq!(Before::look(&stores).remains(&stores, "FROM x"), Remains::default());
    }
}
