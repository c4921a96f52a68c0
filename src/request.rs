//! What a command line asks for, with the defaults of engine and environment filled in.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use crate::containerfile::Rules;
use crate::destination::is_destination;
use crate::engine::{EngineKind, KeptContainers, Probed, Version};
use crate::flags::values::{self, BuildContext, Environment, Output};
use crate::flags::{
    BuildFlags, KeptFiles, Platform, PullPolicy, Role, go, platform, pull_policy, unknown_pull_word,
};
use crate::image::ImageFormat;
use crate::key::text_of;
use crate::tip::{CreatedAnnotation, TipFlags};
use crate::upkeep::Bound;

/// How many of a stage's images are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepStages {
    /// The last so many.
    Last(usize),
    /// All.
    All,
}

/// How `--logsplit` names a log: with the platform as the user names it, which may be nothing.
#[derive(Debug, Clone)]
pub struct LogSplit {
    /// `--platform` or `--all-platforms` is given.
    by_platform: bool,
    /// `--os`.
    os: String,
    /// `--arch`.
    architecture: String,
    /// `--arch` alone stands for a system, too (1.39; not 1.28).
    completes_os: bool,
}

impl LogSplit {
    /// The log of a build for this platform.
    pub fn path(&self, log: &Path, platform: &Platform) -> PathBuf {
        let (os, architecture) = match self.by_platform {
            true => (&platform.os, &platform.arch),
            false if self.completes_os && self.os.is_empty() && !self.architecture.is_empty() => {
                (&platform.os, &self.architecture)
            }
            false => (&self.os, &self.architecture),
        };
        let mut path = log.as_os_str().to_owned();
        path.push(format!("_{os}_{architecture}"));
        path.into()
    }
}

