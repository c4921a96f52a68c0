//! What a config commit hands to the engine: an image's manifest and config, without the layers that the storage has.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::image::{ComposedImage, hex};
use sha2::{Digest, Sha256};

/// What is to be pulled, with the policy under which that is allowed; gone when dropped.
///
/// Where the policy of the machine refuses what is not signed (`"default": [{"type": "reject"}]`), it refuses folders and
/// archives as well, while the commits of a build are not held to it (all versions). What lies here comes from the storage:
/// its bases came under the policy of the user, and the one here allows this path alone.
#[derive(Debug)]
pub struct Import {
    folder: TempDir,
    transport: &'static str,
    name: &'static str,
}

impl Import {
    fn new(folder: TempDir, transport: &'static str, name: &'static str) -> io::Result<Self> {
        // The engine looks up the path without links.
        let path = fs::canonicalize(folder.path())?.join(name);
        fs::write(folder.path().join("policy.json"), policy_for(transport, &path.to_string_lossy()))?;
        Ok(Self { folder, transport, name })
    }

    /// What the engine pulls: `TRANSPORT:PATH`.
    pub fn source(&self) -> OsString {
        let mut source = OsString::from(format!("{}:", self.transport));
        source.push(self.folder.path().join(self.name));
        source
    }

    /// Where the engine may unpack it: gone with it, also when the call is ended early.
    pub fn temporary(&self) -> &Path {
        self.folder.path()
    }

    /// The policy for that.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.json")
    }
}

/// A policy that allows one scope of one transport alone; "" is all of it (containers-policy.json(5)).
pub fn policy_for(transport: &str, scope: &str) -> String {
    let policy = json!({
        "default": [{"type": "reject"}],
        "transports": {transport: {scope: [{"type": "insecureAcceptAnything"}]}},
    });
    policy.to_string()
}

/// A folder for the `dir:` transport, which leaves no name (facts: 60 to 150 ms, every version from 1.28).
///
/// # Errors
/// When it cannot be written.
pub fn folder(image: &ComposedImage) -> io::Result<Import> {
    let folder = temporary().tempdir()?;
    write_folder(image, &folder.path().join("image"))?;
    Import::new(folder, "dir", "image")
}

/// A folder for the `dir:` transport with the image's last layer, which is moved there; beside it where that can be.
///
/// # Errors
/// When it cannot be written.
pub fn folder_with(image: &ComposedImage, layer: &Path) -> io::Result<Import> {
    let manifest: Value = serde_json::from_slice(&image.manifest)?;
    let digest = manifest["layers"].as_array().and_then(|layers| layers.last()?["digest"].as_str());
    let name = digest.and_then(|digest| digest.strip_prefix("sha256:"));
    let name = name.ok_or_else(|| io::Error::other("the manifest has no layer"))?;
    let folder = temporary().tempdir_in(layer.parent().unwrap_or(Path::new(".")))?;
    let content = folder.path().join("image");
    write_folder(image, &content)?;
    fs::rename(layer, content.join(name))?;
    Import::new(folder, "dir", "image")
}

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(super::temporary::prefix());
    builder
}

fn write_folder(image: &ComposedImage, folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    fs::write(folder.join("version"), "Directory Transport Version: 1.1\n")?;
    fs::write(folder.join("manifest.json"), &image.manifest)?;
    fs::write(folder.join(image.id.as_str()), &image.config)
}

/// A file for the `oci-archive:` transport, which leaves the name that its index gives: no second call for that.
///
/// A docker-format manifest in there stays one (buildah 1.28, 1.39 and 1.43, podman 4.3, 5.4 and 5.8). An `oci:` folder
/// would be named after itself (1.28), and a `docker-archive:` has to hold the layers.
///
/// # Errors
/// When it cannot be written.
pub fn archive(image: &ComposedImage, name: &str) -> io::Result<Import> {
    let folder = temporary().tempdir()?;
    let manifest = hex(&Sha256::digest(&image.manifest));
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": image.media_type(),
            "digest": format!("sha256:{manifest}"),
            "size": image.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }],
    });
    let mut archive = tar::Builder::new(fs::File::create(folder.path().join("image.tar"))?);
    for (path, bytes) in [
        ("oci-layout", &br#"{"imageLayoutVersion":"1.0.0"}"#[..]),
        ("index.json", index.to_string().as_bytes()),
        (&format!("blobs/sha256/{manifest}"), &image.manifest),
        (&format!("blobs/sha256/{}", image.id), &image.config),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes)?;
    }
    archive.into_inner()?;
    Import::new(folder, "oci-archive", "image.tar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ImageFormat, scratch};
    use std::collections::BTreeMap;
    use std::io::Read;

    #[test]
    fn an_archive_holds_manifest_and_config_and_names_them() {
        for (format, media_type) in [
            (ImageFormat::Oci, "application/vnd.oci.image.manifest.v1+json"),
            (ImageFormat::Docker, "application/vnd.docker.distribution.manifest.v2+json"),
        ] {
            let base = scratch(format, ("linux", "amd64", None), "2026-01-01T00:00:00Z");
            let image = ComposedImage::new(&base, &base.config, serde_json::Map::new()).unwrap();
            let import = archive(&image, "localhost/stagecache/a:1").unwrap();
            let file = import.folder.path().join("image.tar");
            let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
            let entries = archive.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (entry.path().unwrap().to_string_lossy().into_owned(), bytes)
            });
            let files: BTreeMap<String, Vec<u8>> = entries.collect();
            let index: serde_json::Value = serde_json::from_slice(&files["index.json"]).unwrap();
            let manifest = &index["manifests"][0];
            assert_eq!(manifest["mediaType"], media_type);
            assert_eq!(
                manifest["annotations"]["org.opencontainers.image.ref.name"],
                "localhost/stagecache/a:1"
            );
            let digest = manifest["digest"].as_str().unwrap().replace(':', "/");
            assert_eq!(files[&format!("blobs/{digest}")], image.manifest);
            assert_eq!(files[&format!("blobs/sha256/{}", image.id)], image.config);
        }
    }
}
