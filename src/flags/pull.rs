//! When the images that a build names are pulled, as the installed engine understands `--pull`.

use std::ffi::OsStr;
use std::fmt;

use super::table::Version;
use super::{BuildFlags, EngineKind, UsageError};

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullPolicy {
    /// Each time; a failing pull fails the build.
    Always,
    /// When the registry has another one; without a registry the local one does.
    Newer,
    /// When there is none.
    Missing,
    /// Not at all.
    Never,
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Newer => "newer",
            Self::Missing => "missing",
            Self::Never => "never",
        })
    }
}

/// The policy of a command line. `buildah` is the version of buildah, also of the one inside podman.
///
/// Measured with buildah 1.28, 1.39, 1.43 and podman 4.3, 5.4, 5.8:
///
/// | | no flag | `--pull` | `=true` | `=false` | `=newer` | another word |
/// |---|---|---|---|---|---|---|
/// | buildah to 1.36 | newer | newer | newer | missing | missing | missing |
/// | buildah to 1.41 | missing | missing | missing | never | newer | refused |
/// | buildah from 1.42 | missing | always | always | never | newer | refused |
/// | podman 4.3 | missing | always | always | missing | missing | missing |
/// | podman 5.4 | missing | missing | always | never | missing | missing |
/// | podman 5.8 | missing | always | always | never | newer | missing |
///
/// One thing is done otherwise: `newer` means newer in every version. It is documented so for podman,
/// and that it was read as another word is podman's issue 22845.
pub fn pull_policy(
    flags: &BuildFlags,
    engine: EngineKind,
    buildah: Version,
) -> Result<PullPolicy, UsageError> {
    let switches = ["pull", "pull-always", "pull-never"];
    if switches.iter().filter(|name| flags.is_given(name)).count() > 1 {
        let fault = "can only set one of 'pull' or 'pull-always' or 'pull-never'";
        return Err(UsageError::new(fault).with_way_out("leave all but one out"));
    }
    if flags.bool("pull-always") == Some(true) {
        return Ok(PullPolicy::Always);
    }
    if flags.bool("pull-never") == Some(true) {
        return Ok(PullPolicy::Never);
    }
    match flags.optional("pull") {
        None => Ok(without_flag(engine, buildah)),
        Some(None) => Ok(without_value(engine, buildah)),
        Some(Some(word)) => of_word(word, engine, buildah),
    }
}

fn without_flag(engine: EngineKind, buildah: Version) -> PullPolicy {
    match engine {
        EngineKind::Buildah if buildah < Version::new(1, 37) => PullPolicy::Newer,
        _ => PullPolicy::Missing,
    }
}

fn without_value(engine: EngineKind, buildah: Version) -> PullPolicy {
    let always = buildah >= Version::new(1, 42);
    match engine {
        _ if always => PullPolicy::Always,
        _ if buildah >= Version::new(1, 37) => PullPolicy::Missing,
        EngineKind::Buildah => PullPolicy::Newer,
        EngineKind::Podman => PullPolicy::Always,
    }
}

fn of_word(word: &OsStr, engine: EngineKind, buildah: Version) -> Result<PullPolicy, UsageError> {
    let text = word.to_string_lossy();
    let lower = text.trim().to_ascii_lowercase();
    // podman's `false` became never between 4.3 and 5.4; its manual of 4.8 (buildah 1.33) says so.
    let false_is_never = match engine {
        EngineKind::Buildah => buildah >= Version::new(1, 37),
        EngineKind::Podman => buildah >= Version::new(1, 33),
    };
    let policy = match lower.as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "newer" | "ifnewer" => PullPolicy::Newer,
        "missing" | "ifmissing" | "notpresent" => PullPolicy::Missing,
        "true" if engine == EngineKind::Podman => PullPolicy::Always,
        "true" => without_value(engine, buildah),
        "false" if false_is_never => PullPolicy::Never,
        _ if engine == EngineKind::Buildah && buildah >= Version::new(1, 37) => {
            let fault = format!("unrecognized pull policy {}", super::go::quote(word));
            let way_out = "write --pull=always, missing, never or newer";
            return Err(UsageError::new(fault).with_way_out(way_out));
        }
        // Older buildah and every podman take any other word for this.
        _ => PullPolicy::Missing,
    };
    Ok(policy)
}

