//! Manifest and config of a patched image.

use serde_json::Value;

use super::Patched;
use crate::image::{CREATED, ComposedImage, StoredImage};

/// The image of last time with the new layer; nothing where it is not what the patch takes it for.
///
/// `parent` is what the step stands on, nothing for scratch; `now` the time of the step, RFC 3339.
pub fn image(
    old: &StoredImage,
    parent: Option<&StoredImage>,
    patched: &Patched,
    now: &str,
) -> Option<ComposedImage> {
    let (before, after) = (&patched.before, &patched.after);
    let diff_ids = old.diff_ids();
    let (last, below) = diff_ids.split_last()?;
    if *last != before.diff_id || below != parent.map(StoredImage::diff_ids).unwrap_or_default() {
        return None;
    }
    let is_parent = |id: &str| parent.is_some_and(|parent| parent.id.as_str() == id);
    let mut config = old.config.clone();
    config["created"] = now.into();
    *config.pointer_mut("/rootfs/diff_ids")?.as_array_mut()?.last_mut()? = after.diff_id.clone().into();
    let named = config.get("parent").and_then(Value::as_str).map(|id| id.trim_start_matches("sha256:"));
    if named.is_some_and(|id| !is_parent(id)) {
        return None;
    }
    let inherited = parent.map_or(&[][..], StoredImage::history);
    let history = config.get_mut("history")?.as_array_mut()?;
    let is_inherited = history.len() > inherited.len()
        && history
            .iter()
            .zip(inherited)
            .all(|(entry, inherited)| without_time(entry) == without_time(inherited));
    if !is_inherited {
        return None;
    }
    history[..inherited.len()].clone_from_slice(inherited);
    for entry in &mut history[inherited.len()..] {
        entry["created"] = now.into();
        let comment = entry.get("comment").and_then(Value::as_str).unwrap_or_default();
        let mut ids = comment.split(|c: char| !c.is_ascii_hexdigit()).filter(|id| id.len() == 64);
        if !ids.all(is_parent) {
            return None;
        }
    }
    let entry = history.last_mut()?;
    let said = entry.get("created_by")?.as_str()?;
    let (was, is) = (format!(" {} in ", before.copied), format!(" {} in ", after.copied));
    if said.matches(&was).count() != 1 {
        return None;
    }
    entry["created_by"] = said.replace(&was, &is).into();
    let mut image = old.clone();
    let layer = image.manifest.get_mut("layers")?.as_array_mut()?.last_mut()?;
    if layer.get("digest").and_then(Value::as_str) != Some(&before.diff_id) {
        return None;
    }
    layer["digest"] = after.diff_id.clone().into();
    layer["size"] = after.size.into();
    let mut annotations = image.annotations();
    if annotations.contains_key(CREATED) {
        annotations.insert(CREATED.into(), now.into());
    }
    ComposedImage::new(&image, &config, annotations).ok()
}

fn without_time(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(fields) = entry.as_object_mut() {
        fields.shift_remove("created");
    }
    entry
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Made;
    use super::*;
    use crate::image::{ImageFormat, scratch};

    fn made(name: &str) -> Made {
        Made { diff_id: format!("sha256:{name}"), size: 7, copied: format!("dir:{name}") }
    }

    /// An image with a layer `below`, and one on it with the layer `was`, left by a COPY.
    fn parent_and_old() -> (StoredImage, StoredImage) {
        let empty = scratch(ImageFormat::Oci, ("linux", "amd64", None), "then");
        let with = |image: &StoredImage, layer: &str, entries: serde_json::Value| {
            let mut image = image.clone();
            let digest = format!("sha256:{layer}");
            image.config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(digest.clone().into());
            image.manifest["layers"].as_array_mut().unwrap().push(json!({"digest": digest, "size": 1}));
            image.config["history"]
                .as_array_mut()
                .unwrap()
                .extend(entries.as_array().unwrap().iter().cloned());
            image.manifest["annotations"] = json!({"org.opencontainers.image.created": "then", "a": "b"});
            image
        };
        let parent = with(&empty, "below", json!([{"created": "then", "created_by": "RUN x"}]));
        let copy = "/bin/sh -c #(nop) COPY dir:was in /x ";
        let comment = format!("FROM {}", parent.id);
        let own = json!([
            {"created": "then", "created_by": "ENV A=1", "empty_layer": true},
            {"created": "then", "created_by": copy, "comment": comment},
        ]);
        let old = with(&parent, "was", own);
        (parent, old)
    }

    #[test]
    fn the_new_image_is_the_old_one_with_another_layer_digest_and_time() {
        let (parent, old) = parent_and_old();
        let patched = Patched { before: made("was"), after: made("is"), changed: 1 };
        let image = image(&old, Some(&parent), &patched, "now").unwrap().stored().unwrap();
        assert_eq!(image.diff_ids(), ["sha256:below", "sha256:is"]);
        assert_eq!(image.manifest["layers"][1], json!({"digest": "sha256:is", "size": 7}));
        assert_eq!(image.created(), "now");
        assert_eq!(image.annotation(CREATED), Some("now"));
        assert_eq!(image.annotation("a"), Some("b"));
        let history: Vec<_> = image.history().iter().map(|e| (&e["created"], &e["created_by"])).collect();
        let copy = json!("/bin/sh -c #(nop) COPY dir:is in /x ");
        assert_eq!(
            history,
            [(&json!("then"), &json!("RUN x")), (&json!("now"), &json!("ENV A=1")), (&json!("now"), &copy)]
        );
    }

    #[test]
    fn an_image_that_is_not_what_the_patch_takes_it_for_gives_none() {
        let (parent, old) = parent_and_old();
        let patched = |before: Made| Patched { before, after: made("is"), changed: 1 };
        let none = |old: &StoredImage, parent: Option<&StoredImage>, before: Made| {
            assert_eq!(image(old, parent, &patched(before), "now"), None);
        };
        none(&old, Some(&parent), made("other"));
        none(&old, Some(&parent), Made { copied: "dir:other".into(), ..made("was") });
        none(&old, None, made("was"));
        none(&old, Some(&old), made("was"));
        let changed = |pointer: &str, value: serde_json::Value| {
            let mut changed = old.clone();
            *changed.config.pointer_mut(pointer).unwrap() = value;
            changed
        };
        none(&changed("/history/0/created_by", json!("RUN y")), Some(&parent), made("was"));
        none(
            &changed("/history/2/comment", json!(format!("FROM {}", "ab".repeat(32)))),
            Some(&parent),
            made("was"),
        );
        none(&changed("/history/2/created_by", json!("COPY src /x")), Some(&parent), made("was"));
        let mut docker = old.clone();
        docker.config["parent"] = json!(format!("sha256:{}", "ab".repeat(32)));
        none(&docker, Some(&parent), made("was"));
        docker.config["parent"] = json!(format!("sha256:{}", parent.id));
        assert!(image(&docker, Some(&parent), &patched(made("was")), "now").is_some());
        let mut compressed = old.clone();
        compressed.manifest["layers"][1]["digest"] = json!("sha256:gzipped");
        none(&compressed, Some(&parent), made("was"));
    }
}
