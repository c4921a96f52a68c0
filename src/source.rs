//! Finds and reads what is to be built: the Containerfile and the context, wherever they are.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use tempfile::{NamedTempFile, TempDir};

use crate::address::masked;
use crate::event::BuildFailure;
use crate::flags::{EngineKind, go};
use crate::process::{self, Invocation};
use crate::remote::git::Repository;
use crate::remote::{Client, HttpError};

/// How much the archive of a context may have: it goes into a file at once, and never into memory.
const LARGEST_ARCHIVE: u64 = 64 << 30;
/// How much a Containerfile may have that comes from elsewhere; the engines stop at a line of 2 MiB.
const LARGEST_CONTAINERFILE: u64 = 64 << 20;

/// The text to build, before it is parsed.
#[derive(Debug)]
pub struct ContainerfileSource {
    /// The path for messages.
    pub path: PathBuf,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where in them the second and later ones of several files begin.
    pub starts: Vec<usize>,
    /// The `--file` values as given (the ignore file is looked for beside them); the default name where none was.
    pub names: Vec<PathBuf>,
    /// The file's real path, which tells builds apart; nothing for standard input.
    pub real: Option<PathBuf>,
    /// What is to be said of it before the build.
    pub warnings: Vec<String>,
}

/// The context folder; a fetched or unpacked one goes with this value.
#[derive(Debug)]
pub struct ContextSource {
    /// The folder.
    pub folder: PathBuf,
    /// What the user wrote.
    pub written: String,
    /// The Containerfile, where the context itself is one.
    pub containerfile: Option<PathBuf>,
    unpacked: Option<TempDir>,
}

impl ContextSource {
    /// Refuses a file of a fetched context that lies somewhere else.
    fn refuse_outside(&self, path: &Path) -> anyhow::Result<()> {
        match &self.unpacked {
            Some(dir) => refuse_outside(dir.path(), path).with_context(|| masked(&self.identity_of(path))),
            None => Ok(()),
        }
    }

    /// A path of the context as it tells builds apart: a fetched context lies elsewhere each time.
    pub fn identity_of(&self, path: &Path) -> String {
        match self.unpacked.as_ref().and_then(|dir| path.strip_prefix(dir.path()).ok()) {
            Some(inside) => format!("{}!{}", self.written, inside.display()),
            None => path.to_string_lossy().into_owned(),
        }
    }
}

/// What of the engine decides how a context is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextRules {
    /// Which of them it is.
    pub engine: EngineKind,
    /// Whether the build ends with git's own exit code where git fails.
    pub hands_on_gits_code: bool,
}

/// Opens the context: a folder, `-` (a tar stream or a Containerfile on standard input), an archive, a git repository,
/// the address of an archive or of a Containerfile; with buildah also a Containerfile, which stands for its folder.
///
/// With a Containerfile on standard input its bytes come along. `files` are the Containerfiles of the command line.
///
/// # Errors
/// When it is not there, cannot be read, or cannot be fetched.
pub fn context(
    argument: Option<&OsStr>,
    files: &[&OsStr],
    rules: ContextRules,
) -> anyhow::Result<(ContextSource, Option<Vec<u8>>)> {
    let engine = rules.engine;
    let Some(argument) = argument else { return Ok((not_given(files, engine)?, None)) };
    let written = argument.to_string_lossy().into_owned();
    if written == "-" {
        return standard_input();
    }
    if is_git(&written) {
        return Ok((clone(&written, rules.hands_on_gits_code)?, None));
    }
    if is_address(&written) {
        return Ok((download(written)?, None));
    }
    let path = Path::new(argument);
    let meta = fs::metadata(path).map_err(|error| {
        anyhow!("context {written}: {error}; name a folder, an archive or a git repository")
    })?;
    if meta.is_dir() {
        return Ok((folder(argument)?, None));
    }
    if let Some(archive) =
        archive_in(path, &meta).with_context(|| format!("context {written}: reading it"))?
    {
        return Ok((unpack(archive.path(), written)?, None));
    }
    if engine == EngineKind::Podman {
        bail!(
            "context must be a directory: \"{written}\"; a Containerfile is named with -f {written}, in front of its folder"
        );
    }
    let file = std::path::absolute(path).with_context(|| format!("context {written}: finding it"))?;
    let parent = file.parent().unwrap_or(Path::new("/"));
    let source = ContextSource { written, containerfile: Some(file.clone()), ..folder(parent.as_os_str())? };
    Ok((source, None))
}

/// Where nothing is said of a context: buildah takes the current folder, podman that of the first Containerfile on this
/// machine (1.28, 4.3).
fn not_given(files: &[&OsStr], engine: EngineKind) -> anyhow::Result<ContextSource> {
    if engine == EngineKind::Buildah {
        return folder(OsStr::new("."));
    }
    let Some(file) = files.iter().find(|file| !is_address(&file.to_string_lossy())) else {
        bail!("no context directory and no Containerfile specified; name a folder, `.` for this one");
    };
    let file = std::path::absolute(file).context("finding the Containerfile's folder")?;
    folder(file.parent().unwrap_or(Path::new("/")).as_os_str())
}