/// A build as it is asked for.
#[derive(Debug)]
pub struct BuildRequest {
    /// The context argument.
    pub context: Option<OsString>,
    /// `--file`, in order.
    pub files: Vec<OsString>,
    /// Arguments of the preprocessor.
    pub cpp_flags: Vec<OsString>,
    /// `--ignorefile`.
    pub ignore_file: Option<PathBuf>,
    /// `--target`.
    pub target: Option<String>,
    /// `--from`.
    pub first_base: Option<String>,
    /// Values of build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Names of arguments whose values may be shown.
    pub public_args: BTreeSet<String>,
    /// `--build-context`.
    pub contexts: BTreeMap<String, BuildContext>,
    /// The platforms; the first is the machine's own when none is asked for.
    pub platforms: Vec<Platform>,
    /// Whether the user asks for a platform.
    pub platform_given: bool,
    /// Whether `--platform` does: only then is it an argument to 1.28, not with `--arch` and the like.
    pub platform_is_arg: bool,
    /// One layer an instruction.
    pub layers: bool,
    /// OCI or docker.
    pub format: ImageFormat,
    /// When images are fetched.
    pub pull: PullPolicy,
    /// Engine calls at a time.
    pub jobs: usize,
    /// Leave out what the target does not need.
    pub skip_unused: bool,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`.
    pub no_cache_stages: BTreeSet<String>,
    /// `--cache-ttl`.
    pub time_to_live: Option<Duration>,
    /// `--ignore-file-mode`.
    pub ignore_file_mode: bool,
    /// Names for the target's image.
    pub names: Vec<String>,
    /// Where else it is written: `--tag` with a transport.
    pub destinations: Vec<OsString>,
    /// Whether its layers are written there as they are.
    pub uncompressed: bool,
    /// `--iidfile`.
    pub iid_file: Option<PathBuf>,
    /// `--iidfile-raw`.
    pub iid_file_raw: Option<PathBuf>,
    /// `--manifest`.
    pub manifest: Option<String>,
    /// `--output`.
    pub outputs: Vec<Output>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--progress`.
    pub progress: Option<String>,
    /// `--logfile`.
    pub log_file: Option<PathBuf>,
    /// What the name of its file for a platform ends in besides, with `--logsplit`.
    pub log_split: Option<LogSplit>,
    /// `--rusage-logfile`.
    pub rusage_file: Option<PathBuf>,
    /// `--label` of the target, `key=value`.
    pub labels: Vec<(String, String)>,
    /// What flags say of every stage's image.
    pub tip_flags: TipFlags,
    /// What flags say of the target's image.
    pub target_tip_flags: TipFlags,
    /// Flags that can change a step's result.
    pub key_flags: BTreeMap<String, Vec<String>>,
    /// The ids that `--secret` gives.
    pub secrets: BTreeSet<String>,
    /// The ids that `--ssh` gives.
    pub ssh: BTreeSet<String>,
    /// Flags that can change the target's image alone.
    pub target_flags_keyed: BTreeMap<String, Vec<String>>,
    /// Flags for every step call.
    pub step_flags: Vec<OsString>,
    /// Further flags for the target's call, where it is one call.
    pub target_flags: Vec<OsString>,
    /// Further flags for the call of a target that is nothing but a FROM: in layers, steps go without them.
    pub base_flags: Vec<OsString>,
    /// Flags for pulling.
    pub pull_flags: Vec<OsString>,
    /// Only the engine can do to the target what a flag asks for: it is built in one call.
    pub target_in_one_call: bool,
    /// `--stdin`.
    pub stdin: bool,
    /// `--env` as an instruction, for engines that begin each stage with it.
    pub env_instruction: Option<String>,
    /// `--env` as `NAME=value`, for engines that set the variables when they commit.
    pub given_env: Vec<String>,
    /// The same as flags, for the calls that get them.
    pub env_flags: Vec<OsString>,
    /// Whether a step waits for another build that runs the same one: not with `--no-wait`.
    pub waits: bool,
    /// `--rm=false` and `--force-rm=false`.
    pub kept_containers: KeptContainers,
    /// `--patch-layers`.
    pub patch_layers: bool,
    /// `--stage-labels`.
    pub stage_labels: bool,
    /// `--save-stages`.
    pub save_stages: bool,
    /// `--build-id-label`.
    pub build_id_label: bool,
    /// `--build-id`.
    pub build_id: Option<String>,
    /// `--build-id-file`.
    pub build_id_file: Option<PathBuf>,
    /// `--metadata-file`.
    pub metadata_file: Option<PathBuf>,
    /// `--cache-id`.
    pub cache_id: Option<String>,
    /// `--keep-stages`.
    pub keep_stages: KeepStages,
    /// `--keep-storage`.
    pub keep_storage: Bound,
    /// `--print-containerfiles`.
    pub print_containerfiles: bool,
    /// Files that the flags name, which live as long as the request.
    pub kept_files: KeptFiles,
    /// Things to say before the build.
    pub warnings: Vec<String>,
}

/// Flags of the final image that only an engine call can carry out.
const ONE_CALL: &[&str] = &[
    "cw",
    "sbom",
    "sbom-image-output",
    "sbom-image-purl-output",
    "sbom-merge-strategy",
    "sbom-output",
    "sbom-purl-output",
    "sbom-scanner-command",
    "sbom-scanner-image",
    "sign-by",
];

/// Switches of the final image with the setting that only an engine call can carry out.
const ONE_CALL_SWITCHES: &[(&str, bool)] =
    &[("squash", true), ("squash-all", true), ("inherit-annotations", false)];

/// Flags whose values are texts here, which bytes that are not UTF-8 cannot be.
const TEXTS: &[&str] = &[
    "annotation",
    "build-id",
    "cache-id",
    "env",
    "from",
    "label",
    "layer-label",
    "manifest",
    "no-cache-filter",
    "os-feature",
    "os-version",
    "public-arg",
    "tag",
    "target",
    "unsetannotation",
    "unsetenv",
    "unsetlabel",
];

/// Flags of registries that `pull` takes in all engines.
const PULL_FLAGS: &[&str] = &["authfile", "cert-dir", "creds", "tls-verify", "signature-policy"];

