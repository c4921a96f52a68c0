//! What stands behind the flags that we read ourselves: arguments, contexts, secrets, outputs, times.
//!
//! Messages are the engines' own. Nothing here touches the world: the environment and the reading of
//! files are handed in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::go;
use super::table::Version;
use super::{BuildFlags, EngineKind, UsageError};

/// The variables that a flag can refer to.
pub type Environment = BTreeMap<OsString, OsString>;

/// The build arguments of `--build-arg-file` and `--build-arg`, the latter on top.
///
/// `NAME` alone takes the value from the environment; a variable that is not there takes the argument
/// out again, as with the engines.
pub fn build_args(
    flags: &BuildFlags,
    engine: EngineKind,
    environment: &Environment,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<BTreeMap<String, OsString>, UsageError> {
    let mut args = BTreeMap::new();
    for path in flags.values("build-arg-file") {
        let bytes = read_file(Path::new(path))
            .map_err(|error| UsageError::new(format!("parsing file {}: {error}", go::quote(path))))?;
        match engine {
            EngineKind::Buildah => buildah_arg_file(&bytes, environment, &mut args)?,
            EngineKind::Podman => podman_arg_file(path, &bytes, environment, &mut args)?,
        }
    }
    for arg in flags.values("build-arg") {
        set_arg(arg.as_bytes(), environment, &mut args)?;
    }
    Ok(args)
}

/// buildah's format: each line as a `--build-arg` has it, nothing trimmed, `#` in the first column only.
fn buildah_arg_file(
    bytes: &[u8],
    environment: &Environment,
    args: &mut BTreeMap<String, OsString>,
) -> Result<(), UsageError> {
    let lines = bytes.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty() && line[0] != b'#') {
        set_arg(line, environment, args)?;
    }
    Ok(())
}

/// podman's format, that of its `--env-file`: blanks before a line are dropped, CR LF ends one too, and
/// `NAME*` takes all variables that start so.
fn podman_arg_file(
    path: &OsStr,
    bytes: &[u8],
    environment: &Environment,
    args: &mut BTreeMap<String, OsString>,
) -> Result<(), UsageError> {
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let line = &line[blanks..];
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let equals = line.iter().position(|byte| *byte == b'=');
        let name = &line[..equals.unwrap_or(line.len())];
        let file = go::quote(path);
        if name.is_empty() {
            let shown = go::quote(OsStr::from_bytes(line));
            return Err(UsageError::new(format!("parsing file {file}: invalid variable: {shown}")));
        }
        if name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            let shown = go::quote(OsStr::from_bytes(name));
            let fault = format!("parsing file {file}: name {shown} has white spaces, poorly formatted name");
            return Err(UsageError::new(fault));
        }
        match (equals, name) {
            (None, [prefix @ .., b'*']) => {
                let matching = environment.iter().filter(|(name, _)| name.as_bytes().starts_with(prefix));
                for (name, value) in matching {
                    args.insert(arg_name(name.as_bytes())?, value.clone());
                }
            }
            // Unlike `--build-arg NAME`, a variable that is not there takes nothing out.
            (None, name) if !environment.contains_key(OsStr::from_bytes(name)) => {}
            _ => set_arg(line, environment, args)?,
        }
    }
    Ok(())
}

fn set_arg(
    text: &[u8],
    environment: &Environment,
    args: &mut BTreeMap<String, OsString>,
) -> Result<(), UsageError> {
    let (name, value) = match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], Some(OsString::from_vec(text[at + 1..].to_vec()))),
        None => (text, environment.get(OsStr::from_bytes(text)).cloned()),
    };
    let name = arg_name(name)?;
    match value {
        Some(value) => args.insert(name, value),
        None => args.remove(&name),
    };
    Ok(())
}

fn arg_name(name: &[u8]) -> Result<String, UsageError> {
    String::from_utf8(name.to_vec()).map_err(|_| {
        let shown = go::quote(OsStr::from_bytes(name));
        UsageError::new(format!("the build argument {shown} has a name that is not UTF-8"))
    })
}

/// What `--build-context NAME=...` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildContext {
    /// `container-image://`, `docker-image://` or `docker://`: an image by name or id.
    Image(String),
    /// An archive or repository to fetch.
    Url(String),
    /// A folder.
    Dir(PathBuf),
}

