//! Images as they lie in a storage: id, manifest, config; and new configs composed over layers that are there.
//!
//! Pure. Reading from a storage and committing are `engine`'s work.

use std::fmt;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Annotation that names the base image (OCI image spec, annotations).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// Annotation with the manifest digest of the base image.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Annotation with the image's time.
pub const CREATED: &str = "org.opencontainers.image.created";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The id of an image: the SHA-256 of its config, 64 hexadecimal digits without a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImageId(String);

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.0
    }
}

impl TryFrom<String> for ImageId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let id = Self::parse(&text).filter(|id| id.0 == text);
        id.ok_or_else(|| format!("`{}` is no image id", text.escape_debug()))
    }
}

impl ImageId {
    /// Reads `<64 hex>` or `sha256:<64 hex>`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (hex.len() == 64 && hex.bytes().all(lower_hex)).then(|| Self(hex.to_owned()))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as the engines show an id.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The format of a manifest and its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// OCI image manifest and config: no SHELL, HEALTHCHECK, ONBUILD.
    Oci,
    /// Docker schema 2.
    Docker,
}

/// An image with its manifest and config as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredImage {
    /// The image id.
    pub id: ImageId,
    /// The digest of the manifest, `sha256:…`.
    pub digest: String,
    /// The names it has in the storage.
    pub names: Vec<String>,
    /// The manifest.
    pub manifest: Value,
    /// How many bytes it has as it is stored.
    pub manifest_size: usize,
    /// The config.
    pub config: Value,
    /// The config's bytes, whose digest is the id.
    pub raw_config: Vec<u8>,
}

impl StoredImage {
    /// OCI or docker, by the manifest's media type.
    pub fn format(&self) -> ImageFormat {
        match self.manifest.get("mediaType").and_then(Value::as_str) {
            Some(DOCKER_MANIFEST) => ImageFormat::Docker,
            _ => ImageFormat::Oci,
        }
    }

    /// The same image with a manifest of that format, for a config of that format to be composed over.
    #[must_use]
    pub fn in_format(mut self, format: ImageFormat) -> Self {
        if self.format() == format {
            return self;
        }
        let (manifest_type, config_type) = media_types(format);
        self.manifest["mediaType"] = manifest_type.into();
        self.manifest["config"]["mediaType"] = config_type.into();
        if let (ImageFormat::Docker, Some(fields)) = (format, self.manifest.as_object_mut()) {
            fields.shift_remove("annotations");
        }
        for layer in self.manifest.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten() {
            let old = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
            let zstd = old.ends_with("zstd");
            let gzip = old.ends_with("gzip");
            layer["mediaType"] = match format {
                ImageFormat::Oci if zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
                ImageFormat::Oci if gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
                ImageFormat::Oci => "application/vnd.oci.image.layer.v1.tar",
                ImageFormat::Docker if gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
                ImageFormat::Docker => "application/vnd.docker.image.rootfs.diff.tar",
            }
            .into();
        }
        self
    }

    /// The diff ids of the layers, lowest first.
    pub fn diff_ids(&self) -> Vec<String> {
        strings(self.config.pointer("/rootfs/diff_ids"))
    }

    /// The variables of the config, `NAME=value`.
    pub fn env(&self) -> Vec<String> {
        strings(self.config.pointer("/config/Env"))
    }

    /// A label of the config.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.get("config")?.get("Labels")?.get(key)?.as_str()
    }

    /// The pending ONBUILD triggers.
    pub fn triggers(&self) -> Vec<String> {
        strings(self.config.pointer("/config/OnBuild"))
    }

    /// `os/architecture[/variant]`.
    pub fn platform(&self) -> String {
        let part = |key| self.config.get(key).and_then(Value::as_str).unwrap_or_default();
        match part("variant") {
            "" => format!("{}/{}", part("os"), part("architecture")),
            variant => format!("{}/{}/{variant}", part("os"), part("architecture")),
        }
    }

    /// The manifest's annotations.
    pub fn annotations(&self) -> Map<String, Value> {
        self.manifest.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// An annotation of the manifest.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.manifest.get("annotations")?.get(key)?.as_str()
    }

    /// The history entries.
    pub fn history(&self) -> &[Value] {
        self.config.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// When the image was created, as written in the config.
    pub fn created(&self) -> &str {
        self.config.get("created").and_then(Value::as_str).unwrap_or_default()
    }
}

fn media_types(format: ImageFormat) -> (&'static str, &'static str) {
    match format {
        ImageFormat::Oci => (OCI_MANIFEST, OCI_CONFIG),
        ImageFormat::Docker => (DOCKER_MANIFEST, DOCKER_CONFIG),
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
        .unwrap_or_default()
}

/// The empty image that `FROM scratch` starts from.
pub fn scratch(format: ImageFormat, platform: (&str, &str, Option<&str>), created: &str) -> StoredImage {
    let (os, architecture, variant) = platform;
    let mut config = json!({"created": created, "architecture": architecture});
    if let Some(variant) = variant {
        config["variant"] = variant.into();
    }
    config["os"] = os.into();
    config["config"] = json!({});
    config["rootfs"] = json!({"type": "layers", "diff_ids": []});
    config["history"] = json!([]);
    let (manifest_type, config_type) = media_types(format);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": {"mediaType": config_type, "digest": "", "size": 0},
        "layers": [],
    });
    StoredImage {
        id: ImageId("0".repeat(64)),
        digest: String::new(),
        names: Vec::new(),
        manifest,
        manifest_size: 0,
        config,
        raw_config: Vec::new(),
    }
}

