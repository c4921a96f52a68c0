//! Manifests and configs of the images that steps left, and of tips.
//!
//! A prune takes step images, for no engine sees that tips and leaves stand on them (their histories differ), but
//! their layers stay below the leaf. With what is kept here such an image is there again in one config commit.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Store;
use crate::image::{ComposedImage, ImageId, hex};

#[derive(Serialize, Deserialize)]
struct Kept {
    config: String,
    manifest: String,
}

impl Store {
    fn image_path(&self, id: &ImageId) -> PathBuf {
        self.root.join("images").join(&id.as_str()[..2]).join(format!("{id}.json"))
    }

    /// Keeps an image's manifest and config; entries point at them.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn put_image(&self, image: &ComposedImage) -> anyhow::Result<()> {
        if self.image(&image.id).is_some() {
            return Ok(());
        }
        let (Ok(config), Ok(manifest)) =
            (String::from_utf8(image.config.clone()), String::from_utf8(image.manifest.clone()))
        else {
            return Ok(());
        };
        self.write_synced(&self.image_path(&image.id), &Kept { config, manifest })
    }

    /// An image as it was kept.
    pub fn image(&self, id: &ImageId) -> Option<ComposedImage> {
        let kept: Kept = self.read(&self.image_path(id))?;
        let image = ComposedImage {
            id: id.clone(),
            config: kept.config.into_bytes(),
            manifest: kept.manifest.into_bytes(),
        };
        if hex(&Sha256::digest(&image.config)) != id.as_str() {
            self.put_aside(&self.image_path(id), "it is another image's");
            return None;
        }
        Some(image)
    }

    /// Forgets an image.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn forget_image(&self, id: &ImageId) -> std::io::Result<()> {
        std::fs::remove_file(self.image_path(id))
    }
}