/// The additional contexts by name; the last one of a name counts.
pub fn build_contexts(flags: &BuildFlags) -> Result<BTreeMap<String, BuildContext>, UsageError> {
    flags.values("build-context").map(build_context).collect()
}

fn build_context(text: &OsStr) -> Result<(String, BuildContext), UsageError> {
    let refused = || {
        let shown = go::quote(text);
        let fault = format!(
            "while parsing additional build context: [{shown}], accepts value in the form of key=value"
        );
        UsageError::new(fault).with_way_out("write --build-context=NAME=DIR or NAME=container-image://IMAGE")
    };
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').ok_or_else(refused)?;
    let name = str::from_utf8(&bytes[..equals]).map_err(|_| refused())?;
    if name.is_empty() {
        return Err(refused());
    }
    let value = OsStr::from_bytes(&bytes[equals + 1..]);
    let shown = value.to_string_lossy();
    let images = ["container-image://", "docker-image://", "docker://"];
    let urls = ["http://", "https://", "git://"];
    let context = if let Some(image) = images.iter().find_map(|scheme| shown.strip_prefix(scheme)) {
        BuildContext::Image(image.to_owned())
    } else if urls.iter().any(|scheme| shown.starts_with(scheme)) {
        BuildContext::Url(shown.into_owned())
    } else {
        BuildContext::Dir(PathBuf::from(value))
    };
    Ok((name.to_owned(), context))
}

/// Where a secret's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In a variable.
    Env(OsString),
}

/// The secrets by id.
pub fn secrets(
    flags: &BuildFlags,
    environment: &Environment,
) -> Result<BTreeMap<String, SecretSource>, UsageError> {
    flags.values("secret").map(|text| secret(text, environment)).collect()
}

