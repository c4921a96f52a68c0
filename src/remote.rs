//! Files and repositories on servers, by the programs that are at hand: they know the machine's proxies and certificates.
//!
//! [`identity`] says what tells the bytes of a remote source from other bytes, without an engine; [`fetch`] brings them.

pub mod address;
pub mod git;

use std::io::ErrorKind;

use anyhow::{Context, bail};

use crate::process::{self, Ended, Invocation};

use address::Refused;
use git::Repository;

/// How long a server may take to answer a question, in seconds; downloads take what they take.
const PATIENCE: &str = "60";

/// The bytes behind an address.
///
/// # Errors
/// When they cannot be had, or there are none.
pub fn fetch(address: &str) -> anyhow::Result<Vec<u8>> {
    let calls = [
        Invocation::new("curl").args(["--fail", "--silent", "--show-error", "--location", address]),
        Invocation::new("wget").args(["--quiet", "--output-document=-", address]),
    ];
    for call in calls {
        match run(&call)? {
            Some(ended) if ended.status.success() && ended.stdout.is_empty() => {
                bail!("no contents in {address}")
            }
            Some(ended) if ended.status.success() => return Ok(ended.stdout),
            Some(ended) => bail!("`{}` failed: {}", call.shown(), ended.stderr_tail.trim_end()),
            None => {}
        }
    }
    bail!("{address} cannot be fetched: neither curl nor wget can be run; install one of them")
}

/// What tells the bytes of a source of ADD from other bytes: the commit of a repository, the strong ETag of a file with its
/// size and time, else the digest of what the server sends.
///
/// # Errors
/// When the server cannot be asked, or the repository has no such reference.
pub fn identity(source: &str) -> anyhow::Result<String> {
    if let Some(repository) = repository(source)? {
        return Ok(format!("commit {}", repository.commit()?));
    }
    if let Some(tag) = entity_tag(source)? {
        return Ok(tag);
    }
    Ok(format!("blake3 {}", blake3::hash(&fetch(source)?).to_hex()))
}

/// The repository that a source of ADD or of `--build-context` stands for; nothing for a file.
///
/// # Errors
/// When a part of it would be an option to git, also to the engine's.
pub fn repository(source: &str) -> Result<Option<Repository>, Refused> {
    let address = source.split('#').next().unwrap_or_default();
    if address.ends_with(".git") || source.starts_with("git://") {
        Repository::parse(source).map(Some)
    } else {
        Ok(None)
    }
}

/// The ETag of a file where the server gives a strong one; nothing where it has to be read.
fn entity_tag(address: &str) -> anyhow::Result<Option<String>> {
    let call = Invocation::new("curl")
        .args(["--head", "--fail", "--silent", "--show-error", "--location", "--max-time", PATIENCE])
        .arg(address);
    let Some(ended) = run(&call)? else { return Ok(None) };
    // Some servers refuse the question alone: then the file is read.
    Ok(ended.status.success().then(|| tag_in(&String::from_utf8_lossy(&ended.stdout))).flatten())
}

/// The strong ETag in the headers of the last answer, with what else they say of the bytes.
fn tag_in(headers: &str) -> Option<String> {
    let mut found: [Option<&str>; 3] = [None; 3];
    for line in headers.lines() {
        if line.starts_with("HTTP/") {
            found = [None; 3];
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let wanted = ["etag", "content-length", "last-modified"];
        if let Some(at) = wanted.iter().position(|wanted| name.eq_ignore_ascii_case(wanted)) {
            found[at] = Some(value.trim());
        }
    }
    let tag = found[0].filter(|tag| tag.len() > 2 && tag.starts_with('"'))?;
    Some(format!("etag {tag} {} {}", found[1].unwrap_or("-"), found[2].unwrap_or("-")))
}

/// Nothing where the program is not installed.
fn run(call: &Invocation) -> anyhow::Result<Option<Ended>> {
    match process::capture(call) {
        Ok(ended) => Ok(Some(ended)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("running `{}`", call.shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_that_of_the_last_answer_and_a_weak_one_is_none() {
        let moved = "HTTP/1.1 302 Found\r\nETag: \"old\"\r\n\r\nHTTP/1.1 200 OK\r\netag: \"new\"\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(tag_in(moved).as_deref(), Some("etag \"new\" 5 -"));
        assert_eq!(tag_in("HTTP/1.1 302 Found\r\nETag: \"old\"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(tag_in("HTTP/2 200\r\nETag: W/\"weak\"\r\n"), None);
        assert_eq!(tag_in("HTTP/2 200\r\nETag: \"\"\r\n"), None);
    }

    #[test]
    fn a_repository_is_told_by_the_commit_of_its_branch() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.git").display().to_string();
        let git = |args: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-C", path.as_str()];
            let ended = process::capture(&Invocation::new("git").args(who).args(args)).unwrap();
            assert!(ended.status.success(), "{}", ended.stderr_tail);
            String::from_utf8(ended.stdout).unwrap().trim().to_owned()
        };
        std::fs::create_dir(&path).unwrap();
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["commit", "--quiet", "--allow-empty", "--message=one"]);
        let first = git(&["rev-parse", "HEAD"]);
        for source in
            [path.clone(), format!("{path}#main"), format!("{path}#main:folder"), format!("{path}#{first}")]
        {
            assert_eq!(identity(&source).unwrap(), format!("commit {first}"), "{source}");
        }
        git(&["commit", "--quiet", "--allow-empty", "--message=two"]);
        assert_ne!(identity(&path).unwrap(), format!("commit {first}"));
        let error = identity(&format!("{path}#none")).unwrap_err().to_string();
        assert!(error.contains("no reference none"), "{error}");
    }
}
