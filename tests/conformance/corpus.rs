//! The corpus: cases as plain text, one file a subject. A case is one build, or several in a row in one storage.
//!
//! Reading the text is here; `layout` puts a case's files on disk, and running it is `side`'s work. The format is described
//! in `tests/conformance/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// One build and what is expected of it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The corpus file's name without its suffix.
    pub subject: String,
    pub name: String,
    /// The arguments between `build` and the context.
    pub flags: Vec<String>,
    /// The context argument: `.` unless the case says otherwise, nothing at all where it is empty.
    pub context: Option<String>,
    /// The folder that the build is called in, relative to the case's folder.
    pub cwd: String,
    /// A file that becomes the build's standard input.
    pub stdin: Option<String>,
    /// `NAME=value` for the build's environment.
    pub env: Vec<String>,
    /// The exit code, zero unless the case says otherwise; nothing where versions differ and only sameness counts.
    pub exit: Option<i32>,
    /// What the messages of both sides must contain.
    pub messages: Vec<String>,
    /// What the native result must look like, so that a case cannot lose its point.
    pub expectations: Vec<Expectation>,
    /// The first version of buildah whose own result the case describes; with an older one podman-stagecache's must be so.
    pub native_from: Option<Version>,
    pub limits: Limits,
    /// Where the resulting image is found.
    pub result: ResultName,
    /// Folders, tar archives and files that the build writes, relative to the case's folder.
    pub outputs: Vec<Output>,
    /// Whether both sides get no `--layers` at all, for flags that do not go with one.
    pub no_mode_flag: bool,
    /// Paths (`*` stands for anything) whose content two runs of one engine do not share, and `history-digests` where
    /// that shows in the history.
    pub varies: Vec<String>,
    /// Whether standard output is compared.
    pub stdout: bool,
    /// Whether stagecache adds its stage labels (they are left out of the comparison).
    pub stage_labels: bool,
    pub entries: Vec<Entry>,
    /// Folders that are no part of the corpus and become a part of the case.
    pub copies: Vec<Copied>,
    /// How many seconds a build may take, where one that takes longer counts as one that fails.
    pub seconds: Option<u64>,
    /// How many of it are built at the same time; the engine builds one.
    pub at_once: usize,
    /// How many steps podman-stagecache runs, in layers and squashed.
    pub runs: Option<(usize, usize)>,
    /// Whether a later build of the engine may use the engine's own cache.
    pub native_cache: bool,
    /// The engine that builds, where it is not the one that the run is about.
    pub by: Option<String>,
    /// What is done before the build: to the files of the build before, and with the engine.
    pub changes: Changes,
    /// The builds that follow in the same storage, each of them as a whole case.
    pub then: Vec<Case>,
    /// What podman-stagecache alone builds before, and what must not show.
    pub after: Option<Box<First>>,
    /// The text that the case was read from: what a cached native result depends on.
    pub text: String,
}

/// A folder from elsewhere.
#[derive(Clone, Debug)]
pub struct Copied {
    pub from: PathBuf,
    /// Relative to the case's folder.
    pub to: PathBuf,
}

/// A build before a case.
#[derive(Clone, Debug)]
pub struct First {
    pub case: Case,
    /// The mode, where it is another than that of the case.
    pub mode: Option<Mode>,
}

/// What happens between two builds.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Everything is removed and laid out again, as by a new clone.
    pub afresh: bool,
    /// Removed, with all that lies below.
    pub removed: Vec<PathBuf>,
    /// New, or with another content; what is there is written over in place.
    pub written: Vec<Entry>,
    pub modes: Vec<(u32, PathBuf)>,
    /// Get a new time, with all that lies below.
    pub touched: Vec<PathBuf>,
    /// Calls of the engine on the storage, without what says where that is.
    pub calls: Vec<Vec<String>>,
}

