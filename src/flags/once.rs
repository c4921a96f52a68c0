//! Files on the command line that can be read but once: a pipe, as a shell makes one for `--authfile <(…)`.
//!
//! The engine reads such a file once in a build; here several of its calls do, so what it holds is kept for them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Context;
use tempfile::NamedTempFile;

use super::BuildFlags;

/// Flags whose file goes to more than one reader.
const READ_AGAIN: &[&str] = &["authfile", "ignorefile", "signature-policy"];

/// What was read of such files: for its owner alone, and gone when dropped.
#[derive(Debug, Default)]
pub struct KeptFiles(Vec<NamedTempFile>);

impl BuildFlags {
    /// Reads files that can be read once, and names what was read instead.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn keeping_files(&self) -> anyhow::Result<(Self, KeptFiles)> {
        let (mut flags, mut kept) = (self.clone(), KeptFiles::default());
        for given in &mut flags.given {
            let Some(value) = &given.value else { continue };
            let read = |path: &OsStr| kept.read(path).with_context(|| format!("reading --{}", given.name));
            let replaced = match &*given.name {
                name if READ_AGAIN.contains(&name) => with_path(value, read)?,
                "secret" => with_source(value, read)?,
                _ => None,
            };
            if let Some(value) = replaced {
                given.parts = vec![value.clone()];
                given.value = Some(value);
            }
        }
        Ok((flags, kept))
    }
}

impl KeptFiles {
    fn read(&mut self, path: &OsStr) -> io::Result<OsString> {
        let mut file = tempfile::Builder::new().prefix("stagecache-file-").tempfile()?;
        io::copy(&mut File::open(path)?, &mut file)?;
        let kept = file.path().as_os_str().to_owned();
        self.0.push(file);
        Ok(kept)
    }
}

fn with_path(
    value: &OsStr,
    read: impl FnOnce(&OsStr) -> anyhow::Result<OsString>,
) -> anyhow::Result<Option<OsString>> {
    if can_be_read_again(Path::new(value)) { Ok(None) } else { read(value).map(Some) }
}

/// The source in `id=NAME,src=FILE`.
fn with_source(
    value: &OsStr,
    mut read: impl FnMut(&OsStr) -> anyhow::Result<OsString>,
) -> anyhow::Result<Option<OsString>> {
    let tokens: Vec<&[u8]> = value.as_bytes().split(|byte| *byte == b',').collect();
    let Some(at) = tokens.iter().position(|token| token.starts_with(b"src=")) else { return Ok(None) };
    let is_variable = tokens.iter().any(|token| *token == b"type=env");
    let source = OsStr::from_bytes(&tokens[at][b"src=".len()..]);
    if is_variable || can_be_read_again(Path::new(source)) {
        return Ok(None);
    }
    let kept = [b"src=", read(source)?.as_bytes()].concat();
    let tokens: Vec<&[u8]> =
        tokens.iter().enumerate().map(|(n, token)| if n == at { &kept[..] } else { token }).collect();
    Ok(Some(OsStr::from_bytes(&tokens.join(&b","[..])).to_owned()))
}

/// Not a pipe, and not a file that is open in this process alone. What is not there is told by who looks for it.
fn can_be_read_again(path: &Path) -> bool {
    let own = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    fs::metadata(path).map_or(true, |meta| meta.is_dir() || !(meta.file_type().is_fifo() || own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse_build;

    #[test]
    fn a_pipe_is_read_into_a_file_and_a_file_is_left_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = pipe.to_str().unwrap();
        for (flag, before, behind) in
            [("authfile", "", ""), ("signature-policy", "", ""), ("secret", "id=a,src=", ",type=file")]
        {
            let args = [OsString::from(format!("--{flag}={before}{pipe}{behind}"))];
            let flags = parse_build(&args, &|_| None).unwrap();
            let writer = std::thread::spawn({
                let pipe = pipe.to_owned();
                move || fs::write(pipe, "text").unwrap()
            });
            let (flags, kept) = flags.keeping_files().unwrap();
            writer.join().unwrap();
            let path = kept.0[0].path();
            assert_eq!(fs::read_to_string(path).unwrap(), "text");
            let expected = OsString::from(format!("{before}{}{behind}", path.display()));
            assert_eq!(flags.value(flag), Some(expected.as_os_str()));
        }
        fs::write(folder.path().join("file"), "x").unwrap();
        let args = [
            OsString::from(format!("--authfile={}/file", folder.path().display())),
            "--ignorefile=none".into(),
        ];
        let flags = parse_build(&args, &|_| None).unwrap();
        let (same, kept) = flags.keeping_files().unwrap();
        assert_eq!((same.value("authfile"), kept.0.len()), (flags.value("authfile"), 0));
    }
}
