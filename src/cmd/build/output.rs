//! What a build leaves outside the storage, and the manifest list.

use std::ffi::OsString;
use std::fs;

use anyhow::Context;

use super::BuildResult;
use crate::engine;
use crate::image::ImageId;
use crate::record::BuildRecord;
use crate::request::BuildRequest;
use crate::session::Session;

pub(super) fn finish(
    session: &Session,
    request: &BuildRequest,
    results: &[BuildResult],
) -> anyhow::Result<()> {
    if let Some(list) = &request.manifest {
        manifest(session, list, results)?;
    }
    for result in results {
        export(session, request, &result.image)?;
    }
    let Some(last) = results.last() else { return Ok(()) };
    write_metadata(request, &last.record)?;
    if let Some(path) = &request.iid_file {
        fs::write(path, format!("sha256:{}", last.image))
            .with_context(|| format!("writing --iidfile {}", path.display()))?;
    }
    if let Some(path) = &request.iid_file_raw {
        fs::write(path, last.image.as_str())
            .with_context(|| format!("writing --iidfile-raw {}", path.display()))?;
    }
    if request.iid_file.is_none() && request.iid_file_raw.is_none() {
        for result in results {
            crate::report::print(&format!("{}\n", result.image))?;
        }
    }
    Ok(())
}

/// Writes the record where `--metadata-file` says, of a failed build as well: why it failed stands in it.
pub(super) fn write_metadata(request: &BuildRequest, record: &BuildRecord) -> anyhow::Result<()> {
    let Some(path) = &request.metadata_file else { return Ok(()) };
    let bytes = serde_json::to_vec_pretty(record).context("writing the record")?;
    crate::atomic::write(path, &bytes).with_context(|| format!("writing --metadata-file {}", path.display()))
}

/// Writes the image's files where `--output` says.
pub(super) fn export(session: &Session, request: &BuildRequest, image: &ImageId) -> anyhow::Result<()> {
    if request.outputs.is_empty() {
        return Ok(());
    }
    let folder =
        tempfile::Builder::new().prefix("stagecache-output-").tempdir().context("making a folder")?;
    let containerfile = folder.path().join("Containerfile");
    fs::write(&containerfile, format!("FROM {image}\n")).context("writing a Containerfile")?;
    for output in &request.outputs {
        let mark = format!("stagecache-{}", uuid::Uuid::now_v7());
        let mut args: Vec<OsString> = [
            "build",
            "--quiet",
            "--no-cache",
            "--pull=never",
            "--rm=true",
            "--force-rm=true",
            "--layers=false",
        ]
        .map(OsString::from)
        .to_vec();
        args.push(engine_flag("output", output));
        args.push(engine::marked(&mark));
        args.push(engine_flag("iidfile", folder.path().join("iid").as_os_str()));
        args.push(engine_flag("file", containerfile.as_os_str()));
        args.push(folder.path().into());
        session.engine.pass_through("build --output", &args)?;
        session.engine.sweep(&mark)?;
    }
    Ok(())
}

pub(super) fn engine_flag(name: &str, value: &std::ffi::OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// Adds the images to a manifest list, which is made where it is not there.
pub(super) fn manifest(session: &Session, list: &str, results: &[BuildResult]) -> anyhow::Result<()> {
    let create: Vec<OsString> = ["manifest", "create", list].map(OsString::from).to_vec();
    if session.engine.quietly("manifest create", &create).is_err() {
        let inspect: Vec<OsString> = ["manifest", "inspect", list].map(OsString::from).to_vec();
        session
            .engine
            .quietly("manifest inspect", &inspect)
            .with_context(|| format!("--manifest={list}: it is there and is no manifest list"))?;
    }
    for result in results {
        let image = format!("containers-storage:{}", result.image);
        let add: Vec<OsString> = ["manifest", "add", list, &image].map(OsString::from).to_vec();
        session
            .engine
            .quietly("manifest add", &add)
            .with_context(|| format!("adding {} to {list}", result.platform))?;
    }
    Ok(())
}