/// Which engines, versions, modes and users a case is for.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub engines: Vec<String>,
    /// The first version of buildah (podman: of the buildah in it).
    pub since: Option<Version>,
    /// The first version that the case is no longer for.
    pub before: Option<Version>,
    pub modes: Vec<Mode>,
    /// `root` or `rootless`.
    pub user: Option<String>,
    /// Programs that must be installed.
    pub needs: Vec<String>,
}

impl Limits {
    pub fn in_mode(&self, mode: Mode) -> bool {
        self.modes.is_empty() || self.modes.contains(&mode)
    }
}

/// A version as `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl std::str::FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Version> {
        let mut numbers = text.split(['.', '-', '+']);
        let mut next = || numbers.next().unwrap_or("").parse::<u32>();
        match (next(), next()) {
            (Ok(major), Ok(minor)) => Ok(Version(major, minor)),
            _ => bail!("not a version: {text}"),
        }
    }
}

/// How a stage becomes layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// `--layers`
    Layers,
    /// `--layers=false`
    Squashed,
}

impl Mode {
    pub const ALL: [Mode; 2] = [Mode::Layers, Mode::Squashed];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Layers => "layers",
            Mode::Squashed => "squashed",
        }
    }

    /// The flag that both sides get.
    pub fn flag(self) -> &'static str {
        match self {
            Mode::Layers => "--layers",
            Mode::Squashed => "--layers=false",
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == text).with_context(|| format!("not a mode: {text}"))
    }
}

/// Where the resulting image is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResultName {
    /// By the `--iidfile` that the harness adds.
    #[default]
    Iid,
    /// By the `--iidfile` that is among the case's own flags.
    IidFile(String),
    /// By a name that the case gives with `-t` or `--manifest`: an image or a list of them.
    Name(String),
    /// By the id that is the last line of standard output.
    Stdout,
    /// No image is looked for.
    None,
}

/// Something that a build writes beside the image.
#[derive(Clone, Debug)]
pub enum Output {
    Dir(String),
    Tar(String),
    /// The whole text.
    File(String),
    /// A text that the file must contain.
    Contains(String, String),
}

/// `expect: PATH = VALUE` and its relatives, asked of the native result.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub path: String,
    pub relation: Relation,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    Contains,
    Lacks,
}

/// One thing of a case's files.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Relative to the case's folder.
    pub path: PathBuf,
    pub kind: EntryKind,
    pub mode: Option<u32>,
    pub owner: Option<(u32, u32)>,
    /// The modification time, where a case needs another than everybody's.
    pub mtime: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum EntryKind {
    File(Vec<u8>),
    Dir,
    Symlink(String),
    Hardlink(String),
    Fifo,
    /// The host's static busybox with these applets as links beside it.
    Busybox(Vec<String>),
    /// A private key for --ssh, a new one each time.
    SshKey,
    /// A tar archive of a folder of the case.
    Archive {
        of: String,
        compression: String,
    },
    /// A git repository with one commit that holds a folder of the case.
    Git {
        of: String,
        branch: String,
    },
    /// A tar archive written entry by entry: a line each, so that it can hold what a folder cannot.
    TarLines(String),
}

impl Case {
    /// `subject/name`, as the options and reports show it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.subject, self.name)
    }

    /// The builds of the case in their order.
    pub fn builds(&self) -> impl Iterator<Item = &Case> {
        std::iter::once(self).chain(&self.then)
    }

    /// The build that follows this one: the same, until its section says otherwise.
    pub fn next(&self) -> Case {
        Case {
            exit: Some(0),
            messages: Vec::new(),
            expectations: Vec::new(),
            at_once: 1,
            runs: None,
            native_cache: false,
            changes: Changes::default(),
            then: Vec::new(),
            text: String::new(),
            ..self.clone()
        }
    }

    /// Adds a file, or puts it in the place of one that has the path.
    pub fn write(&mut self, entry: Entry) {
        self.entries.retain(|old| old.path != entry.path);
        self.changes.written.push(entry.clone());
        self.entries.push(entry);
    }

    /// Removes what lies at the path and below.
    pub fn remove(&mut self, path: PathBuf) {
        self.entries.retain(|entry| !entry.path.starts_with(&path));
        self.changes.removed.push(path);
    }

    /// The build that is being read.
    fn last_build(&mut self) -> &mut Case {
        match self.then.is_empty() {
            true => self,
            false => self.then.last_mut().expect("one that follows"),
        }
    }
}

