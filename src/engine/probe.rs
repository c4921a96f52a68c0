//! Finds the installed engine and asks it once who it is and where its storage lies.
//!
//! The answers are kept in a file by program (path, size, mtime), global flags, environment and the
//! configuration files' times: two calls of 20 to 60 ms are saved with each build.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EngineKind, Version};
use crate::atomic::Durability;
use crate::process::{self, Ended, Invocation};
use crate::shelf::Shelf;

/// The oldest buildah whose `--build-context` takes images (1.27), and the podman that has it in it.
const OLDEST: Version = Version(1, 27, 0);

/// Variables that decide where a storage lies or how it is read.
const STORAGE_VARIABLES: &[&str] = &[
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "CONTAINERS_CONF",
    "CONTAINERS_CONF_OVERRIDE",
    "CONTAINERS_STORAGE_CONF",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "_CONTAINERS_USERNS_CONFIGURED",
    "_CONTAINERS_ROOTLESS_UID",
];

/// What is known of an installed engine and its storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// buildah or podman.
    pub kind: EngineKind,
    /// The program as found.
    pub program: PathBuf,
    /// The version that the program itself names.
    pub version: String,
    /// The version of the buildah that builds: its own, or the one inside podman.
    pub buildah: Version,
    /// That version as written, for labels.
    pub buildah_version: String,
    /// The root of the storage.
    pub graph_root: PathBuf,
    /// The storage driver.
    pub driver: String,
    /// Additional read-only image stores.
    pub additional: Vec<PathBuf>,
    /// `os/arch` of the machine.
    pub platform: String,
    /// `build --help` of the program, where it was asked for.
    pub build_help: Option<String>,
}

impl Probed {
    /// Whether a build ends with git's own exit code when git cannot fetch the context: buildah's did up to 1.39.3, and
    /// ends with 125 in 1.43.2, as podman's in every version.
    pub fn hands_on_gits_code(&self) -> bool {
        self.kind == EngineKind::Buildah && self.buildah < Version(1, 43, 0)
    }
}

/// Which engine the user asks for: `auto`, `buildah`, `podman` or a path.
///
/// # Errors
/// When none is installed, or the named one is not.
pub fn find(wanted: &str) -> anyhow::Result<(EngineKind, PathBuf)> {
    match wanted {
        "" | "auto" => {
            // buildah first: it starts in half the time of podman.
            for kind in [EngineKind::Buildah, EngineKind::Podman] {
                if let Some(path) = which(kind.name()) {
                    return Ok((kind, path));
                }
            }
            bail!(
                "no engine found: neither `buildah` nor `podman` is in PATH; \
                 install one (apt install buildah, dnf install buildah) or name it with --engine PATH"
            )
        }
        "buildah" | "podman" => {
            let kind = if wanted == "buildah" { EngineKind::Buildah } else { EngineKind::Podman };
            which(wanted).map(|path| (kind, path)).ok_or_else(|| {
                anyhow!("--engine={wanted}: no program `{wanted}` in PATH; install it or give its path")
            })
        }
        path => {
            let path = if path.contains('/') {
                PathBuf::from(path)
            } else {
                which(path).ok_or_else(|| anyhow!("--engine={path}: no such program in PATH"))?
            };
            if !is_program(&path) {
                bail!("--engine={}: not an executable file", path.display());
            }
            let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
            let kind = if name.contains("podman") { EngineKind::Podman } else { EngineKind::Buildah };
            Ok((kind, path))
        }
    }
}

fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
}

/// Asks the engine, or takes the answers of last time where nothing they hang on has changed.
///
/// # Errors
/// When the engine cannot be run, is too old, or its answers cannot be read.
pub fn probe(
    kind: EngineKind,
    program: &Path,
    globals: &[OsString],
    cache: Option<&Shelf>,
) -> anyhow::Result<Probed> {
    let stamp = stamp(kind, program, globals)?;
    let answers_of = format!("engines/{}", stamp.digest());
    let path = |shelf: &Shelf| shelf.root().join(format!("{}.json", &stamp.digest()[..32]));
    let kept = cache.and_then(|shelf| shelf.read::<Kept>(&path(shelf), &answers_of).present());
    if let Some(kept) = kept.filter(|kept| kept.stamp == stamp) {
        // Which program is run no file says.
        return Ok(Probed { kind, program: program.to_owned(), ..kept.probed });
    }
    let probed = ask(kind, program, globals)?;
    if let Some(shelf) = cache {
        let (path, kept) = (path(shelf), Kept { stamp, probed: probed.clone() });
        shelf.write(&path, &answers_of, &kept, Durability::Passing).context("writing JSON")?;
    }
    Ok(probed)
}

