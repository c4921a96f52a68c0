//! Resolves the images that a build names, once, under the user's pull policy, to ids.
//!
//! A full name is looked up in the storage's listing. What a short name stands for is the engine's
//! knowledge (aliases, search registries): it is asked once, and again when an image whose repository ends
//! in that name came or went, or registries.conf changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::containerfile::{Platform, Rules};
use crate::engine::{Engine, EngineError, ImageRequest, Listing};
use crate::flags::PullPolicy;
use crate::image::{ImageFormat, ImageId, StoredImage};
use crate::names;
use crate::store::Store;

/// A resolved image.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// Manifest and config.
    pub image: Arc<StoredImage>,
    /// The full name that it was found by, for the `base.name` annotation; empty when it was named by id.
    pub canonical_name: String,
}

impl BaseImage {
    /// `repository@digest`, or the bare id where it has no name.
    pub fn pinned(&self) -> String {
        match names::repository(&self.canonical_name) {
            "" => format!("sha256:{}", self.image.id),
            repository => format!("{repository}@{}", self.image.digest),
        }
    }
}

/// Resolves images and remembers them for the length of a build.
pub struct Bases<'a> {
    engine: &'a dyn Engine,
    store: &'a Store,
    policy: PullPolicy,
    flags: Vec<std::ffi::OsString>,
    rules: Rules,
    resolved: Mutex<BTreeMap<(String, Option<String>), BaseImage>>,
}

#[derive(Serialize, Deserialize)]
struct ShortName {
    fingerprint: String,
    id: ImageId,
}

impl<'a> Bases<'a> {
    /// A resolver under this policy and the engine's rules; `flags` are the registry flags that a pull gets.
    pub fn new(
        engine: &'a dyn Engine,
        store: &'a Store,
        policy: PullPolicy,
        flags: Vec<std::ffi::OsString>,
        rules: Rules,
    ) -> Self {
        Self { engine, store, policy, flags, rules, resolved: Mutex::default() }
    }

    /// The image of that name for that platform (`None`: whatever is there).
    ///
    /// `listing` is brought up to date when something is pulled.
    ///
    /// # Errors
    /// When the image cannot be had; the message names it, the policy and the way out.
    pub fn resolve(
        &self,
        listing: &mut Listing,
        name: &str,
        platform: Option<&str>,
    ) -> anyhow::Result<BaseImage> {
        let asked = (name.to_owned(), platform.map(str::to_owned));
        if let Some(found) = self.known().get(&asked) {
            return Ok(found.clone());
        }
        let found = self.find(listing, name, platform)?;
        self.known().insert(asked, found.clone());
        Ok(found)
    }

    /// Forgets the images that were read from folders and archives, which may be others by now.
    pub fn forget_files(&self) {
        self.known().retain(|(name, _), _| crate::host::image_path(name).is_none());
    }