impl BuildRequest {
    /// Reads the flags under what the engine and the environment have as defaults.
    ///
    /// # Errors
    /// When a value is not valid, or a flag asks for what cannot be done.
    pub fn new(flags: &BuildFlags, probed: &Probed) -> anyhow::Result<Self> {
        let environment: Environment = std::env::vars_os().collect();
        let (flags, kept_files) = flags.keeping_files()?;
        let flags = &flags;
        let text = |name: &str| {
            flags.value(name).map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
        };
        let texts = |name: &str| -> Vec<String> {
            flags.values(name).map(|v| v.to_string_lossy().into_owned()).collect()
        };
        let path = |name: &str| flags.value(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let read = |path: &std::path::Path| std::fs::read(path);
        let mut build_args = BTreeMap::new();
        for (name, value) in values::build_args(flags, probed.kind, &environment, &read)? {
            let value = value
                .into_string()
                .map_err(|_| anyhow!("the build argument {name} has a value that is not UTF-8"))?;
            build_args.insert(name, value);
        }
        if flags.is_given("source-policy-file") {
            bail!(
                "--source-policy-file is not supported: images are resolved before the engine sees them; leave it out"
            );
        }
        let not_text = |given: &&crate::flags::Given| {
            TEXTS.contains(&&*given.name)
                && given.value.as_ref().is_some_and(|value| value.to_str().is_none())
        };
        if let Some(given) = flags.uses().find(not_text) {
            let value = given.value.as_ref().map(|value| text_of(value.as_bytes())).unwrap_or_default();
            bail!("--{}={value}: the value is not UTF-8, which no image config can hold", given.name);
        }
        let of_environment =
            |given: &&OsStr| environment.get(*given).is_some_and(|value| value.to_str().is_none());
        if let Some(name) = flags.values("env").find(of_environment) {
            bail!(
                "--env={}: its value in the environment is not UTF-8, which no image config can hold",
                name.display()
            );
        }
        let mut warnings = Vec::new();
        for name in ["cache-from", "cache-to", "cache-repo"] {
            if flags.is_given(name) {
                warnings.push(format!("--{name} has no effect yet: the cache of this storage alone is used"));
            }
        }
        warnings.extend(unknown_pull_word(flags));
        let layers = match flags.bool("layers") {
            Some(layers) => layers,
            // podman's --squash turns layers off for all stages (4.3).
            None if probed.kind == EngineKind::Podman && flags.bool("squash") == Some(true) => false,
            None => environment_switch(&environment, "BUILDAH_LAYERS").unwrap_or(true),
        };
        let podman = probed.kind == EngineKind::Podman;
        let format =
            match text("format").or_else(|| environment_text(&environment, "BUILDAH_FORMAT")).as_deref() {
                None | Some("oci") => ImageFormat::Oci,
                Some("docker") => ImageFormat::Docker,
                // podman looks at the beginning alone, in any case (4.3).
                Some(name) if podman && name.to_lowercase().starts_with("oci") => ImageFormat::Oci,
                Some(name) if podman && name.to_lowercase().starts_with("docker") => ImageFormat::Docker,
                Some(other) => {
                    bail!("unrecognized image type \"{other}\": write --format=oci or --format=docker")
                }
            };
        let platforms = platform::platforms(flags)?;
        let platform_given = ["platform", "os", "arch", "variant"].iter().any(|name| flags.is_given(name));
        let squashes = ONE_CALL.iter().any(|name| flags.is_given(name))
            || ONE_CALL_SWITCHES.iter().any(|(name, setting)| flags.bool(name) == Some(*setting));
        let tip_flags = tip_flags(flags, probed, &environment)?;
        let target_tip_flags = TipFlags {
            annotations: key_values(&texts("annotation")),
            unset_annotations: texts("unsetannotation"),
            last_is_named: flags.is_given("tag"),
            ..tip_flags.clone()
        };
        let key_flags = key_flags(flags, probed, &environment);
        let rules = Rules::of_buildah(probed.buildah.1.into());
        let env_instruction = env_instruction(flags, &environment, rules);
        let target_flags: Vec<OsString> = flags
            .iter_role(Role::Final)
            .filter(|given| !["tag", "iidfile", "iidfile-raw", "manifest", "output"].contains(&&*given.name))
            .map(crate::flags::Given::to_arg)
            .collect();
        let mut target_flags_keyed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for given in flags.iter_role(Role::Final) {
            if !["tag", "iidfile", "iidfile-raw", "manifest", "output"].contains(&&*given.name) {
                let shown = given.value.as_ref().map(|v| text_of(v.as_bytes())).unwrap_or_default();
                target_flags_keyed.entry(given.name.to_string()).or_default().push(shown);
            }
        }
        let jobs = values::number(flags, "jobs").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let request = Self {
            context: flags.context.clone(),
            files: flags.values("file").map(OsStr::to_owned).collect(),
            cpp_flags: flags.values("cpp-flag").map(OsStr::to_owned).collect(),
            ignore_file: path("ignorefile"),
            target: text("target"),
            first_base: text("from"),
            build_args,
            public_args: texts("public-arg").into_iter().collect(),
            contexts: values::build_contexts(flags)?,
            platforms,
            platform_given,
            platform_is_arg: flags.is_given("platform"),
            layers,
            format,
            pull: pull_policy(flags, probed.kind, probed.buildah.release())?,
            jobs: jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)),
            skip_unused: flags.bool("skip-unused-stages").unwrap_or(true),
            no_cache: flags.bool("no-cache").unwrap_or(false)
                || flags.bool("stdin").unwrap_or(false)
                || values::cache_ttl(flags)?.is_some_and(|age| age.is_zero()),
            no_cache_stages: texts("no-cache-filter").into_iter().collect(),
            time_to_live: values::cache_ttl(flags)?,
            ignore_file_mode: flags.bool("ignore-file-mode").unwrap_or(false),
            names: names(flags),
            destinations: flags
                .values("tag")
                .filter(|tag| is_destination(tag))
                .map(OsStr::to_owned)
                .collect(),
            uncompressed: flags.bool("disable-compression").unwrap_or(true),
            iid_file: path("iidfile"),
            iid_file_raw: path("iidfile-raw"),
            manifest: text("manifest"),
            outputs: values::outputs(flags)?,
            quiet: flags.bool("quiet").unwrap_or(false),
            progress: text("progress"),
            log_file: path("logfile"),
            log_split: flags.bool("logsplit").unwrap_or(false).then(|| LogSplit {
                by_platform: flags.is_given("platform") || flags.bool("all-platforms") == Some(true),
                os: text("os").unwrap_or_default(),
                architecture: text("arch").unwrap_or_default(),
                completes_os: rules >= Rules::Buildah39,
            }),
            rusage_file: path("rusage-logfile").filter(|_| logs_usage(flags)),
            labels: key_values(&texts("label")),
            tip_flags,
            target_tip_flags,
            key_flags,
            // What is wrong with one of them the engine says.
            secrets: values::secrets(flags, &environment).unwrap_or_default().into_keys().collect(),
            ssh: values::ssh_ids(flags).into_iter().collect(),
            target_flags_keyed,
            step_flags: step_flags(flags, layers),
            given_env: if rules < Rules::Buildah39 { set_entries(flags, &environment) } else { Vec::new() },
            env_flags: flags
                .uses()
                .filter(|given| rules < Rules::Buildah39 && given.name == "env")
                .map(crate::flags::Given::to_arg)
                .collect(),
            env_instruction,
            target_flags,
            base_flags: flags
                .uses()
                .filter(|given| layers && given.name == "unsetenv")
                .map(crate::flags::Given::to_arg)
                .collect(),
            pull_flags: flags
                .uses()
                .filter(|g| PULL_FLAGS.contains(&&*g.name))
                .map(crate::flags::Given::to_arg)
                .collect(),
            target_in_one_call: squashes,
            stdin: flags.bool("stdin").unwrap_or(false),
            waits: !flags.bool("no-wait").unwrap_or(false),
            kept_containers: kept_containers(flags, probed.kind),
            patch_layers: flags.bool("patch-layers").unwrap_or(true),
            stage_labels: flags.bool("stage-labels").unwrap_or(true),
            save_stages: flags.bool("save-stages").unwrap_or(false),
            build_id_label: flags.bool("build-id-label").unwrap_or(false),
            build_id: text("build-id").map(|id| build_id(&id)).transpose()?,
            build_id_file: path("build-id-file"),
            metadata_file: path("metadata-file"),
            cache_id: text("cache-id"),
            keep_stages: keep_stages(text("keep-stages").as_deref())?,
            keep_storage: text("keep-storage").as_deref().map(Bound::parse).transpose()?.unwrap_or_default(),
            print_containerfiles: flags.bool("print-containerfiles").unwrap_or(false),
            kept_files,
            warnings,
        };
        check::request(&request, flags, probed, &environment)?;
        Ok(request)
    }

    /// The id of the build for a platform: the one that is given is the first platform's, and the others' are made of it.
    pub fn build_id_for(&self, platform: &Platform) -> String {
        let Some(given) = &self.build_id else { return uuid::Uuid::now_v7().to_string() };
        if self.platforms.first() == Some(platform) {
            return given.clone();
        }
        let digest = blake3::hash(format!("{given}\n{platform}").as_bytes());
        let first = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
        uuid::Builder::from_custom_bytes(*first).into_uuid().to_string()
    }

    /// What makes two builds the same one: context, Containerfile, target and platform, or `--cache-id`.
    pub fn identity(&self, context: &str, containerfile: &str, platform: &str) -> String {
        let target = self.target.as_deref().unwrap_or_default();
        let text = match &self.cache_id {
            Some(id) => format!("id\n{id}\n{target}\n{platform}"),
            None => format!("path\n{context}\n{containerfile}\n{target}\n{platform}"),
        };
        blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
    }
}

