//! Files and repositories on servers, by the programs that are at hand: they know the machine's proxies and certificates.
//!
//! [`identity`] says what tells the bytes of a remote source from other bytes, without an engine; [`fetch`] brings them.

use std::io::ErrorKind;

use anyhow::{Context, anyhow, bail};

use crate::process::{self, Ended, Invocation};

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
        match run(&call.clone().at_most(usize::MAX))? {
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
    let (repository, rest) = source.split_once('#').unwrap_or((source, ""));
    if repository.ends_with(".git") {
        let reference = rest.split(':').next().unwrap_or_default();
        return commit(repository, reference).map(|commit| format!("commit {commit}"));
    }
    if let Some(tag) = entity_tag(source)? {
        return Ok(tag);
    }
    Ok(format!("blake3 {}", blake3::hash(&fetch(source)?).to_hex()))
}

/// The commit that a reference stands for; an empty one is the default branch.
fn commit(repository: &str, reference: &str) -> anyhow::Result<String> {
    if reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(reference.to_owned());
    }
    let mut call = Invocation::new("git").args(["ls-remote", "--quiet", repository]);
    // A repository that wants a name and a password has no one to ask here.
    call.env.push(("GIT_TERMINAL_PROMPT".into(), "0".into()));
    let ended = run(&call)?.ok_or_else(|| anyhow!("{repository}: git cannot be run; install it"))?;
    if !ended.status.success() {
        bail!("`{}` failed: {}", call.shown(), ended.stderr_tail.trim_end());
    }
    let listed = String::from_utf8_lossy(&ended.stdout);
    commit_in(&listed, reference).ok_or_else(|| {
        let wanted = if reference.is_empty() { "HEAD" } else { reference };
        anyhow!("{repository} has no reference {wanted}")
    })
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