    /// The images resolved so far, by the names and platforms they were asked by.
    pub fn resolved(&self) -> BTreeMap<(String, Option<String>), BaseImage> {
        self.known().clone()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, Option<String>), BaseImage>> {
        self.resolved.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn find(&self, listing: &mut Listing, name: &str, platform: Option<&str>) -> anyhow::Result<BaseImage> {
        if let Some(id) = by_id(listing, name) {
            return self.found(listing, id, name, platform, Origin::Storage);
        }
        let transport = name.contains("://") || has_file_transport(name);
        if matches!(self.policy, PullPolicy::Never | PullPolicy::Missing) && !transport {
            let said = match self.local(listing, name)? {
                Ok(id) => {
                    let found = self.found(listing, id, name, platform, Origin::Storage);
                    if found.is_ok() || self.policy == PullPolicy::Never {
                        return found;
                    }
                    String::new()
                }
                Err(said) => said,
            };
            if self.policy == PullPolicy::Never {
                let said = if said.is_empty() { said } else { format!(" ({})", without_warnings(&said)) };
                bail!(
                    "cannot resolve image `{name}`: it is not in the storage at {} and the pull policy is never{said}; \
                     pull it first, or leave out --pull=never",
                    self.engine.probed().graph_root.display()
                );
            }
        }
        let request = ImageRequest {
            name: name.to_owned(),
            platform: platform.map(str::to_owned),
            flags: self.flags.clone(),
        };
        match self.engine.pull(&request) {
            Ok(id) => {
                *listing = self.engine.list()?;
                self.found(listing, id, name, platform, Origin::Pull)
            }
            Err(EngineError::Interrupted) => Err(EngineError::Interrupted.into()),
            Err(error) => {
                if self.policy == PullPolicy::Newer
                    && let Ok(id) = self.local(listing, name)?
                {
                    return self.found(listing, id, name, platform, Origin::Storage);
                }
                Err(error).with_context(|| {
                    format!(
                        "cannot resolve image `{name}` (pull policy {}): check its spelling and tag, the registry and the login",
                        self.policy
                    )
                })
            }
        }
    }

    fn found(
        &self,
        listing: &Listing,
        id: ImageId,
        name: &str,
        platform: Option<&str>,
        origin: Origin,
    ) -> anyhow::Result<BaseImage> {
        let mut image = self.engine.image(&id).with_context(|| format!("reading image `{name}`"))?;
        if let Some(listed) = listing.get(&id) {
            image.names.clone_from(&listed.names);
            if !listed.digest.is_empty() {
                image.digest.clone_from(&listed.digest);
            }
        }
        if let Some(wanted) = platform {
            // An engine that is handed an id takes the layers for any platform (1.28): it is checked here.
            let mut has = image.platform();
            if self.rules < Rules::Buildah39 && image.format() == ImageFormat::Oci {
                // 1.28 does not read the variant of an OCI image.
                has = has.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
            }
            if !same_platform(&has, wanted, origin) {
                bail!(
                    "image `{name}` in the storage is for {has}, not for {wanted}; pull it for that platform"
                );
            }
        }
        let canonical_name = canonical_name(name, &image.names);
        Ok(BaseImage { image: Arc::new(image), canonical_name })
    }

    fn local(&self, listing: &Listing, name: &str) -> anyhow::Result<Result<ImageId, String>> {
        if let Some(full) = full_name(name) {
            return Ok(listing.named(&full).cloned().ok_or_else(String::new));
        }
        let last = names::repository(name).rsplit('/').next().unwrap_or(name).to_owned();
        let fingerprint = fingerprint(name, &listing.lookalikes(&last));
        let kept = self.store.short_name::<ShortName>(name);
        if let Some(kept) = kept.filter(|k| k.fingerprint == fingerprint && listing.contains(&k.id)) {
            return Ok(Ok(kept.id));
        }
        let id = self.engine.resolve_local(name)?;
        if let Ok(id) = &id {
            // Only saves a call next time.
            let _ = self.store.put_short_name(name, &ShortName { fingerprint, id: id.clone() });
        }
        Ok(id)
    }
}

fn by_id(listing: &Listing, name: &str) -> Option<ImageId> {
    if let Some(id) = ImageId::parse(name) {
        return listing.contains(&id).then_some(id);
    }
    let hex = name.len() >= 6 && name.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && listing.lookalikes(name).is_empty() { listing.by_prefix(name).cloned() } else { None }
}

/// Transports of images that are files (containers-transports(5)).
fn has_file_transport(name: &str) -> bool {
    ["dir:", "oci:", "oci-archive:", "docker-archive:", "docker-daemon:", "sif:"]
        .iter()
        .any(|transport| name.starts_with(transport))
}

/// A name with registry, `library/` and tag made explicit; `None` for a short name or one with a digest.
fn full_name(name: &str) -> Option<String> {
    if name.contains('@') {
        return None;
    }
    let (domain, rest) = name.split_once('/')?;
    if !(domain.contains(['.', ':']) || domain == "localhost") {
        return None;
    }
    let mut full = name.to_owned();
    if domain == "docker.io" && !rest.contains('/') {
        full = format!("docker.io/library/{rest}");
    }
    if names::repository(&full) == full {
        full.push_str(":latest");
    }
    Some(full)
}

/// The name among those of the image that `name` stands for.
fn canonical_name(name: &str, names: &[String]) -> String {
    if let Some(full) = full_name(name) {
        return full;
    }
    let repository = names::repository(name);
    let tag = name.strip_prefix(repository).and_then(|rest| rest.strip_prefix(':')).unwrap_or("latest");
    let suffix = format!("/{}:{}", repository, tag.split('@').next().unwrap_or(tag));
    names.iter().find(|n| n.ends_with(&suffix)).or(names.first()).cloned().unwrap_or_default()
}

/// What an engine says of a failure, without the warnings in front of it (podman 5 on cgroups v1).
fn without_warnings(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.contains(" level=warning "));
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches("Error: ")).collect();
    lines.join("\n").trim().to_owned()
}