fn folder(path: &OsStr) -> anyhow::Result<ContextSource> {
    let written = path.to_string_lossy().into_owned();
    let folder = fs::canonicalize(path).map_err(|error| anyhow!("context {written}: {error}"))?;
    fs::read_dir(&folder).map_err(|error| anyhow!("context {written} cannot be read: {error}"))?;
    Ok(ContextSource { folder, written, containerfile: None, unpacked: None })
}

fn standard_input() -> anyhow::Result<(ContextSource, Option<Vec<u8>>)> {
    let kept = kept(&mut std::io::stdin()).context("reading the context from standard input")?;
    if is_archive(&start_of(kept.path())?) {
        return Ok((unpack(kept.path(), "-".into())?, None));
    }
    let bytes = containerfile_in(&kept).context("reading the context from standard input")?;
    let empty = temporary()?;
    let source = ContextSource {
        folder: empty.path().to_owned(),
        written: "-".into(),
        containerfile: None,
        unpacked: Some(empty),
    };
    Ok((source, Some(bytes)))
}

fn temporary() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(crate::engine::temporary::prefix())
        .tempdir()
        .context("making a folder for the context")
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// An archive, or a Containerfile whose context is otherwise empty.
fn download(written: String) -> anyhow::Result<ContextSource> {
    let shown = || format!("context {}", masked(&written));
    let mut kept = NamedTempFile::new().with_context(|| format!("{}: making a file for it", shown()))?;
    fetch(&written, LARGEST_ARCHIVE, &mut kept).with_context(shown)?;
    if is_archive(&start_of(kept.path())?) {
        return unpack(kept.path(), written);
    }
    let bytes = containerfile_in(&kept).with_context(shown)?;
    let target = temporary()?;
    fs::write(target.path().join("Dockerfile"), bytes)
        .with_context(|| format!("{}: keeping the Containerfile", shown()))?;
    Ok(ContextSource {
        folder: target.path().to_owned(),
        written,
        containerfile: None,
        unpacked: Some(target),
    })
}

fn fetch(address: &str, limit: u64, sink: &mut dyn Write) -> anyhow::Result<()> {
    match Client::new().get(address, limit, sink) {
        Ok(0) => bail!("no contents in {}", masked(address)),
        Ok(_) => Ok(()),
        Err(HttpError::Interrupted) => Err(BuildFailure::Interrupted.into()),
        Err(error) => Err(error.into()),
    }
}

/// What a stream has, in a file.
fn kept(stream: &mut dyn Read) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    std::io::copy(stream, &mut file)?;
    Ok(file)
}

/// The bytes of a kept Containerfile.
fn containerfile_in(kept: &NamedTempFile) -> anyhow::Result<Vec<u8>> {
    let length = kept.as_file().metadata()?.len();
    if length > LARGEST_CONTAINERFILE {
        bail!("it is no archive, and with {length} bytes it is too large for a Containerfile");
    }
    Ok(fs::read(kept.path())?)
}

fn is_git(text: &str) -> bool {
    let repository = text.split('#').next().unwrap_or(text);
    text.starts_with("git://")
        || text.starts_with("git@")
        || text.starts_with("github.com/")
        || text.starts_with("file://")
        || ((text.starts_with("http://") || text.starts_with("https://")) && repository.ends_with(".git"))
}

/// `REPOSITORY[#BRANCH[:FOLDER]]`.
fn clone(written: &str, hands_on_gits_code: bool) -> anyhow::Result<ContextSource> {
    let repository = Repository::parse(written).context("context")?;
    let repository = match repository.address().strip_prefix("github.com/") {
        Some(rest) => {
            let address = format!("https://github.com/{rest}");
            repository.at(address)
        }
        None => repository,
    };
    let target = temporary()?;
    repository.check_out(target.path()).map_err(|error| {
        let shown = format!("context {}", masked(written));
        // The build ends with git's code where the error is git's own.
        if hands_on_gits_code { anyhow!(error).context(shown) } else { anyhow!("{shown}: {error}") }
    })?;
    let folder = target.path().join(repository.folder.trim_start_matches('/'));
    if !folder.is_dir() {
        bail!("context {}: the repository has no folder {}", masked(written), repository.folder);
    }
    refuse_outside(target.path(), &folder)
        .with_context(|| format!("context {}: folder {}", masked(written), repository.folder))?;
    Ok(ContextSource { folder, written: written.to_owned(), containerfile: None, unpacked: Some(target) })
}

