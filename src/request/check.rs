//! What would be found out when all is built, or never, is found out before anything runs.
//!
//! Refused is what the engines refuse, at whatever point they do; what is wrong with a flag that each step's call gets, the
//! engine says at the first of them, before its command runs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::bail;

use super::BuildRequest;
use crate::containerfile::Rules;
use crate::destination::{self, is_writable, writable_file};
use crate::engine::{EngineKind, Probed, Version};
use crate::flags::values::{self, Environment, Output, SecretSource};
use crate::flags::{BuildFlags, PROGRESS};
use crate::names;

/// Refuses what is wrong with a request as such.
///
/// # Errors
/// With what is wrong, and what to write instead.
pub(super) fn request(
    request: &BuildRequest,
    flags: &BuildFlags,
    probed: &Probed,
    environment: &Environment,
) -> anyhow::Result<()> {
    results(request, probed)?;
    written_files(request)?;
    sources(flags, probed, environment)?;
    values(request, flags, probed)
}

/// The names of the result and the places where it goes.
fn results(request: &BuildRequest, probed: &Probed) -> anyhow::Result<()> {
    if let Some(name) = request.names.iter().find(|name| !names::is_valid(name)) {
        bail!("--tag={name}: not a name for an image; write NAME[:TAG] in lower case, like localhost/app:1");
    }
    // A list can be named by its id.
    let is_list = |name: &str| names::is_valid(name) || names::is_id(name);
    if let Some(list) = request.manifest.as_deref().filter(|list| !is_list(list)) {
        bail!(
            "--manifest={list}: not a name for a list of images; write NAME[:TAG] in lower case, like localhost/app:1"
        );
    }
    request.destinations.iter().try_for_each(|destination| destination::check(destination))?;
    if let Some(path) = request.iid_file.as_ref().or(request.iid_file_raw.as_ref())
        && request.platforms.len() > 1
        // podman writes the last one's id (4.3).
        && probed.kind == EngineKind::Buildah
    {
        bail!(
            "building multiple images, but iidfile {:?} can only be used to store one image ID; leave it out, and name the images",
            path.display()
        );
    }
    Ok(())
}

/// Files that are written in the end.
fn written_files(request: &BuildRequest) -> anyhow::Result<()> {
    let written = [
        ("iidfile", &request.iid_file),
        ("iidfile-raw", &request.iid_file_raw),
        ("metadata-file", &request.metadata_file),
        ("build-id-file", &request.build_id_file),
        ("rusage-logfile", &request.rusage_file),
        ("logfile", &request.log_file),
    ];
    for (flag, path) in written {
        if let Some(path) = path {
            writable_file(&format!("--{flag}={}", path.display()), path)?;
        }
    }
    for output in &request.outputs {
        match output {
            Output::Tar(path) => writable_file(&format!("--output=type=tar,dest={}", path.display()), path)?,
            Output::Dir(path) => {
                // The engine makes the folders that are missing.
                let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new(""));
                let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
                if !there.is_dir() || !is_writable(there) {
                    bail!(
                        "--output={}: {} is no folder that can be written; name another one",
                        path.display(),
                        there.display()
                    );
                }
            }
            Output::Stdout => {}
        }
    }
    Ok(())
}

/// What flags name of this machine. The engines look at once, in all versions, also where nothing takes it.
fn sources(flags: &BuildFlags, probed: &Probed, environment: &Environment) -> anyhow::Result<()> {
    // For that in REGISTRY_AUTH_FILE none does.
    let authfile = flags.value("authfile").filter(|path| !path.is_empty());
    if let Some(path) = authfile.map(Path::new).filter(|path| !path.exists()) {
        bail!("--authfile={}: there is no such file", path.display());
    }
    let secrets = values::secrets(flags, environment);
    // Later engines may take more than we read.
    let knows_all = Rules::of_buildah(probed.buildah.1.into()) < Rules::Buildah39;
    let secrets = if knows_all { secrets? } else { secrets.unwrap_or_default() };
    for (id, source) in secrets {
        if let SecretSource::File(path) = source
            && !path.exists()
        {
            bail!("--secret id={id}: there is no file {}", path.display());
        }
    }
    for given in flags.values("ssh") {
        let value = given.to_string_lossy();
        let keys = value.split_once('=').map_or("", |(_, keys)| keys);
        if keys.is_empty() && environment.get(OsStr::new("SSH_AUTH_SOCK")).is_none_or(|path| path.is_empty())
        {
            bail!(
                "--ssh={value}: $SSH_AUTH_SOCK is not set; start an agent, or name a key: --ssh={value}=KEY"
            );
        }
        if let Some(missing) = keys.split(',').find(|key| !key.is_empty() && !Path::new(key).exists()) {
            bail!("--ssh={value}: there is no file {missing}");
        }
    }
    for flag in ["volume", "device"] {
        for given in flags.values(flag) {
            // With a backslash it is more than the part up to the first colon.
            let (source, rest) = match given.as_bytes().iter().position(|byte| *byte == b':') {
                Some(at) => (&given.as_bytes()[..at], true),
                None => (given.as_bytes(), flag == "device"),
            };
            let path = Path::new(OsStr::from_bytes(source));
            if rest && path.is_absolute() && !source.contains(&b'\\') && !path.exists() {
                bail!("--{flag}={}: there is no {}", given.to_string_lossy(), path.display());
            }
        }
    }
    Ok(())
}

/// Values that are none.
fn values(request: &BuildRequest, flags: &BuildFlags, probed: &Probed) -> anyhow::Result<()> {
    if let Some(word) = request.progress.as_deref().filter(|word| !PROGRESS.contains(word)) {
        bail!("--progress={word}: write {}", PROGRESS.join(", "));
    }
    if values::number(flags, "jobs").is_some_and(|jobs| jobs < 0) {
        bail!("invalid value for --jobs: it must be a positive integer, or 0 for as many as there are cores");
    }
    if flags.bool("stage-labels") == Some(true) && flags.bool("save-stages") == Some(false) {
        bail!("\"--stage-labels\" requires \"--save-stages\"; leave out --save-stages=false");
    }
    for name in ["memory", "memory-swap", "shm-size"] {
        let Some(value) = flags.value(name).and_then(OsStr::to_str) else { continue };
        if !(is_size(value) || (name == "memory-swap" && value == "-1")) {
            bail!("invalid value for --{name}: invalid size: '{value}'; write a number with a unit: 64m, 1g");
        }
    }
    if probed.kind == EngineKind::Buildah && flags.is_given("logsplit") && !flags.is_given("logfile") {
        bail!("cannot use --logsplit without --logfile; give both, or leave it out");
    }
    // podman 4.3; later ones take it.
    let old_podman = probed.kind == EngineKind::Podman && probed.buildah < Version(1, 29, 0);
    if old_podman && flags.is_given("squash") && flags.is_given("layers") {
        bail!("cannot specify --squash with --layers; leave one of them out");
    }
    Ok(())
}

/// A size as docker's go-units reads it: `64m`, `1.5GiB`.
fn is_size(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let unit = digits.trim_start().to_ascii_lowercase();
    let (number, _) = text.split_at(text.len() - digits.len());
    let units = ["", "b", "k", "m", "g", "t", "p"];
    let plain = unit.trim_end_matches('b').trim_end_matches('i');
    number.parse::<f64>().is_ok() && units.contains(&plain)
}