/// Where an image was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Storage,
    /// A server gives the best that it has; the engines take another variant with a warning (1.39).
    Pull,
}

/// Whether an image is for the platform that is asked for, in containerd's names: arm is arm/v7, arm64 is arm64/v8, and
/// nothing stands for any variant.
fn same_platform(has: &str, wanted: &str, origin: Origin) -> bool {
    let (Some(has), Some(wanted)) = (Platform::parse(has), Platform::parse(wanted)) else {
        return has == wanted;
    };
    let any_variant = origin == Origin::Pull && (has.variant.is_empty() || wanted.variant.is_empty());
    has.os == wanted.os
        && has.architecture == wanted.architecture
        && (has.variant == wanted.variant || any_variant)
}

fn fingerprint(name: &str, lookalikes: &BTreeMap<&str, &str>) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let user = home.join(".config/containers");
    let cache = home.join(".cache/containers/short-name-aliases.conf");
    let mut paths = vec![
        PathBuf::from("/etc/containers/registries.conf"),
        "/etc/containers/registries.conf.d".into(),
        "/var/cache/containers/short-name-aliases.conf".into(),
        user.join("registries.conf"),
        user.join("registries.conf.d"),
        cache,
    ];
    paths.extend(std::env::var_os("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from));
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes());
    for path in paths {
        if let Ok(meta) = fs::metadata(&path) {
            hasher.update(format!("\n{} {} {}", path.display(), meta.mtime(), meta.mtime_nsec()).as_bytes());
        }
    }
    for (name, id) in lookalikes {
        hasher.update(format!("\n{name} {id}").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_registry_are_full() {
        for (name, expected) in [
            ("docker.io/alpine", Some("docker.io/library/alpine:latest")),
            ("quay.io/a/b:1", Some("quay.io/a/b:1")),
            ("localhost/x", Some("localhost/x:latest")),
            ("reg:5000/x", Some("reg:5000/x:latest")),
            ("alpine", None),
            ("library/alpine", None),
            ("quay.io/a@sha256:00", None),
        ] {
            assert_eq!(full_name(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_canonical_name_is_the_one_the_short_name_ends() {
        let names = ["quay.io/x/other:1".to_owned(), "docker.io/library/alpine:latest".to_owned()];
        assert_eq!(canonical_name("alpine", &names), "docker.io/library/alpine:latest");
        assert_eq!(canonical_name("deadbeefdead", &names), "quay.io/x/other:1");
    }

    #[test]
    fn warnings_of_the_engine_are_no_reason() {
        let said = "time=\"x\" level=warning msg=\"cgroups-v1\"\nError: nope: image not known\n";
        assert_eq!(without_warnings(said), "nope: image not known");
    }

    #[test]
    fn a_platform_without_a_variant_stands_for_the_usual_one() {
        let same = |has, wanted| same_platform(has, wanted, Origin::Storage);
        assert!(same("linux/arm64/v8", "linux/arm64"));
        assert!(same("linux/arm", "linux/arm/v7"));
        assert!(!same("linux/amd64", "linux/arm64"));
        assert!(!same("linux/arm/v6", "linux/arm/v7"));
        assert!(!same("linux/arm/v6", "linux/arm"));
        assert!(!same("linux/amd64", "linux/amd64/v2"));
        assert!(same_platform("linux/amd64", "linux/amd64/v2", Origin::Pull));
        assert!(!same_platform("linux/arm/v6", "linux/arm/v7", Origin::Pull));
    }
}
