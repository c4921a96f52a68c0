//! Repositories: every call of git is here.
//!
//! What a command line or a Containerfile names is an operand, never an option: it stands behind `--` where git takes
//! that, and what begins with a `-` is refused before git sees it. Nobody is asked for a password, for there is no terminal.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use crate::address::{Refused, masked};
use crate::process::{self, Ended, Invocation};

/// How long a server may send nothing, in seconds: git then gives up with "Operation too slow".
const PATIENCE: &str = "60";

/// A repository, and what of it is wanted: `ADDRESS[#REFERENCE[:FOLDER]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    address: String,
    /// A branch, a tag or a commit; empty for the default branch.
    reference: String,
    /// The folder in it; empty for its root.
    pub folder: String,
}

/// A repository that git could not fetch.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct GitFailed {
    message: String,
    /// git's exit code; nothing where it could not be run.
    pub code: Option<i32>,
}

impl Repository {
    /// Reads an address; a fragment behind a second `#`, or behind a second `:`, is nothing to the engines (1.28).
    ///
    /// # Errors
    /// When a part of it would be an option to git.
    pub fn parse(written: &str) -> Result<Self, Refused> {
        let mut parts = written.split('#');
        let address = parts.next().unwrap_or_default();
        let mut wanted = parts.next().unwrap_or_default().split(':');
        let (reference, folder) = (wanted.next().unwrap_or_default(), wanted.next().unwrap_or_default());
        let host = address.split_once("://").map_or(address, |(_, rest)| rest);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        for (part, text) in [
            ("its beginning", address),
            ("the host", host),
            ("the reference", reference),
            ("the folder", folder),
        ] {
            Refused::unless_operand(written, part, text)?;
        }
        Ok(Self { address: address.to_owned(), reference: reference.to_owned(), folder: folder.to_owned() })
    }

    /// The same repository at another address.
    #[must_use]
    pub fn at(self, address: String) -> Self {
        Self { address, ..self }
    }

    /// Its address as an engine writes it, without a scheme where it has none.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Checks the wanted commit out into an empty folder.
    ///
    /// # Errors
    /// When git cannot be run, or does not find it.
    pub fn check_out(&self, folder: &Path) -> Result<(), GitFailed> {
        let git = |args: &[&str]| checked(&call_in(folder, args)).map(drop);
        let reference = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        git(&["init", "--quiet"])?;
        git(&["remote", "add", "--", "origin", &self.address])?;
        let fetched = git(&["fetch", "--quiet", "--depth=1", "--", "origin", reference]);
        // Some servers cannot hand out a part of a history, or a commit that is no branch's end.
        if fetched.is_ok() || git(&["fetch", "--quiet", "--", "origin", reference]).is_ok() {
            return git(&["checkout", "--quiet", "FETCH_HEAD", "--"]);
        }
        git(&["fetch", "--quiet", "--", "origin"])
            .and_then(|()| git(&["checkout", "--quiet", reference, "--"]))
            .or(fetched)
    }

    /// The commit that is wanted.
    ///
    /// # Errors
    /// When the repository cannot be asked, or has no such reference.
    pub fn commit(&self) -> Result<String, GitFailed> {
        if self.reference.len() == 40 && self.reference.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(self.reference.clone());
        }
        let ended = checked(&call(&["ls-remote", "--quiet", "--", &self.address]))?;
        let listed = String::from_utf8_lossy(&ended.stdout);
        commit_in(&listed, &self.reference).ok_or_else(|| {
            let wanted = if self.reference.is_empty() { "HEAD" } else { &self.reference };
            let message = format!("{} has no reference {}", masked(&self.address), masked(wanted));
            GitFailed { message, code: None }
        })
    }
}

/// The commit of a reference in what `git ls-remote` lists; an annotated tag counts for what it points at.
fn commit_in(listed: &str, reference: &str) -> Option<String> {
    let find = |name: &str| {
        let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(_, listed)| *listed == name).map(|(commit, _)| commit.to_owned())
    };
    if reference.is_empty() {
        return find("HEAD");
    }
    let names = [
        format!("refs/heads/{reference}"),
        format!("refs/tags/{reference}^{{}}"),
        format!("refs/tags/{reference}"),
        reference.to_owned(),
    ];
    names.iter().find_map(|name| find(name))
}

/// A call of git; a helper that an address may name (`ext::sh -c …`) is none of what it runs, whatever is configured.
fn call(args: &[&str]) -> Invocation {
    let mut call = Invocation::new("git").args(["-c", "protocol.ext.allow=never"]).args(args);
    let mut env = |name: &str, value: &str| call.env.push((name.into(), value.into()));
    env("GIT_TERMINAL_PROMPT", "0");
    if std::env::var_os("GIT_HTTP_LOW_SPEED_TIME").is_none() {
        env("GIT_HTTP_LOW_SPEED_LIMIT", "1");
        env("GIT_HTTP_LOW_SPEED_TIME", PATIENCE);
    }
    call
}