/// A path of the corpus, which is relative to the context, as one relative to the case's folder.
pub fn inside(path: &str) -> Result<PathBuf> {
    let mut whole = PathBuf::from("context");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => ensure!(whole.pop(), "{path} leaves the case"),
            Component::CurDir => {}
            _ => bail!("{path} is not a relative path"),
        }
    }
    Ok(whole)
}

/// Reads every `*.txt` of a folder; names are unique within a file.
pub fn read_corpus(dir: &Path) -> Result<Vec<Case>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "txt"));
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let subject = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        cases.extend(parse(&subject, &text).with_context(|| path.display().to_string())?);
    }
    Ok(cases)
}

/// The heading of a further build of a case.
const THEN: &str = "== then";

/// Reads one corpus file.
pub fn parse(subject: &str, text: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut names = BTreeSet::new();
    let mut body: Option<Body> = None;
    // Keys of which a later build has lines of its own, instead of those of the build before.
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line == THEN {
            close(&mut cases, body.take())?;
            let case = cases.last_mut().with_context(|| format!("line {number}: {THEN} before any case"))?;
            let next = case.last_build().next();
            case.then.push(next);
            replaced.clear();
        } else if let Some(name) = line.strip_prefix("== ") {
            close(&mut cases, body.take())?;
            ensure!(names.insert(name.to_owned()), "line {number}: a second case named {name}");
            cases.push(Case {
                subject: subject.to_owned(),
                name: name.to_owned(),
                cwd: "context".to_owned(),
                context: Some(".".to_owned()),
                exit: Some(0),
                at_once: 1,
                ..Case::default()
            });
        }
        let Some(case) = cases.last_mut() else {
            ensure!(line.is_empty() || line.starts_with('#'), "line {number}: text before the first case");
            continue;
        };
        case.text.push_str(line);
        case.text.push('\n');
        if line.starts_with("== ") {
        } else if let Some(head) = line.strip_prefix("-- ") {
            close(&mut cases, body.take())?;
            body = Some(Body::open(head).with_context(|| format!("line {number}"))?);
        } else if let Some(body) = &mut body {
            // A file's line that begins with `-- ` or `== ` is written with a backslash before it.
            let kept =
                line.strip_prefix('\\').filter(|rest| rest.starts_with("-- ") || rest.starts_with("== "));
            body.text.push_str(kept.unwrap_or(line));
            body.text.push('\n');
        } else if !line.is_empty() && !line.starts_with('#') {
            let (key, value) =
                line.split_once(':').with_context(|| format!("line {number}: no `key: value`"))?;
            let (key, value) = (key.trim(), value.trim());
            let set_key = match case.then.is_empty() {
                true => set(case, key, value),
                false => set_later(case.last_build(), key, value, replaced.insert(key.to_owned())),
            };
            set_key.with_context(|| format!("line {number}"))?;
        }
    }
    close(&mut cases, body.take())?;
    Ok(cases)
}

/// The lines under a `-- PATH` heading.
struct Body {
    words: Vec<String>,
    text: String,
}

impl Body {
    fn open(head: &str) -> Result<Body> {
        let words = split_words(head)?;
        ensure!(!words.is_empty(), "no path");
        Ok(Body { words, text: String::new() })
    }
}

/// Turns a finished body into an entry of the last case.
fn close(cases: &mut [Case], body: Option<Body>) -> Result<()> {
    let (Some(case), Some(body)) = (cases.last_mut(), body) else {
        return Ok(());
    };
    let entry = entry(body).with_context(|| format!("case {}", case.name))?;
    match case.then.is_empty() {
        true => case.entries.push(entry),
        false => case.last_build().write(entry),
    }
    Ok(())
}