/// What to say of a word that is no policy, and that the engine takes for one all the same.
pub fn unknown_pull_word(flags: &BuildFlags) -> Option<String> {
    let word = flags.optional("pull")??.to_string_lossy().into_owned();
    let known =
        ["always", "never", "newer", "ifnewer", "missing", "ifmissing", "notpresent", "true", "false"];
    let is_known = known.contains(&word.trim().to_ascii_lowercase().as_str());
    (!is_known).then(|| {
        format!("--pull={word}: there is no such policy, and the engine takes it for missing; write always, missing, never or newer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse_build;

    fn policy(arg: &str, engine: EngineKind, minor: u32) -> Result<PullPolicy, UsageError> {
        let args: Vec<_> = arg.split_whitespace().map(Into::into).collect();
        pull_policy(&parse_build(&args, &|_| None).unwrap(), engine, Version::new(1, minor))
    }

    #[test]
    fn each_engine_s_own_reading_is_kept() {
        use EngineKind::{Buildah, Podman};
        use PullPolicy::{Always, Missing, Never, Newer};
        let args = ["", "--pull", "--pull=true", "--pull=TRUE", "--pull=false", "--pull=newer"];
        let cases = [
            (Buildah, 28, [Newer, Newer, Newer, Newer, Missing, Newer]),
            (Buildah, 36, [Newer, Newer, Newer, Newer, Missing, Newer]),
            (Buildah, 39, [Missing, Missing, Missing, Missing, Never, Newer]),
            (Buildah, 43, [Missing, Always, Always, Always, Never, Newer]),
            (Podman, 28, [Missing, Always, Always, Always, Missing, Newer]),
            (Podman, 39, [Missing, Missing, Always, Always, Never, Newer]),
            (Podman, 43, [Missing, Always, Always, Always, Never, Newer]),
        ];
        for (engine, minor, expected) in cases {
            for (arg, expected) in args.iter().zip(expected) {
                assert_eq!(policy(arg, engine, minor), Ok(expected), "{engine} 1.{minor} {arg}");
            }
            for (arg, expected) in [
                ("--pull=always", Always),
                ("--pull-always", Always),
                ("--pull=never", Never),
                ("--pull-never", Never),
                ("--pull=missing", Missing),
                ("--pull=ifmissing", Missing),
                ("--pull=notpresent", Missing),
                ("--pull=never --pull=always", Always),
            ] {
                assert_eq!(policy(arg, engine, minor), Ok(expected), "{engine} 1.{minor} {arg}");
            }
        }
    }

    #[test]
    fn an_unknown_word_is_refused_where_buildah_refuses_it() {
        for arg in ["--pull=wat", "--pull="] {
            assert_eq!(policy(arg, EngineKind::Buildah, 28), Ok(PullPolicy::Missing), "{arg}");
            assert_eq!(policy(arg, EngineKind::Podman, 43), Ok(PullPolicy::Missing), "{arg}");
            let flags = parse_build(&[arg.into()], &|_| None).unwrap();
            assert!(unknown_pull_word(&flags).is_some_and(|warning| warning.starts_with(arg)), "{arg}");
        }
        let error = policy("--pull=wat", EngineKind::Buildah, 43).unwrap_err();
        assert_eq!(error.message, "unrecognized pull policy \"wat\"");
    }

    #[test]
    fn two_pull_flags_are_refused() {
        let error = policy("--pull-always --pull=missing", EngineKind::Podman, 28).unwrap_err();
        assert_eq!(error.message, "can only set one of 'pull' or 'pull-always' or 'pull-never'");
    }
}