/// buildah's `--force-rm` is off where no flag says otherwise, and podman's is on; without any flag we keep nothing.
fn kept_containers(flags: &BuildFlags, kind: EngineKind) -> KeptContainers {
    let of_all = flags.bool("rm") == Some(false);
    let by_default = of_all && kind == EngineKind::Buildah;
    KeptContainers { of_all, of_last: flags.bool("force-rm").map_or(by_default, |force| !force) }
}

/// The names that `--tag` gives in the storage, which may be named as such.
fn names(flags: &BuildFlags) -> Vec<String> {
    let plain = flags.values("tag").filter(|tag| !is_destination(tag)).map(OsStr::to_string_lossy);
    plain.map(|tag| tag.strip_prefix("containers-storage:").unwrap_or(&tag).to_owned()).collect()
}

/// A UUID in the one form that records are named by.
fn build_id(id: &str) -> anyhow::Result<String> {
    let parsed = uuid::Uuid::parse_str(id);
    let uuid = parsed.map_err(|error| anyhow!("--build-id={id}: {error}; give a UUID or leave it out"))?;
    Ok(uuid.hyphenated().to_string())
}

fn keep_stages(text: Option<&str>) -> anyhow::Result<KeepStages> {
    match text {
        None => Ok(KeepStages::Last(3)),
        Some("all") => Ok(KeepStages::All),
        Some(number) => match number.parse() {
            Ok(n) if n > 0 => Ok(KeepStages::Last(n)),
            _ => bail!("--keep-stages={number}: write a number from 1, or all"),
        },
    }
}