fn entry(body: Body) -> Result<Entry> {
    let Body { words, mut text } = body;
    // An empty line before the next heading is for the reader, not a part of the file.
    if text.ends_with("\n\n") || text == "\n" {
        text.pop();
    }
    let path = &words[0];
    let mut entry = Entry {
        path: inside(path)?,
        kind: if path.ends_with('/') { EntryKind::Dir } else { EntryKind::File(Vec::new()) },
        mode: None,
        owner: None,
        mtime: None,
    };
    let (mut newline, mut repeat, mut hex, mut crlf) = (true, 1, false, false);
    let mut compression = None;
    let mut branch = "main";
    for word in &words[1..] {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "mode" => entry.mode = Some(u32::from_str_radix(value, 8)?),
            "owner" => {
                let (uid, gid) = value.split_once(':').context("owner=UID:GID")?;
                entry.owner = Some((uid.parse()?, gid.parse()?));
            }
            "mtime" => entry.mtime = Some(value.parse()?),
            "link" => entry.kind = EntryKind::Symlink(value.to_owned()),
            "hardlink" => entry.kind = EntryKind::Hardlink(value.to_owned()),
            "fifo" => entry.kind = EntryKind::Fifo,
            "ssh-key" => entry.kind = EntryKind::SshKey,
            "busybox" => entry.kind = EntryKind::Busybox(split_words(value)?),
            "tar" => entry.kind = EntryKind::Archive { of: value.to_owned(), compression: "none".to_owned() },
            "compress" => compression = Some(value.to_owned()),
            "git" => entry.kind = EntryKind::Git { of: value.to_owned(), branch: String::new() },
            "branch" => branch = value,
            "tar-lines" => entry.kind = EntryKind::TarLines(String::new()),
            "no-newline" => newline = false,
            "crlf" => crlf = true,
            "hex" => hex = true,
            "repeat" => repeat = value.parse()?,
            _ => bail!("unknown attribute {name}"),
        }
    }
    match &mut entry.kind {
        EntryKind::File(bytes) => {
            if !newline {
                text.pop();
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            *bytes = if hex { unhex(&text)? } else { text.repeat(repeat).into_bytes() };
        }
        EntryKind::TarLines(lines) => *lines = text,
        EntryKind::Archive { compression: kept, .. } => {
            if let Some(compression) = compression {
                *kept = compression;
            }
        }
        EntryKind::Git { branch: kept, .. } => *kept = branch.to_owned(),
        _ => ensure!(text.is_empty(), "{path} cannot have a content"),
    }
    Ok(entry)
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?)).collect()
}

/// A key of a build that follows another: `first` where it is the key's first line.
fn set_later(build: &mut Case, key: &str, value: &str, first: bool) -> Result<()> {
    let paths = || split_words(value)?.iter().map(|path| inside(path)).collect::<Result<Vec<_>>>();
    match key {
        "flags" if first => build.flags.clear(),
        "env" if first => build.env.clear(),
        "output" if first => build.outputs.clear(),
        _ => {}
    }
    match key {
        "add-flags" => build.flags.extend(split_words(value)?),
        "remove" => paths()?.into_iter().for_each(|path| build.remove(path)),
        "touch" => build.changes.touched.extend(paths()?),
        "chmod" => {
            let (mode, path) = value.split_once(' ').context("chmod: MODE PATH")?;
            build.changes.modes.push((u32::from_str_radix(mode, 8)?, inside(path)?));
        }
        "afresh" => build.changes.afresh = true,
        "call" => build.changes.calls.push(split_words(value)?),
        "native-cache" => build.native_cache = true,
        "by" => build.by = Some(value.to_owned()),
        "context" if value.is_empty() => build.context = None,
        "engines" | "since" | "before" | "modes" | "user" | "needs" | "native-from" | "stage-labels" => {
            bail!("{key} is for all builds of a case and stands at its head")
        }
        _ => set(build, key, value)?,
    }
    Ok(())
}