/// Refuses a path of a fetched context that leads out of it, over links or `..`: what is there is no part of the context.
fn refuse_outside(root: &Path, path: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| fs::canonicalize(path).with_context(|| format!("finding {}", path.display()));
    let found = real(path)?;
    if found.starts_with(real(root)?) {
        return Ok(());
    }
    bail!("it leads to {}, out of what was fetched, and is not followed", found.display())
}

fn is_archive(bytes: &[u8]) -> bool {
    let compressed: &[&[u8]] =
        &[&[0x1f, 0x8b, 0x08], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0], &[0x28, 0xb5, 0x2f, 0xfd]];
    compressed.iter().any(|magic| bytes.starts_with(magic)) || bytes.get(257..262) == Some(b"ustar")
}

/// As much of a file as tells whether it is an archive.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(512).read_to_end(&mut start)?;
    Ok(start)
}

/// An archive on this machine: where it lies, or a copy of what can be read once alone.
enum Archive<'a> {
    There(&'a Path),
    Kept(NamedTempFile),
}

impl Archive<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::There(path) => path,
            Self::Kept(file) => file.path(),
        }
    }
}

/// The archive that a context names; nothing where it is something else.
fn archive_in<'a>(path: &'a Path, meta: &fs::Metadata) -> std::io::Result<Option<Archive<'a>>> {
    let archive =
        if meta.is_file() { Archive::There(path) } else { Archive::Kept(kept(&mut fs::File::open(path)?)?) };
    Ok(is_archive(&start_of(archive.path())?).then_some(archive))
}

/// Unpacks with the system's tar, which knows every compression there is.
fn unpack(archive: &Path, written: String) -> anyhow::Result<ContextSource> {
    let shown = masked(&written);
    let target = temporary()?;
    let call = Invocation::new("tar")
        .args(["--extract", "--no-same-owner", "--file"])
        .arg(std::path::absolute(archive).with_context(|| format!("context {shown}: finding it"))?)
        .arg("--directory")
        .arg(target.path());
    let ended =
        process::capture(&call).map_err(|error| anyhow!("context {shown}: cannot run tar: {error}"))?;
    if !ended.status.success() {
        bail!("context {shown}: tar cannot unpack it: {}", ended.stderr_tail);
    }
    Ok(ContextSource {
        folder: target.path().to_owned(),
        written,
        containerfile: None,
        unpacked: Some(target),
    })
}

/// Reads the Containerfile: several `--file` stand one behind the other, `-` is standard input, `.in` goes through cpp.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn containerfile(
    files: &[&OsStr],
    context: &ContextSource,
    from_context: Option<Vec<u8>>,
    cpp_flags: &[OsString],
) -> anyhow::Result<ContainerfileSource> {
    if let Some(bytes) = from_context.filter(|_| files.is_empty()) {
        return Ok(ContainerfileSource {
            path: "-".into(),
            bytes,
            starts: Vec::new(),
            names: Vec::new(),
            real: None,
            warnings: Vec::new(),
        });
    }
    let mut warnings = Vec::new();
    if let Some(path) = context.containerfile.as_ref().filter(|_| files.is_empty()) {
        let name = path.file_name().unwrap_or_default();
        let bytes = text_of(path, cpp_flags, &mut warnings)?;
        return Ok(ContainerfileSource {
            path: PathBuf::from(&context.written),
            bytes,
            starts: Vec::new(),
            names: vec![name.into()],
            real: Some(path.clone()),
            warnings,
        });
    }
    if files.is_empty() {
        for name in ["Containerfile", "Dockerfile"] {
            let path = context.folder.join(name);
            if path.is_file() {
                context.refuse_outside(&path)?;
                let bytes = read(&path)?;
                let shown = Path::new(&masked(&context.written)).join(name);
                let shown = if context.written == "." { PathBuf::from(name) } else { shown };
                return Ok(ContainerfileSource {
                    path: shown,
                    bytes,
                    starts: Vec::new(),
                    names: vec![name.into()],
                    real: Some(path),
                    warnings,
                });
            }
        }
        bail!(
            "no Containerfile or Dockerfile specified or found in context directory, {}; name one with -f",
            context.folder.display()
        );
    }
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    let mut names = Vec::new();
    let mut real = None;
    for (n, file) in files.iter().enumerate() {
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        starts.extend((n > 0).then_some(bytes.len()));
        if *file == "-" {
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("reading the Containerfile from standard input")?;
            continue;
        }
        let address = file.to_str().filter(|text| is_address(text));
        if let Some(address) = address {
            let mut text = Vec::new();
            fetch(address, LARGEST_CONTAINERFILE, &mut text)
                .with_context(|| format!("-f {}", masked(address)))?;
            if address.ends_with(".in") {
                let mut kept = tempfile::Builder::new().suffix(".in").tempfile().context("keeping it")?;
                kept.write_all(&text).context("keeping the Containerfile")?;
                bytes.extend(preprocess(kept.path(), cpp_flags, &mut warnings)?);
            } else {
                bytes.extend(text);
            }
            continue;
        }
        let path = find(Path::new(file), context)?;
        bytes.extend(text_of(&path, cpp_flags, &mut warnings)?);
        names.push(PathBuf::from(file));
        real = real.or_else(|| fs::canonicalize(&path).ok());
    }
    let path = files.first().map_or_else(
        || "-".into(),
        |file| match file.to_str().filter(|text| is_address(text)) {
            Some(address) => PathBuf::from(masked(address)),
            None => PathBuf::from(file),
        },
    );
    Ok(ContainerfileSource { path, bytes, starts, names, real, warnings })
}