#[derive(Serialize, Deserialize)]
struct Kept {
    stamp: Stamp,
    probed: Probed,
}

/// All that the answers hang on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    format: u32,
    program: (String, u64, i64, i64),
    kind: EngineKind,
    uid: u32,
    globals: Vec<String>,
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, (i64, i64, u64)>,
}

impl Stamp {
    fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("texts and numbers, and maps of them by texts, are JSON");
        blake3::hash(&bytes).to_hex().to_string()
    }
}

/// Any bytes as text, so that no two of them are the same.
fn escaped(text: &OsStr) -> String {
    text.as_bytes().escape_ascii().to_string()
}

fn stamp(kind: EngineKind, program: &Path, globals: &[OsString]) -> anyhow::Result<Stamp> {
    let meta = fs::metadata(program).with_context(|| format!("looking at {}", program.display()))?;
    let variables: BTreeMap<String, String> = STORAGE_VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), escaped(&env::var_os(name)?))))
        .collect();
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let config = env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let mut paths = vec![
        "/usr/share/containers/storage.conf".into(),
        "/etc/containers/storage.conf".into(),
        config.join("containers/storage.conf"),
        "/usr/share/containers/containers.conf".into(),
        "/etc/containers/containers.conf".into(),
        config.join("containers/containers.conf"),
    ];
    for name in ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF_OVERRIDE"] {
        paths.extend(env::var_os(name).map(PathBuf::from));
    }
    let files = paths
        .into_iter()
        .filter_map(|path| {
            let meta = fs::metadata(&path).ok()?;
            Some((escaped(path.as_os_str()), (meta.mtime(), meta.mtime_nsec(), meta.size())))
        })
        .collect();
    Ok(Stamp {
        format: 1,
        program: (escaped(program.as_os_str()), meta.size(), meta.mtime(), meta.mtime_nsec()),
        kind,
        uid: nix::unistd::geteuid().as_raw(),
        globals: globals.iter().map(|g| escaped(g)).collect(),
        variables,
        files,
    })
}

/// The error for an engine on another machine; `what` asks for it.
pub fn is_remote(what: &str) -> anyhow::Error {
    let without = what.split_once(" in ").map_or(what, |(setting, _)| setting);
    anyhow!(
        "{what}: a remote engine keeps its images on another machine, and stagecache has to read their layers and \
         configs; run it on that machine, or leave {without} out"
    )
}

