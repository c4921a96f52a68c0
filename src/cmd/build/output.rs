//! What a build leaves outside the storage, and the manifest list.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::BuildResult;
use crate::engine::{self, Engine, EngineKind, temporary};
use crate::flags::values::Output;
use crate::image::{ImageId, StoredImage};
use crate::names;
use crate::record::BuildRecord;
use crate::report::print_all;
use crate::request::BuildRequest;
use crate::session::Session;
use crate::tip;
use crate::upkeep::Lease;

pub(super) fn finish(
    session: &Session,
    request: &BuildRequest,
    results: &[BuildResult],
    lease: &Lease,
) -> anyhow::Result<()> {
    let list = request.manifest.as_ref().map(|list| manifest(session, list, results)).transpose()?.flatten();
    for result in results {
        export(session, request, &result.image, lease)?;
        write_to_destinations(session, request, &result.image)?;
    }
    let Some(last) = results.last() else { return Ok(()) };
    if request.metadata_file.is_some() {
        write_metadata(request, &last.record, Some(&session.engine.image(&last.image)?))?;
    }
    let id = list.as_ref().unwrap_or(&last.image);
    if let Some(path) = &request.iid_file {
        fs::write(path, format!("sha256:{id}"))
            .with_context(|| format!("writing --iidfile {}", path.display()))?;
    }
    if let Some(path) = &request.iid_file_raw {
        fs::write(path, id.as_str()).with_context(|| format!("writing --iidfile-raw {}", path.display()))?;
    }
    if request.iid_file.is_none() && request.iid_file_raw.is_none() {
        for result in results {
            crate::report::print(&format!("{}\n", result.image))
                .with_context(|| format!("image {} is built, but its id cannot be told", result.image))?;
        }
    }
    Ok(())
}

/// Writes the record where `--metadata-file` says, of a failed build as well: why it failed stands in it. Of the image of
/// one that succeeded the engines' own fields are beside it (1.44).
pub(super) fn write_metadata(
    request: &BuildRequest,
    record: &BuildRecord,
    image: Option<&StoredImage>,
) -> anyhow::Result<()> {
    let Some(path) = &request.metadata_file else { return Ok(()) };
    let mut metadata = serde_json::to_value(record).context("writing the record")?;
    if let Some(image) = image {
        let fields = engine_metadata(image);
        metadata.as_object_mut().expect("a record is an object").extend(fields);
    }
    let bytes = serde_json::to_vec_pretty(&metadata).context("writing the record")?;
    crate::atomic::write(path, &bytes).with_context(|| format!("writing --metadata-file {}", path.display()))
}

/// What buildah 1.44 and podman 6.0 write of an image.
fn engine_metadata(image: &StoredImage) -> Map<String, Value> {
    let media_type = image.manifest.get("mediaType").cloned().unwrap_or_default();
    let descriptor = json!({"mediaType": media_type, "digest": image.digest, "size": image.manifest_size});
    Map::from_iter([
        ("containerimage.config.digest".into(), format!("sha256:{}", image.id).into()),
        ("containerimage.descriptor".into(), descriptor),
        ("containerimage.digest".into(), image.digest.clone().into()),
    ])
}

/// Writes the image's files where `--output` says.
pub(super) fn export(
    session: &Session,
    request: &BuildRequest,
    image: &ImageId,
    lease: &Lease,
) -> anyhow::Result<()> {
    if request.outputs.is_empty() {
        return Ok(());
    }
    let engine = session.engine.as_ref();
    let plain = tip::without_triggers(&engine.image(image)?, &engine::new_mark())?;
    let image = match &plain {
        Some(plain) => &engine.commit_config(plain, None).context("making an image without its ONBUILD")?,
        None => image,
    };
    let written = request.outputs.iter().try_for_each(|output| export_to(engine, output, image, lease));
    if plain.is_some() {
        engine.remove(&[image.to_string()]).context("removing the image that was made for --output")?;
    }
    written
}