fn environment_text(environment: &Environment, name: &str) -> Option<String> {
    environment.get(OsStr::new(name)).map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
}

/// As it stands in keys: values that are not UTF-8 differ there, too.
fn environment_bytes(environment: &Environment, name: &str) -> Option<String> {
    environment.get(OsStr::new(name)).filter(|value| !value.is_empty()).map(|value| text_of(value.as_bytes()))
}

fn environment_switch(environment: &Environment, name: &str) -> Option<bool> {
    let text = environment_text(environment, name)?;
    // As buildah's `UseLayers`: `true` in any case, or 1.
    Some(text.eq_ignore_ascii_case("true") || text == "1")
}

fn key_values(texts: &[String]) -> Vec<(String, String)> {
    texts
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (text.clone(), String::new()),
        })
        .collect()
}

fn tip_flags(flags: &BuildFlags, probed: &Probed, environment: &Environment) -> anyhow::Result<TipFlags> {
    let texts = |name: &str| -> Vec<String> {
        flags.values(name).map(|v| v.to_string_lossy().into_owned()).collect()
    };
    let buildah = probed.buildah.release();
    let rules = Rules::of_buildah(probed.buildah.1.into());
    let seconds = values::timestamp(flags, environment, buildah)?;
    let timestamp = seconds
        .map(|seconds| jiff::Timestamp::from_second(seconds).context("reading --timestamp"))
        .transpose()?;
    // From 1.43 on a fixed time leaves the engine's version out, unless it is asked for (1.39 does not).
    let version_by_default = seconds.is_none() || rules < Rules::Buildah43;
    let created_annotation = match flags.bool("created-annotation") {
        _ if probed.buildah < crate::engine::Version(1, 41, 0) => CreatedAnnotation::Inherited,
        Some(false) => CreatedAnnotation::LeftOut,
        _ => CreatedAnnotation::Written,
    };
    Ok(TipFlags {
        engine_version: flags
            .bool("identity-label")
            .unwrap_or(version_by_default)
            .then(|| probed.buildah_version.clone()),
        file_times: file_times(flags, seconds),
        annotations: Vec::new(),
        unset_annotations: Vec::new(),
        created_annotation,
        unset_labels: texts("unsetlabel"),
        os_version: flags.value("os-version").map(|v| v.to_string_lossy().into_owned()).unwrap_or_default(),
        os_features: texts("os-feature"),
        unset_env: texts("unsetenv"),
        timestamp: timestamp.map(|t| t.to_string()),
        omit_history: flags.bool("omit-history").unwrap_or(false),
        drop_inherited_labels: flags.bool("inherit-labels") == Some(false),
        layer_labels: key_values(&texts("layer-label")),
        last_is_named: false,
    })
}