fn set(case: &mut Case, key: &str, value: &str) -> Result<()> {
    let limits = &mut case.limits;
    match key {
        "flags" => case.flags.extend(split_words(value)?),
        "context" => case.context = (!value.is_empty()).then(|| value.to_owned()),
        "cwd" => case.cwd = inside(value)?.to_string_lossy().into_owned(),
        "stdin" => case.stdin = Some(inside(value)?.to_string_lossy().into_owned()),
        "env" => case.env.push(value.to_owned()),
        "exit" => case.exit = (value != "any").then(|| value.parse()).transpose()?,
        "message" => case.messages.push(value.to_owned()),
        "expect" => case.expectations.push(expectation(value)?),
        "native-from" => case.native_from = Some(value.parse()?),
        "engines" => limits.engines = split_words(value)?,
        "since" => limits.since = Some(value.parse()?),
        "before" => limits.before = Some(value.parse()?),
        "modes" => {
            limits.modes = split_words(value)?.iter().map(|mode| mode.parse()).collect::<Result<_>>()?
        }
        "user" => limits.user = Some(value.to_owned()),
        "needs" => limits.needs = split_words(value)?,
        "varies" => case.varies = split_words(value)?,
        "mode-flag" => case.no_mode_flag = true,
        "at-once" => case.at_once = value.parse()?,
        "runs" => {
            let (layers, squashed) = value.split_once('/').unwrap_or((value, value));
            case.runs = Some((layers.trim().parse()?, squashed.trim().parse()?));
        }
        "stdout" => case.stdout = true,
        "stage-labels" => case.stage_labels = true,
        "result" => {
            let (kind, rest) = value.split_once(' ').unwrap_or((value, ""));
            case.result = match kind {
                "iidfile" => ResultName::IidFile(rest.to_owned()),
                "name" => ResultName::Name(rest.to_owned()),
                "stdout" => ResultName::Stdout,
                "none" => ResultName::None,
                _ => bail!("unknown result {value}"),
            };
        }
        "output" => {
            let words = split_words(value)?;
            case.outputs.push(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["dir", path] => Output::Dir(inside(path)?.to_string_lossy().into_owned()),
                ["tar", path] => Output::Tar(inside(path)?.to_string_lossy().into_owned()),
                ["file", path] => Output::File(inside(path)?.to_string_lossy().into_owned()),
                ["file", path, "contains", text] => {
                    Output::Contains(inside(path)?.to_string_lossy().into_owned(), (*text).to_owned())
                }
                _ => bail!("unknown output {value}"),
            });
        }
        _ => bail!("unknown key {key}"),
    }
    Ok(())
}

fn expectation(text: &str) -> Result<Expectation> {
    for (sign, relation) in
        [(" contains ", Relation::Contains), (" lacks ", Relation::Lacks), (" = ", Relation::Equal)]
    {
        if let Some((path, value)) = text.split_once(sign) {
            return Ok(Expectation {
                path: path.trim().to_owned(),
                relation,
                value: value.trim().replace("\\n", "\n"),
            });
        }
    }
    bail!("an expectation is `PATH = VALUE`, `PATH contains TEXT` or `PATH lacks TEXT`: {text}")
}

/// Splits a line into words the way a shell does: blanks, single and double quotes, backslash.
pub fn split_words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut open) = (Vec::new(), String::new(), false);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t') => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (Some(q), _) if q == c => quote = None,
            (None | Some('"'), '\\') => {
                word.push(chars.next().context("a backslash at the end of the line")?);
                open = true;
            }
            _ => {
                word.push(c);
                open = true;
            }
        }
    }
    ensure!(quote.is_none(), "an unclosed quote");
    if open {
        words.push(word);
    }
    Ok(words)
}
