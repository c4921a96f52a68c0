//! The engines that a run is about: which program, which version, called how and as whom.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::corpus::{Limits, Version};
use crate::image::Storage;

/// What the name of an engine that builds without privileges ends in.
pub const ROOTLESS: &str = " rootless";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Buildah,
    Podman,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Buildah => "buildah",
            Kind::Podman => "podman",
        }
    }
}

/// An ordinary user who builds.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// One engine as it is called.
#[derive(Clone, Debug)]
pub struct Engine {
    pub program: String,
    /// Words before the program, for an engine that lives in a root of its own.
    pub prefix: Vec<String>,
    pub kind: Kind,
    /// What `--version` prints.
    pub version: String,
    /// The version of buildah, for podman of the buildah in it.
    pub buildah: Version,
    /// Whom to become; nobody where the run itself is an ordinary user's.
    pub user: Option<User>,
    /// Whether builds have no privileges.
    pub rootless: bool,
}

impl Engine {
    pub fn probe(program: &str, prefix: &[String], user: Option<User>) -> Result<Engine> {
        let version = ask(prefix, &[program, "--version"])?;
        let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let number: Version =
            number.with_context(|| format!("{program} --version says `{version}`"))?.parse()?;
        let (kind, buildah) = if version.starts_with("buildah") {
            (Kind::Buildah, number)
        } else if version.starts_with("podman") {
            (Kind::Podman, buildah_in_podman(number))
        } else {
            bail!("{program} is neither buildah nor podman: `{version}`");
        };
        let rootless = user.is_some() || !nix::unistd::geteuid().is_root();
        Ok(Engine {
            program: program.to_owned(),
            prefix: prefix.to_vec(),
            kind,
            version,
            buildah,
            user,
            rootless,
        })
    }

    /// As tables show it: `buildah 1.28.2`, `podman 4.3.1 rootless`.
    pub fn label(&self) -> String {
        let number =
            self.version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let rootless = if self.rootless { ROOTLESS } else { "" };
        format!("{} {}{rootless}", self.kind.name(), number.unwrap_or_default())
    }

    /// Whether something with these limits is for this engine.
    pub fn takes(&self, limits: &Limits) -> bool {
        (limits.engines.is_empty() || limits.engines.iter().any(|name| name == self.kind.name()))
            && limits.since.is_none_or(|since| self.buildah >= since)
            && limits.before.is_none_or(|before| self.buildah < before)
            && limits.user.as_ref().is_none_or(|user| (user == "rootless") == self.rootless)
            && limits.needs.iter().all(|program| crate::layout::in_path(program).is_some())
    }

    /// A call of `program` in the engine's surroundings: its root, its user, these variables and nothing of the
    /// caller's that engines read.
    pub fn command(&self, program: &str, variables: &[(String, String)], cwd: &Path) -> Command {
        let mut words = self.prefix.clone();
        if !self.prefix.is_empty() {
            // The prefix is a foreign program with variables of its own: it gets the caller's.
            words.push("env".to_owned());
            words.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        }
        if let Some(user) = &self.user {
            let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
            words.extend(["setpriv".to_owned()].into_iter().chain(ids).chain(["--clear-groups".to_owned()]));
        }
        words.push(program.to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(cwd);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let engines_read =
                ["BUILDAH_", "CONTAINER", "STORAGE_", "DOCKER_", "XDG_", "STAGECACHE_", "GIT_", "SSH_"];
            if engines_read.iter().any(|prefix| name.starts_with(prefix))
                || name.to_ascii_lowercase().ends_with("_proxy")
                || ["TMPDIR", "SOURCE_DATE_EPOCH", "REGISTRY_AUTH_FILE", "NO_COLOR"].contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        if self.prefix.is_empty() {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        }
        command
    }

    /// The arguments with which every engine is told where its storage is.
    pub fn storage_args(storage: &Storage) -> Vec<String> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        ["--root".to_owned(), path(&storage.root), "--runroot".to_owned(), path(&storage.runroot)]
            .into_iter()
            .chain(["--storage-driver".to_owned(), storage.driver.clone()])
            .collect()
    }
}

/// What a command says, where the engines live.
fn ask(prefix: &[String], words: &[&str]) -> Result<String> {
    let words: Vec<&str> = prefix.iter().map(String::as_str).chain(words.iter().copied()).collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", words.join(" ")))?;
    ensure!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl User {
    /// A user of the system that the engines live in.
    pub fn named(name: &str, prefix: &[String]) -> Result<User> {
        let line = ask(prefix, &["getent", "passwd", name])
            .with_context(|| format!("looking for the user {name}"))?;
        match line.split(':').collect::<Vec<_>>().as_slice() {
            [name, _, uid, gid, ..] => {
                Ok(User { name: (*name).to_owned(), uid: uid.parse()?, gid: gid.parse()? })
            }
            _ => bail!("not a line of passwd: {line}"),
        }
    }
}

/// The buildah that a podman is made with.
fn buildah_in_podman(podman: Version) -> Version {
    let first = [
        (Version(4, 3), Version(1, 28)),
        (Version(4, 4), Version(1, 29)),
        (Version(4, 5), Version(1, 30)),
        (Version(4, 6), Version(1, 31)),
        (Version(4, 7), Version(1, 32)),
        (Version(4, 8), Version(1, 33)),
        (Version(5, 0), Version(1, 35)),
        (Version(5, 1), Version(1, 36)),
        (Version(5, 2), Version(1, 37)),
        (Version(5, 3), Version(1, 38)),
        (Version(5, 4), Version(1, 39)),
        (Version(5, 5), Version(1, 40)),
        (Version(5, 6), Version(1, 41)),
        (Version(5, 7), Version(1, 42)),
        (Version(5, 8), Version(1, 43)),
        (Version(6, 0), Version(1, 44)),
    ];
    first.iter().rev().find(|(since, _)| podman >= *since).map_or(Version(1, 28), |(_, buildah)| *buildah)
}