fn secret(text: &OsStr, environment: &Environment) -> Result<(String, SecretSource), UsageError> {
    let refused = || {
        let fault = "incorrect secret flag format: should be --secret id=foo,src=bar[,env=ENV,type=file|env]";
        UsageError::new(fault)
    };
    let (mut id, mut source, mut kind) = (None, None, None);
    for token in text.as_bytes().split(|byte| *byte == b',') {
        let at = token.iter().position(|byte| *byte == b'=').ok_or_else(refused)?;
        let value = OsStr::from_bytes(&token[at + 1..]);
        match &token[..at] {
            b"id" => id = Some(value.to_str().ok_or_else(refused)?.to_owned()),
            b"src" => source = Some(value.to_owned()),
            b"env" => {
                source = Some(value.to_owned());
                kind = Some(true);
            }
            b"type" if value == "env" => kind = Some(true),
            b"type" if value == "file" => kind = Some(false),
            b"type" => return Err(UsageError::new("invalid secret type, must be file or env")),
            _ => return Err(refused()),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(refused)?;
    let source = source.filter(|source| !source.is_empty()).unwrap_or_else(|| OsString::from(&id));
    let from_env = kind.unwrap_or_else(|| environment.contains_key(OsStr::new(&id)));
    let source = if from_env { SecretSource::Env(source) } else { SecretSource::File(source.into()) };
    Ok((id, source))
}

/// The ids of `--ssh ID[=SOCKET|KEY[,KEY]]`, sorted.
pub fn ssh_ids(flags: &BuildFlags) -> Vec<String> {
    let ids = flags.values("ssh").map(|value| {
        let text = value.to_string_lossy();
        text.split_once('=').map_or(text.as_ref(), |(id, _)| id).to_owned()
    });
    ids.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Where `--output` puts the files of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Into a folder.
    Dir(PathBuf),
    /// Into a tar file.
    Tar(PathBuf),
    /// As a tar file to stdout.
    Stdout,
}

/// The outputs, in order.
pub fn outputs(flags: &BuildFlags) -> Result<Vec<Output>, UsageError> {
    flags.values("output").map(output).collect()
}

fn output(text: &OsStr) -> Result<Output, UsageError> {
    let shown = go::quote(text);
    let refused = |fault: String| {
        UsageError::new(fault).with_way_out("write DIR, -, type=local,dest=DIR or type=tar,dest=FILE")
    };
    match text.as_bytes() {
        b"-" => return Ok(Output::Stdout),
        b"" => return Err(refused("invalid build output option \"\"".to_owned())),
        // Also `dest=DIR` alone, which is a folder of that name with every engine.
        bytes if !bytes.contains(&b',') => return Ok(Output::Dir(text.into())),
        _ => {}
    }
    let (mut kind, mut dest) = (None, None);
    for option in text.as_bytes().split(|byte| *byte == b',') {
        let Some(at) = option.iter().position(|byte| *byte == b'=') else {
            return Err(refused(format!("invalid build output options {shown}, expected format key=value")));
        };
        let (key, value) = (&option[..at], OsStr::from_bytes(&option[at + 1..]));
        let slot = match key {
            b"type" if value != "local" && value != "tar" => {
                let value = go::quote(value);
                let fault = format!("invalid type {value} selected for build output options {shown}");
                return Err(refused(fault));
            }
            b"type" => &mut kind,
            b"dest" => &mut dest,
            _ => {
                let key = go::quote(OsStr::from_bytes(key));
                return Err(refused(format!("unrecognized key {key} in build output option: {shown}")));
            }
        };
        if slot.replace(value).is_some() {
            let key = go::quote(OsStr::from_bytes(key));
            return Err(refused(format!("duplicate {key} not supported")));
        }
    }
    match (kind.and_then(OsStr::to_str), dest.filter(|dest| !dest.is_empty())) {
        (Some("tar"), Some(dest)) if dest == "-" => Ok(Output::Stdout),
        (Some("tar"), Some(dest)) => Ok(Output::Tar(dest.into())),
        (Some("local"), Some(dest)) if dest == "-" => Err(refused(format!(
            "invalid build output option {shown}, \"type=local\" can not be used with \"dest=-\""
        ))),
        (Some("local"), Some(dest)) => Ok(Output::Dir(dest.into())),
        _ => Err(refused(format!(
            "invalid build output option {shown}, accepted keys are \"type\" and \"dest\" must be present"
        ))),
    }
}

/// A flag with a whole number: `jobs`, `timestamp`, `retry`, ...
pub fn number(flags: &BuildFlags, name: &str) -> Option<i64> {
    flags.value(name).and_then(|value| go::parse_int(value).ok())
}

/// `--cache-ttl`: how old an entry may be. Zero asks for no cache at all, as with buildah.
pub fn cache_ttl(flags: &BuildFlags) -> Result<Option<Duration>, UsageError> {
    let Some(text) = flags.value("cache-ttl") else {
        return Ok(None);
    };
    let age = go::parse_duration(&text.to_string_lossy()).map_err(|cause| {
        let shown = go::quote(text);
        UsageError::new(format!("unable to parse value provided {shown} as --cache-ttl: {cause}"))
            .with_way_out("write a number with a unit: 90m, 12h, 1h30m")
    })?;
    if age.is_zero() && flags.bool("no-cache") == Some(false) {
        let fault = "cannot use --cache-ttl with duration as 0 and --no-cache=false";
        return Err(UsageError::new(fault).with_way_out("leave one of them out"));
    }
    Ok(Some(age))
}

/// The time that image and history get, in seconds since 1970, when the command line sets one.
///
/// `--timestamp` is before `SOURCE_DATE_EPOCH`, which buildah reads from 1.41 on, as is `--source-date-epoch`; both flags
/// are refused (1.43.2).
pub fn timestamp(
    flags: &BuildFlags,
    environment: &Environment,
    buildah: Version,
) -> Result<Option<i64>, UsageError> {
    if let Some(seconds) = number(flags, "timestamp") {
        if flags.is_given("source-date-epoch") {
            let fault = "timestamp and source-date-epoch would be ambiguous if allowed together";
            return Err(UsageError::new(fault).with_way_out("leave one of them out"));
        }
        return Ok(Some(seconds));
    }
    let variable = environment.get(OsStr::new("SOURCE_DATE_EPOCH")).map(OsString::as_os_str);
    let variable = variable.filter(|_| buildah >= Version::new(1, 41));
    let epoch = flags.value("source-date-epoch").or(variable);
    let Some(text) = epoch.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or_else(|| {
        let shown = go::quote(text);
        UsageError::new(format!("error parsing source-date-epoch offset {shown}"))
            .with_way_out("write the seconds since 1970")
    })
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