/// `--env` as `NAME=value`; without a value it takes that of the environment.
fn env_entries(flags: &BuildFlags, environment: &Environment) -> Vec<String> {
    let entries = flags.values("env").map(|entry| entry.to_string_lossy().into_owned());
    entries
        .filter_map(|entry| match entry.split_once('=') {
            Some(_) => Some(entry),
            None => environment_text(environment, &entry).map(|value| format!("{entry}={value}")),
        })
        .collect()
}

/// The same for an engine before 1.29, which sets what the environment lacks to nothing.
fn set_entries(flags: &BuildFlags, environment: &Environment) -> Vec<String> {
    let value = |name: &str| environment_text(environment, name).unwrap_or_default();
    let entries = flags.values("env").map(|entry| entry.to_string_lossy().into_owned());
    entries
        .map(|entry| if entry.contains('=') { entry } else { format!("{entry}={}", value(&entry)) })
        .collect()
}

/// `--env` as the ENV instruction with which later engines begin each stage (1.39, 1.43: what the file sets counts
/// more). 1.28 sets the variables in the final image.
fn env_instruction(flags: &BuildFlags, environment: &Environment, rules: Rules) -> Option<String> {
    let pairs = env_entries(flags, environment);
    let pairs = pairs
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| format!(" {}={}", go::quote(OsStr::new(name)), go::quote(OsStr::new(value))));
    let pairs: String = pairs.collect();
    (rules >= Rules::Buildah39 && !pairs.is_empty()).then(|| format!("ENV{pairs}"))
}