fn export_to(engine: &dyn Engine, output: &Output, image: &ImageId, lease: &Lease) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix(temporary::prefix())
        .tempdir_in(temporary::large())
        .context("making a folder (free some space, or set TMPDIR)")?;
    let containerfile = folder.path().join("Containerfile");
    fs::write(&containerfile, format!("FROM {image}\n")).context("writing a Containerfile")?;
    let tar = |path: &Path| {
        let mut value = OsString::from("type=tar,dest=");
        value.push(path);
        value
    };
    // Beside an archive on its standard output the engine may say other things there (podman).
    let archive = folder.path().join("archive.tar");
    let output = match output {
        Output::Dir(path) => path.clone().into_os_string(),
        Output::Tar(path) => tar(path),
        Output::Stdout => tar(&archive),
    };
    let mark = lease.mark_of_call();
    let mut args: Vec<OsString> =
        ["build", "--quiet", "--no-cache", "--pull=never", "--rm=true", "--force-rm=true", "--layers=false"]
            .map(OsString::from)
            .to_vec();
    args.push(engine::flag("output", &output));
    args.push(engine::marked(&mark));
    args.push(engine::flag("iidfile", folder.path().join("iid")));
    args.push(engine::flag("file", &containerfile));
    args.push(folder.path().into());
    let built = engine.quietly("build --output", &args);
    engine.sweep(&mark)?;
    built?;
    if archive.exists() {
        let mut archive = fs::File::open(&archive).context("reading what --output=- is to print")?;
        print_all(&mut archive)?;
    }
    Ok(())
}

/// Writes the finished image to each destination.
fn write_to_destinations(session: &Session, request: &BuildRequest, image: &ImageId) -> anyhow::Result<()> {
    if request.destinations.is_empty() {
        return Ok(());
    }
    // A commit is not held to the policy of the machine.
    let folder = tempfile::Builder::new().prefix(temporary::prefix()).tempdir().context("making a folder")?;
    let policy = folder.path().join("policy.json");
    fs::write(&policy, engine::policy_for("containers-storage", "")).context("writing a policy")?;
    for destination in &request.destinations {
        let mut args: Vec<OsString> = ["push", "--quiet"].map(OsString::from).to_vec();
        args.push(engine::flag("signature-policy", &policy));
        // podman takes layers as they are in the storage, except for a registry (4.3).
        if session.engine.probed().kind == EngineKind::Buildah && request.uncompressed {
            args.push("--disable-compression".into());
        }
        if destination.as_bytes().starts_with(b"docker:") {
            let of_policy = |flag: &&OsString| flag.as_bytes().starts_with(b"--signature-policy");
            args.extend(request.pull_flags.iter().filter(|flag| !of_policy(flag)).cloned());
        }
        args.extend([image.as_str().into(), destination.clone()]);
        session
            .engine
            .quietly("push", &args)
            .with_context(|| format!("writing --tag={}", destination.to_string_lossy()))?;
    }
    Ok(())
}

/// Refuses a name of a list that an image has.
pub(super) fn is_free_for_list(session: &Session, list: &str) -> anyhow::Result<()> {
    if session.engine.list()?.named(&names::full(list)).is_some() {
        is_a_list(session, list)?;
    }
    Ok(())
}

fn is_a_list(session: &Session, list: &str) -> anyhow::Result<()> {
    let inspect: Vec<OsString> = ["manifest", "inspect", list].map(OsString::from).to_vec();
    let inspected = session.engine.quietly("manifest inspect", &inspect);
    inspected.with_context(|| format!("--manifest={list}: it is there and is no manifest list")).map(drop)
}

/// Adds the images to a manifest list, which is made where it is not there; gives the id that the engine says of it where
/// that is what it writes for `--iidfile` (podman 4.3; buildah writes the image's).
pub(super) fn manifest(
    session: &Session,
    list: &str,
    results: &[BuildResult],
) -> anyhow::Result<Option<ImageId>> {
    let create: Vec<OsString> = ["manifest", "create", list].map(OsString::from).to_vec();
    if session.engine.quietly("manifest create", &create).is_err() {
        is_a_list(session, list)?;
    }
    let mut told = String::new();
    for result in results {
        let image = format!("containers-storage:{}", result.image);
        let add: Vec<OsString> = ["manifest", "add", list, &image].map(OsString::from).to_vec();
        told = session
            .engine
            .quietly("manifest add", &add)
            .with_context(|| format!("adding {} to {list}", result.platform))?;
    }
    let is_written = session.engine.probed().kind == EngineKind::Podman;
    Ok(ImageId::parse(told.trim()).filter(|_| is_written))
}