fn ask(kind: EngineKind, program: &Path, globals: &[OsString]) -> anyhow::Result<Probed> {
    let base = Invocation::new(program).args(globals);
    let version_call = match kind {
        EngineKind::Buildah => Invocation::new(program).args(["version", "--json"]),
        EngineKind::Podman => {
            let local = globals.iter().filter(|flag| *flag == "--remote=false");
            Invocation::new(program).args(local).args(["version", "--format", "json"])
        }
    };
    let version = answer(&version_call)?;
    // Only a podman that is a client tells of a server (4.3, 5.4, 5.8); it does not take --root and the like.
    if version.get("Server").is_some_and(|server| !server.is_null()) {
        return Err(is_remote("remote = true in containers.conf"));
    }
    let named = match kind {
        EngineKind::Buildah => version.pointer("/version"),
        EngineKind::Podman => version.pointer("/Client/Version"),
    };
    let named = named
        .and_then(Value::as_str)
        .ok_or_else(|| anyhow!("`{}` named no version", version_call.shown()))?
        .to_owned();
    let info = answer(&match kind {
        EngineKind::Buildah => base.arg("info"),
        EngineKind::Podman => base.args(["info", "--format", "json"]),
    })?;
    let text = |pointer: &str| info.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (graph_root, driver, buildah_version) = match kind {
        EngineKind::Buildah => {
            (text("/store/GraphRoot"), text("/store/GraphDriverName"), Some(named.clone()))
        }
        EngineKind::Podman => {
            (text("/store/graphRoot"), text("/store/graphDriverName"), text("/host/buildahVersion"))
        }
    };
    let (Some(graph_root), Some(driver), Some(buildah_version)) = (graph_root, driver, buildah_version)
    else {
        bail!("`{} info` did not tell where its storage lies", program.display());
    };
    let buildah = Version::parse(&buildah_version)
        .ok_or_else(|| anyhow!("`{buildah_version}` is not a version of buildah"))?;
    if buildah < OLDEST {
        bail!(
            "{} {named} is too old: it builds with buildah {buildah_version}, and handing a stage over by id needs 1.27 \
             (podman 4.2) or newer; upgrade it or name another with --engine",
            kind.name()
        );
    }
    let arch = text("/host/arch").unwrap_or_default();
    let os = text("/host/os").unwrap_or_else(|| "linux".into());
    Ok(Probed {
        kind,
        program: program.to_owned(),
        version: named,
        buildah,
        buildah_version,
        additional: additional_stores(&info, kind),
        graph_root: graph_root.into(),
        driver,
        platform: format!("{os}/{arch}"),
        build_help: None,
    })
}

/// Additional image stores, as `info` names them among the graph options.
fn additional_stores(info: &Value, kind: EngineKind) -> Vec<PathBuf> {
    let mut stores = Vec::new();
    match kind {
        EngineKind::Buildah => {
            for option in info.pointer("/store/GraphOptions").and_then(Value::as_array).into_iter().flatten()
            {
                if let Some((key, value)) = option.as_str().and_then(|o| o.split_once('='))
                    && key.ends_with("imagestore")
                {
                    stores.extend(value.split(',').map(PathBuf::from));
                }
            }
        }
        EngineKind::Podman => {
            for (key, value) in
                info.pointer("/store/graphOptions").and_then(Value::as_object).into_iter().flatten()
            {
                if key.ends_with("imagestore") {
                    stores.extend(value.as_str().into_iter().flat_map(|v| v.split(',')).map(PathBuf::from));
                }
            }
        }
    }
    stores
}

/// How long the engine has to say who it is. It may wait for the storage's locks, which a commit beside us holds.
const TIME_TO_ANSWER: Duration = Duration::from_secs(60);
/// How many bytes that may have: `info` is the longest, with some 10 kB.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Asks the engine.
fn ask_for(invocation: &Invocation) -> anyhow::Result<Ended> {
    let call = invocation.clone().within(TIME_TO_ANSWER).at_most(LONGEST_ANSWER);
    process::capture(&call).with_context(|| format!("running `{}`", invocation.shown()))
}

fn answer(invocation: &Invocation) -> anyhow::Result<Value> {
    let ended = ask_for(invocation)?;
    if !ended.status.success() {
        bail!("`{}` failed with exit status {}: {}", invocation.shown(), ended.code(), ended.stderr_tail);
    }
    serde_json::from_slice(&ended.stdout)
        .with_context(|| format!("reading the answer of `{}`", invocation.shown()))
}

/// The text of `build --help`, for flags that our table does not know.
///
/// # Errors
/// When the engine cannot be run.
pub fn build_help(program: &Path) -> anyhow::Result<String> {
    let call = Invocation::new(program).args(["build", "--help"]);
    let ended = ask_for(&call)?;
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_not_there_is_named() {
        let error = find("/nonexistent/buildah").unwrap_err().to_string();
        assert!(error.contains("/nonexistent/buildah"), "{error}");
    }

    #[test]
    fn additional_image_stores_are_read_from_the_graph_options() {
        let info = serde_json::json!({"store": {"GraphOptions": ["overlay.imagestore=/usr/lib/containers/storage"]}});
        assert_eq!(
            additional_stores(&info, EngineKind::Buildah),
            [PathBuf::from("/usr/lib/containers/storage")]
        );
    }
}
