//! Files and repositories on servers.
//!
//! [`identity`] says what tells the bytes of a remote source from other bytes, without an engine; [`Client`] brings files, and
//! [`git`] brings repositories. What an engine fetches itself, as the source of an ADD that runs, stays with the engine.

mod forward;
pub mod git;
mod http;
mod location;
mod proxy;

use crate::address::Refused;
use git::Repository;
pub use http::{Answer, Client, HttpError, Patience};
pub use proxy::Proxies;

/// How much is read of a source of ADD to tell its bytes: what is larger runs each time.
const LARGEST_SOURCE: u64 = 64 << 30;

/// What tells the bytes of a source of ADD from other bytes: the commit of a repository, the strong ETag of a file with its
/// size and time, else the digest of what the server sends.
///
/// # Errors
/// When the server cannot be asked, or the repository has no such reference.
pub fn identity(source: &str) -> anyhow::Result<String> {
    if let Some(repository) = repository(source)? {
        return Ok(format!("commit {}", repository.commit()?));
    }
    let client = Client::new();
    let answer = client.head(source)?;
    // Some servers refuse the question alone: then the file is read.
    if let Some(tag) =
        Some(answer).filter(|answer| answer.status.is_success()).and_then(|answer| tag_in(&answer))
    {
        return Ok(tag);
    }
    let mut hasher = blake3::Hasher::new();
    client.get(source, LARGEST_SOURCE, &mut hasher)?;
    Ok(format!("blake3 {}", hasher.finalize().to_hex()))
}

/// The repository that a source of ADD or of `--build-context` stands for; nothing for a file.
///
/// # Errors
/// When a part of it would be an option to git, also to the engine's.
pub fn repository(source: &str) -> Result<Option<Repository>, Refused> {
    let address = source.split('#').next().unwrap_or_default();
    if !address.ends_with(".git") && !source.starts_with("git://") {
        return Ok(None);
    }
    Repository::parse(source).map(Some)
}

/// The strong ETag of an answer, with what else it says of the bytes.
fn tag_in(answer: &Answer) -> Option<String> {
    let tag = answer.header("etag").filter(|tag| tag.len() > 2 && tag.starts_with('"'))?;
    let header = |name| answer.header(name).unwrap_or("-");
    Some(format!("etag {tag} {} {}", header("content-length"), header("last-modified")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{self, Invocation};

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