/// What the engine does to the times of files, in its own words.
fn file_times(flags: &BuildFlags, seconds: Option<i64>) -> Option<String> {
    let seconds = seconds?;
    let rewrites = flags.bool("rewrite-timestamp") == Some(true);
    match flags.is_given("timestamp") {
        true => Some(format!("force-mtime={seconds}")),
        false => rewrites.then(|| format!("clamp-mtime={seconds}")),
    }
}

fn key_flags(
    flags: &BuildFlags,
    probed: &Probed,
    environment: &Environment,
) -> BTreeMap<String, Vec<String>> {
    let mut keyed: BTreeMap<String, Vec<String>> = flags
        .keyed()
        .into_iter()
        .map(|(name, values)| (name, values.iter().map(|v| text_of(v.as_bytes())).collect()))
        .collect();
    // The platform and the format have fields of their own.
    keyed.remove("format");
    // A file may have another mode than the key then says.
    if flags.bool("ignore-file-mode") == Some(true) {
        keyed.insert("ignore-file-mode".into(), vec!["true".into()]);
    }
    for (variable, flag) in [("BUILDAH_ISOLATION", "isolation"), ("BUILDAH_RUNTIME", "runtime")] {
        if let (Some(value), false) = (environment_bytes(environment, variable), keyed.contains_key(flag)) {
            keyed.insert(flag.into(), vec![value]);
        }
    }
    // Read from 1.41 on, where no flag says otherwise.
    let epoch = environment_text(environment, "SOURCE_DATE_EPOCH");
    if let Some(epoch) = epoch.filter(|_| probed.buildah >= Version(1, 41, 0))
        && !keyed.contains_key("timestamp")
    {
        keyed.entry("source-date-epoch".into()).or_insert_with(|| vec![epoch]);
    }
    if let Some(entries) = keyed.get_mut("env") {
        // `--env NAME` takes the value from the environment.
        for entry in entries.iter_mut().filter(|entry| !entry.contains('=')) {
            let value = environment_bytes(environment, entry).unwrap_or_default();
            *entry = format!("{entry}={value}");
        }
    }
    keyed
}

/// With `--quiet` the engines log no usage, and steps are called without that (1.28, 1.39, 1.43).
fn logs_usage(flags: &BuildFlags) -> bool {
    flags.bool("log-rusage") == Some(true) && flags.bool("quiet") != Some(true)
}

/// The flags that each step call gets: those that can change a result, and those that every call needs.
fn step_flags(flags: &BuildFlags, layers: bool) -> Vec<OsString> {
    let mut args: Vec<OsString> = flags
        .uses()
        .filter(|given| matches!(given.role(), Role::Key | Role::Pass))
        // Taken away at the end: a later step of a native build still sees the variable.
        .filter(|given| !(layers && given.name == "unsetenv"))
        // Stands in each stage as an instruction, or goes with the calls that are to see it.
        .filter(|given| given.name != "env")
        .filter(|given| given.name != "log-rusage" || logs_usage(flags))
        .map(crate::flags::Given::to_arg)
        .collect();
    let platform = flags.uses().filter(|g| ["os", "arch", "variant"].contains(&&*g.name));
    args.extend(platform.map(crate::flags::Given::to_arg));
    if flags.bool("identity-label") == Some(false) {
        args.push("--identity-label=false".into());
    }
    if flags.bool("stdin") == Some(true) {
        args.push("--stdin".into());
    }
    args
}

/// The engine's version as labels of intermediate stages have it: a semver pre-release, which SBOM tools take for
/// new enough.
pub fn stage_version(version: Version, written: &str) -> String {
    let release = written.split(['-', '+']).next().filter(|r| r.split('.').count() == 3);
    let release = release.map_or_else(|| version.to_string(), str::to_owned);
    format!("{release}-stagecache.1")
}