/// A manifest and a config that stand over layers which the storage already holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposedImage {
    /// The id that the image will have.
    pub id: ImageId,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
}

impl ComposedImage {
    /// Composes `config` over the layers of `image`, with these annotations (OCI only; docker manifests have none).
    ///
    /// # Errors
    /// When the config does not list exactly the layers that the manifest has.
    pub fn new(image: &StoredImage, config: &Value, annotations: Map<String, Value>) -> anyhow::Result<Self> {
        let layers = image.manifest.get("layers").and_then(Value::as_array).map_or(0, Vec::len);
        let diff_ids = strings(config.pointer("/rootfs/diff_ids")).len();
        if layers != diff_ids {
            bail!("image {} has {layers} layers but {diff_ids} diff ids", image.id);
        }
        let config = serde_json::to_vec(config).context("writing an image config")?;
        Self::of(image, config, annotations)
    }

    /// The image as it is, but with these annotations.
    ///
    /// # Errors
    /// When the manifest cannot be written.
    pub fn annotated(image: &StoredImage, annotations: Map<String, Value>) -> anyhow::Result<Self> {
        Self::of(image, image.raw_config.clone(), annotations)
    }

    fn of(image: &StoredImage, config: Vec<u8>, annotations: Map<String, Value>) -> anyhow::Result<Self> {
        let id = ImageId(hex(&Sha256::digest(&config)));
        let mut manifest = image.manifest.clone();
        manifest["config"]["digest"] = format!("sha256:{id}").into();
        manifest["config"]["size"] = config.len().into();
        if image.format() == ImageFormat::Oci {
            if annotations.is_empty() {
                if let Some(fields) = manifest.as_object_mut() {
                    fields.shift_remove("annotations");
                }
            } else {
                manifest["annotations"] = Value::Object(annotations);
            }
        }
        let manifest = serde_json::to_vec(&manifest).context("writing an image manifest")?;
        Ok(Self { id, config, manifest })
    }

    /// An image of a storage, to be committed again when it is gone and its layers are not.
    ///
    /// # Errors
    /// When the manifest cannot be written.
    pub fn again(image: &StoredImage) -> anyhow::Result<Self> {
        let manifest = serde_json::to_vec(&image.manifest).context("writing an image manifest")?;
        Ok(Self { id: image.id.clone(), config: image.raw_config.clone(), manifest })
    }

    /// The manifest's media type.
    pub fn media_type(&self) -> String {
        let manifest: Value = serde_json::from_slice(&self.manifest).unwrap_or_default();
        manifest.get("mediaType").and_then(Value::as_str).unwrap_or(OCI_MANIFEST).to_owned()
    }

    /// The image as it will be stored.
    ///
    /// # Errors
    /// Never in practice: the bytes were written by [`ComposedImage::new`].
    pub fn stored(&self) -> anyhow::Result<StoredImage> {
        Ok(StoredImage {
            id: self.id.clone(),
            digest: format!("sha256:{}", hex(&Sha256::digest(&self.manifest))),
            names: Vec::new(),
            manifest: serde_json::from_slice(&self.manifest)?,
            manifest_size: self.manifest.len(),
            config: serde_json::from_slice(&self.config)?,
            raw_config: self.config.clone(),
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_hex_digits_with_or_without_its_algorithm() {
        let hex = "ab".repeat(32);
        assert_eq!(ImageId::parse(&format!("sha256:{hex}\n")).unwrap().as_str(), hex);
        assert_eq!(ImageId::parse(&hex).unwrap().short(), "abababababab");
        for bad in ["", "abc", &"AB".repeat(32), &"xy".repeat(32)] {
            assert_eq!(ImageId::parse(bad), None, "{bad}");
            assert!(serde_json::from_value::<ImageId>((*bad).into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_composed_image_has_the_digest_of_its_config_as_id_and_keeps_the_layers() {
        let base = scratch(ImageFormat::Oci, ("linux", "amd64", None), "2026-01-01T00:00:00Z");
        let mut config = base.config.clone();
        config["config"]["User"] = "me".into();
        let mut annotations = Map::new();
        annotations.insert(BASE_NAME.into(), "".into());
        let composed = ComposedImage::new(&base, &config, annotations).unwrap();
        let stored = composed.stored().unwrap();
        assert_eq!(stored.config["config"]["User"], "me");
        assert_eq!(stored.manifest["config"]["digest"], format!("sha256:{}", composed.id));
        assert_eq!(stored.annotation(BASE_NAME), Some(""));
        assert_eq!(stored.platform(), "linux/amd64");
    }

    #[test]
    fn a_config_that_lists_other_layers_is_refused() {
        let base = scratch(ImageFormat::Oci, ("linux", "amd64", None), "");
        let mut config = base.config.clone();
        config["rootfs"]["diff_ids"] = json!(["sha256:1"]);
        assert!(ComposedImage::new(&base, &config, Map::new()).is_err());
    }
}