/// A call of git on the repository in this folder, also where the environment names another one, as it does in a hook.
fn call_in(folder: &Path, args: &[&str]) -> Invocation {
    let mut call = call(args);
    let inside = folder.join(".git");
    let folders = [
        ("GIT_DIR", inside.clone()),
        ("GIT_WORK_TREE", folder.to_owned()),
        ("GIT_INDEX_FILE", inside.join("index")),
        ("GIT_OBJECT_DIRECTORY", inside.join("objects")),
    ];
    call.env.extend(folders.map(|(name, path)| (OsString::from(name), path.into_os_string())));
    call
}

fn checked(call: &Invocation) -> Result<Ended, GitFailed> {
    let failed = |message: String, code| GitFailed { message: masked(&message), code };
    let ended = process::capture(call).map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed("git cannot be run; install it".to_owned(), None),
        _ => failed(format!("running `{}`: {error}", call.shown()), None),
    })?;
    if !ended.status.success() {
        let message = format!("`{}` failed: {}", call.shown(), ended.stderr_tail.trim_end());
        return Err(failed(message, Some(ended.code())));
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_engines_read_it() {
        let parts = |text: &str| {
            let read = Repository::parse(text).unwrap();
            [read.address, read.reference, read.folder]
        };
        assert_eq!(parts("https://h/r.git"), ["https://h/r.git", "", ""]);
        assert_eq!(parts("https://h/r.git#v1:a/b"), ["https://h/r.git", "v1", "a/b"]);
        assert_eq!(parts("git://h/r#:sub"), ["git://h/r", "", "sub"]);
        assert_eq!(parts("git://h/r#a:b:c#d"), ["git://h/r", "a", "b"]);
    }

    #[test]
    fn what_git_would_take_for_an_option_is_refused_without_its_password() {
        for (text, part) in [
            ("file:///r#--upload-pack=touch /x;git-upload-pack", "the reference"),
            ("file:///r#-q", "the reference"),
            ("file:///r#main:-sub", "the folder"),
            ("--upload-pack=x.git", "its beginning"),
            ("ssh://-oProxyCommand=x/r.git", "the host"),
            ("ssh://u:secret@-oProxyCommand=x/r.git", "the host"),
            ("git@-oProxyCommand=x:r", "the host"),
        ] {
            let error = Repository::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_branch_goes_before_a_tag_and_a_tag_counts_for_its_commit() {
        let listed = "aa\tHEAD\nbb\trefs/heads/main\ncc\trefs/tags/v1\ndd\trefs/tags/v1^{}\nee\trefs/tags/main\n\
                      ff\trefs/pull/7/head\n";
        for (reference, commit) in [
            ("", Some("aa")),
            ("main", Some("bb")),
            ("v1", Some("dd")),
            ("refs/pull/7/head", Some("ff")),
            ("v2", None),
        ] {
            assert_eq!(commit_in(listed, reference).as_deref(), commit, "{reference}");
        }
    }

    #[test]
    fn an_address_runs_no_program() {
        let dir = tempfile::tempdir().unwrap();
        let planted = dir.path().join("planted");
        let run = format!("sh -c touch% {}", planted.display());
        let repository =
            |address: String| Repository { address, reference: String::new(), folder: String::new() };
        for address in [format!("ext::{run}"), format!("--upload-pack=touch {}", planted.display())] {
            let repository = repository(address);
            let into = tempfile::tempdir().unwrap();
            assert!(repository.check_out(into.path()).is_err());
            assert!(repository.commit().is_err());
            assert!(!planted.exists(), "{repository:?}");
        }
    }

    /// A repository with one branch and a folder in it.
    fn repository() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
            checked(&call_in(dir.path(), &[&who[..], args].concat())).unwrap()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(dir.path().join("file"), "1").unwrap();
        git(&["add", "file"]);
        git(&["commit", "--quiet", "--message=one"]);
        let head = String::from_utf8(git(&["rev-parse", "HEAD"]).stdout).unwrap().trim().to_owned();
        (dir, head)
    }

    #[test]
    fn a_branch_a_commit_and_the_default_branch_are_checked_out() {
        let (dir, head) = repository();
        let address = format!("file://{}", dir.path().display());
        for written in [
            address.clone(),
            format!("{address}#main"),
            format!("{address}#{head}:x"),
            format!("{address}#{}", &head[..9]),
        ] {
            let into = tempfile::tempdir().unwrap();
            let repository = Repository::parse(&written).unwrap();
            repository.check_out(into.path()).unwrap();
            assert_eq!(std::fs::read_to_string(into.path().join("file")).unwrap(), "1", "{written}");
            if !written.ends_with(&head[..9]) {
                assert_eq!(repository.commit().unwrap(), head, "{written}");
            }
        }
        let none = Repository::parse(&format!("{address}#none")).unwrap();
        let into = tempfile::tempdir().unwrap();
        assert_eq!(none.check_out(into.path()).unwrap_err().code, Some(128));
        assert!(none.commit().unwrap_err().to_string().contains("no reference none"));
    }
}