/// The text of a Containerfile; that of an `.in` file as the preprocessor leaves it.
fn text_of(path: &Path, cpp_flags: &[OsString], warnings: &mut Vec<String>) -> anyhow::Result<Vec<u8>> {
    if path.extension().is_some_and(|e| e == "in") {
        return preprocess(path, cpp_flags, warnings);
    }
    read(path)
}

/// A relative name is looked for here first, then in the context (buildah: `imagebuildah.BuildDockerfiles`).
fn find(file: &Path, context: &ContextSource) -> anyhow::Result<PathBuf> {
    let text = file.to_string_lossy();
    for (path, of_context) in [(file.to_owned(), false), (context.folder.join(file), true)] {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => bail!("-f {text} is a folder, not a Containerfile"),
            Ok(_) if of_context => return context.refuse_outside(&path).map(|()| path),
            Ok(_) => return Ok(path),
            Err(_) => {}
        }
    }
    bail!(
        "the specified Containerfile {text} does not exist, neither here nor in the context {}",
        masked(&context.written)
    )
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading the Containerfile {}", path.display()))
}

/// What the preprocessor makes of it. The engines go on where it fails in the middle (1.28), and say so.
fn preprocess(path: &Path, flags: &[OsString], warnings: &mut Vec<String>) -> anyhow::Result<Vec<u8>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let of_environment = std::env::var("BUILDAH_CPPFLAGS").unwrap_or_default();
    let of_environment = go::shell_words(&of_environment)
        .map_err(|error| anyhow!("parsing BUILDAH_CPPFLAGS {of_environment:?}: {error}"))?;
    let call = Invocation::new("cpp")
        .args(["-E", "-iquote"])
        .arg(folder)
        .args(["-traditional", "-undef", "-"])
        .args(of_environment)
        .args(flags);
    // cpp reads the file itself: the same text without the markers of a standard input.
    let mut call = call;
    call.args.retain(|arg| arg != "-");
    call = call.arg("-P").arg(path);
    let ended = process::capture(&call).map_err(|error| {
        anyhow!("{}: a .in file needs the C preprocessor, and cpp cannot be run: {error}", path.display())
    })?;
    if !ended.status.success() {
        if ended.stdout.is_empty() {
            bail!("{}: cpp failed: {}", path.display(), ended.stderr_tail);
        }
        warnings.push(format!(
            "{}: ignoring what cpp says: {}",
            path.display(),
            ended.stderr_tail.trim_end()
        ));
    }
    Ok(ended.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILDAH: ContextRules = ContextRules { engine: EngineKind::Buildah, hands_on_gits_code: true };

    #[test]
    fn a_context_that_is_not_there_is_named() {
        let error = context(Some(OsStr::new("/nonexistent/folder")), &[], BUILDAH).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/folder"), "{error}");
    }

    #[test]
    fn a_folder_without_a_containerfile_says_where_it_looked() {
        let dir = tempfile::tempdir().unwrap();
        let (source, _) = context(Some(dir.path().as_os_str()), &[], BUILDAH).unwrap();
        let error = containerfile(&[], &source, None, &[]).unwrap_err().to_string();
        assert!(error.starts_with("no Containerfile or Dockerfile specified or found"), "{error}");
    }

    #[test]
    fn git_repositories_are_told_from_archives() {
        for (text, expected) in [
            ("git://h/r", true),
            ("https://h/r.git#main:sub", true),
            ("https://h/r.tar.gz", false),
            ("file:///srv/r", true),
            ("./folder", false),
        ] {
            assert_eq!(is_git(text), expected, "{text}");
        }
    }

    #[test]
    fn several_files_are_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "FROM x").unwrap();
        fs::write(dir.path().join("b"), "RUN y\n").unwrap();
        let (source, _) = context(Some(dir.path().as_os_str()), &[], BUILDAH).unwrap();
        let read = containerfile(&[OsStr::new("a"), OsStr::new("b")], &source, None, &[]).unwrap();
        assert_eq!((read.bytes.as_slice(), read.starts), (b"FROM x\nRUN y\n".as_slice(), vec![7]));
    }
}
