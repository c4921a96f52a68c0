//! What a step's result hangs on, as a struct; its digest is the step's key.
//!
//! | enters the key | why |
//! |---|---|
//! | key format, platform, image format, `--layers` mode | another result by definition |
//! | the step before: its key; for the first step the id of the base image | what the step stands on |
//! | the instructions: text without comments, and words and flags with ARG and ENV expanded | what is done, and what the history says |
//! | for RUN: every ARG in scope, as a digest | the command sees it as a variable |
//! | COPY, ADD, bind mounts from the context: path, type, mode, content, link target, xattrs of each file | the bytes that go in |
//! | the same from another stage: the key of its files, or the digest of the bytes that are copied | known before anything runs; known once the stage is there |
//! | the same from an image: its id, or the digest of the bytes | likewise |
//! | ADD of a URL: its `--checksum`, else what the server says of it now: a strong ETag with size and time, the digest of what it sends, a repository's commit | the text of a URL says nothing about its bytes; asked in front of each build, and again behind the step |
//! | credentials of addresses in instructions, as a digest | the history has them, and a command may get something else with others |
//! | heredocs, with ARG and ENV put in where they are files | they are part of the text |
//! | ids of secrets and ssh agents that a RUN mounts, and whether they are given | without one a command does something else; its value must not leak into a digest |
//! | flags that can change what a step produces (the table in `flags`), for RUN those too that only commands see | `--network`, `--add-host`, `--env`, … |
//! | `BUILDAH_ISOLATION`, `BUILDAH_RUNTIME`, `BUILDAH_FORMAT`, `BUILDAH_LAYERS`, `SOURCE_DATE_EPOCH` where the engine reads it | they are flags in another place |
//! | `--ignore-file-mode`, for steps that read a context | a file may have another mode than the key says |
//! | the dialect that the file is read in | the same bytes are other instructions before heredocs |
//!
//! | stays out | why |
//! |---|---|
//! | owner and modification time of context files | the engine writes `0:0` and git keeps no times |
//! | which files are hard links of each other | the content is the same, and git keeps none |
//! | absolute paths, the name and place of the context | the same tree elsewhere is the same build |
//! | names of stages, comments, blank lines | nothing of them is in the image but the label, which is on the leaf |
//! | the clock, the build's UUID, stage labels | they would make each build a new one |
//! | host `*_proxy` variables (as `--build-arg` they are in) | how a download travels, not what it brings; as BuildKit |
//! | the umask | the engines run with their own, 022; the modes of context files are in |
//! | content of a `--volume` or `--device`, speed and memory limits | as the machine itself: not what is built, but where |
//! | engine and its version, containers.conf | the same instructions; a change of the engine must not rebuild the world |
//! | `type=cache` and `tmpfs` mounts | a cache is not an input: a step has to work with an empty one; where `from=` fills it, that is in |
//!
//! Two results of one key can differ: a step that is run again although its result is known may leave something else.
//! `store::Edition` tells them apart, and `plan` takes no result that was made of an earlier one.

mod kept;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::masked;
use crate::image::{ImageFormat, ImageId};
use crate::veil;

/// The format of [`StepInputs`]. Raise it when the meaning of any field changes.
///
/// 1: first.
pub const FORMAT: u32 = 1;

/// The digest of a step's inputs: 64 hexadecimal digits of BLAKE3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StepKey(String);

impl From<StepKey> for String {
    fn from(key: StepKey) -> Self {
        key.0
    }
}

impl TryFrom<String> for StepKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let key = Self::parse(&text).filter(|key| key.0 == text);
        key.ok_or_else(|| format!("`{}` is no key", text.escape_debug()))
    }
}

impl StepKey {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| Self(text.to_ascii_lowercase()))
    }

    /// The first 12 digits.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a step stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    /// Nothing: `FROM scratch`.
    Scratch,
    /// An image of the storage or of a registry, by config digest.
    Image(ImageId),
    /// The step before, or the last step of the stage that FROM names.
    Step(StepKey),
}

/// What is known of the bytes that an instruction takes from somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The digest of a listing of files of the build context, or of a context given by name.
    Files(String),
    /// The files of another stage, by the key of its last step that has a layer.
    Stage(StepKey),
    /// The files of an image.
    Image(ImageId),
    /// The bytes themselves, from wherever they come.
    Bytes(String),
    /// A remote source with what identifies its content: a checksum, an ETag, a commit.
    Remote(String),
}

/// One source of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which instruction of the step, from 0.
    pub instruction: usize,
    /// Where it comes from, for people: `context`, `stage planner`, `image alpine`, a URL. Not in the key.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub from: String,
    /// The paths, expanded.
    pub paths: Vec<String>,
    /// What is known of their content.
    pub content: Content,
}

/// All that a step's result hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepInputs {
    /// [`FORMAT`].
    pub format: u32,
    /// `os/arch[/variant]`.
    pub platform: String,
    /// OCI or docker.
    pub image_format: ImageFormat,
    /// One layer an instruction, or one for the stage.
    pub layers: bool,
    /// What it stands on.
    pub parent: Parent,
    /// The instructions' text, comments and continuations taken out; bytes beyond UTF-8 escaped.
    pub instructions: Vec<String>,
    /// Words and flags of those instructions that the engine expands, expanded.
    pub expanded: Vec<Vec<String>>,
    /// Values of ARGs that the instructions can see, as digests.
    pub args: BTreeMap<String, String>,
    /// Where bytes come from.
    pub sources: Vec<Source>,
    /// Flags that can change the result, with their values.
    pub flags: BTreeMap<String, Vec<String>>,
}

impl StepInputs {
    /// The key.
    pub fn key(&self) -> StepKey {
        let mut stripped = self.clone();
        for source in &mut stripped.sources {
            source.from.clear();
        }
        // Sorted maps and plain fields: the bytes are a function of the value.
        let bytes = serde_json::to_vec(&stripped)
            .expect("texts, numbers, and lists and maps of them by texts are JSON");
        StepKey(blake3::hash(&bytes).to_hex().to_string())
    }

    /// Adds an instruction with what it expands to. Credentials of addresses are not kept; they count by their digest.
    pub fn add_instruction(&mut self, text: &str, expanded: Vec<String>) {
        let (shown, words) = (masked(text), expanded.iter().map(|word| masked(word)).collect());
        if shown != text || words != expanded {
            let name = format!("{CREDENTIALS}{}", self.instructions.len() + 1);
            let whole = std::iter::once(text).chain(expanded.iter().map(String::as_str)).collect::<Vec<_>>();
            self.args.insert(name, digest_of_value(&whole.join("\0")));
        }
        self.instructions.push(shown);
        self.expanded.push(words);
    }

    /// Whether this is the same but for the files of the one source that it has, a part of the context.
    pub fn is_alike_but_for_files(&self, other: &Self) -> bool {
        let files = |inputs: &Self| match inputs.sources.as_slice() {
            [Source { from, content: Content::Files(_), .. }] => from == "context",
            _ => false,
        };
        let without = |inputs: &Self| {
            let mut inputs = inputs.clone();
            inputs.sources.iter_mut().for_each(|source| source.content = Content::Files(String::new()));
            inputs
        };
        files(self) && files(other) && without(self) == without(other)
    }

    /// Whether any source is known by its definition alone.
    pub fn has_foreign_sources(&self) -> bool {
        self.sources.iter().any(|s| matches!(s.content, Content::Stage(_) | Content::Image(_)))
    }
}

/// The digest of a value that does not belong into a key in clear: an ARG's. It is not kept as it is, see [`veil`].
pub fn digest_of_value(value: &str) -> String {
    blake3::hash(value.as_bytes()).to_hex()[..32].to_owned()
}

/// Under which name among the ARGs the digest of an instruction's credentials stands.
const CREDENTIALS: &str = "the credentials of addresses in instruction ";

/// Bytes as text, injectively: what is not UTF-8, and the backslash before an `x`, is written `\xNN`.
pub fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains("\\x") => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// An instruction as it is shown: without the credentials of addresses.
pub fn title_of(bytes: &[u8]) -> String {
    masked(&text_of(bytes))
}

/// One difference between the inputs of two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The key's format, from and to: an upgrade of this program.
    KeyFormat {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// The platform.
    Platform {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// OCI or docker, layers or squashed.
    Mode {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// Another base image.
    Base {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The step before this one is another.
    Parent,
    /// An instruction's text; empty where there was or is none.
    Instruction {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The same text, expanded to something else.
    Expansion {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// A build argument has another value, is new, or gone.
    Arg {
        /// Its name.
        name: String,
        /// `changed`, `added` or `removed`.
        how: String,
    },
    /// Files of the context.
    Files {
        /// The instruction's keyword and sources.
        instruction: String,
        /// Which files, bounded.
        summary: String,
    },
    /// Other bytes from a stage or an image.
    Bytes {
        /// `stage planner`, `image …`.
        from: String,
    },
    /// A remote source.
    Remote {
        /// The URL.
        url: String,
    },
    /// A flag of the build.
    Flag {
        /// Its name.
        name: String,
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::KeyFormat { old, new } => write!(f, "key format {old} -> {new}"),
            Change::Platform { old, new } => write!(f, "platform {old} -> {new}"),
            Change::Mode { old, new } => write!(f, "{old} -> {new}"),
            Change::Base { old, new } => {
                write!(f, "base image moved: {} -> {}", short_digest(old), short_digest(new))
            }
            Change::Parent => f.write_str("the step before it is another"),
            Change::Instruction { old, new } if old.is_empty() => {
                write!(f, "instruction added: {}", excerpt(new, 0))
            }
            Change::Instruction { old, new } if new.is_empty() => {
                write!(f, "instruction removed: {}", excerpt(old, 0))
            }
            Change::Instruction { old, new } => {
                let at = shared_start(old, new);
                write!(f, "instruction changed: {} -> {}", excerpt(old, at), excerpt(new, at))
            }
            Change::Expansion { old, new } => {
                let (old, new) = (veil::shown(old), veil::shown(new));
                if old == new {
                    return write!(f, "expands to {} with another value", excerpt(&new, 0));
                }
                let at = shared_start(&old, &new);
                write!(f, "expands to {}, was {}", excerpt(&new, at), excerpt(&old, at))
            }
            Change::Arg { name, how } if name.starts_with(CREDENTIALS) => write!(f, "{name} {how}"),
            Change::Arg { name, how } => write!(f, "ARG {name} {how}"),
            Change::Files { instruction, summary } => write!(f, "{instruction}: {summary}"),
            Change::Bytes { from } => write!(f, "{from} produced other bytes"),
            Change::Remote { url } => write!(f, "{url} has other content"),
            Change::Flag { name, old, new } => match (&*veil::shown(old), &*veil::shown(new)) {
                ("", new) => write!(f, "--{name} {new} added"),
                (old, "") => write!(f, "--{name} {old} removed"),
                (old, new) if old == new => write!(f, "--{name} {new} with another value"),
                (old, new) => write!(f, "--{name} {old} -> {new}"),
            },
        }
    }
}

/// The keyword of an instruction's text.
pub fn keyword_of(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or(text)
}

/// All differences from `old` to `new`, both as they are kept (see [`veil`]); `files` tells which files two listings differ in.
pub fn changes(
    old: &StepInputs,
    new: &StepInputs,
    files: &dyn Fn(&str, &str) -> Option<String>,
) -> Vec<Change> {
    let mut found = Vec::new();
    if old.format != new.format {
        found.push(Change::KeyFormat { old: old.format, new: new.format });
    }
    if old.platform != new.platform {
        found.push(Change::Platform { old: old.platform.clone(), new: new.platform.clone() });
    }
    if old.image_format != new.image_format {
        let name = |f| match f {
            ImageFormat::Oci => "format oci".to_owned(),
            ImageFormat::Docker => "format docker".to_owned(),
        };
        found.push(Change::Mode { old: name(old.image_format), new: name(new.image_format) });
    }
    if old.layers != new.layers {
        let name = |layers| if layers { "--layers".to_owned() } else { "--layers=false".to_owned() };
        found.push(Change::Mode { old: name(old.layers), new: name(new.layers) });
    }
    match (&old.parent, &new.parent) {
        (a, b) if a == b => {}
        (Parent::Step(_), Parent::Step(_)) => found.push(Change::Parent),
        (a, b) => found.push(Change::Base { old: shown_parent(a), new: shown_parent(b) }),
    }
    instruction_changes(old, new, &mut found);
    for name in old.args.keys().chain(new.args.keys().filter(|n| !old.args.contains_key(*n))) {
        let how = match (old.args.get(name), new.args.get(name)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), Some(_)) => "changed",
            (None, _) => "added",
            (_, None) => "removed",
        };
        found.push(Change::Arg { name: name.clone(), how: how.into() });
    }
    source_changes(old, new, files, &mut found);
    for name in old.flags.keys().chain(new.flags.keys().filter(|n| !old.flags.contains_key(*n))) {
        let (a, b) = (old.flags.get(name), new.flags.get(name));
        if a != b {
            let shown = |v: Option<&Vec<String>>| v.map(|v| v.join(",")).unwrap_or_default();
            found.push(Change::Flag { name: name.clone(), old: shown(a), new: shown(b) });
        }
    }
    found
}

fn shown_parent(parent: &Parent) -> String {
    match parent {
        Parent::Scratch => "scratch".into(),
        Parent::Image(id) => format!("sha256:{id}"),
        Parent::Step(key) => format!("step {}", key.short()),
    }
}

/// How many characters two texts begin with together.
fn shared_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// A text in a line: whole where it is short, else its first word and what stands around the character `at`.
pub(crate) fn excerpt(text: &str, at: usize) -> String {
    const WHOLE: usize = 64;
    const AROUND: usize = 40;
    let line = |chars: &[char]| {
        let text: String = chars.iter().collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= WHOLE {
        return line(&chars);
    }
    let keyword = chars.iter().position(|c| c.is_whitespace()).unwrap_or(0).min(AROUND);
    let mut start = at.saturating_sub(AROUND / 4).min(chars.len() - AROUND);
    // At the start of a word: of the next one, unless that is behind what it is about.
    let space = |c: &char| c.is_whitespace();
    if start > 0 && !space(&chars[start - 1]) {
        let next = chars[start..at.max(start)].iter().position(space);
        start = next
            .map_or_else(|| chars[..start].iter().rposition(space).map_or(0, |n| n + 1), |n| start + n + 1);
    }
    let (start, head) = if start <= keyword + 1 {
        (0, String::new())
    } else {
        (start, format!("{} … ", line(&chars[..keyword])))
    };
    let end = (start + AROUND).min(chars.len());
    let rest = if end < chars.len() { "…" } else { "" };
    format!("{head}{}{rest}", line(&chars[start..end]))
}

/// As many digits as tell images apart.
fn short_digest(text: &str) -> &str {
    if text.starts_with("sha256:") { text.get(..19).unwrap_or(text) } else { text }
}

fn instruction_changes(old: &StepInputs, new: &StepInputs, found: &mut Vec<Change>) {
    let longest = old.instructions.len().max(new.instructions.len());
    if old.instructions.len() != new.instructions.len() {
        let gone = old.instructions.iter().filter(|i| !new.instructions.contains(i));
        found.extend(gone.map(|i| Change::Instruction { old: i.clone(), new: String::new() }));
        let come = new.instructions.iter().filter(|i| !old.instructions.contains(i));
        found.extend(come.map(|i| Change::Instruction { old: String::new(), new: i.clone() }));
        return;
    }
    for n in 0..longest {
        let (a, b) = (&old.instructions[n], &new.instructions[n]);
        if a != b {
            found.push(Change::Instruction { old: a.clone(), new: b.clone() });
        } else if old.expanded.get(n) != new.expanded.get(n) {
            let shown = |e: Option<&Vec<String>>| e.map(|words| words.join(" ")).unwrap_or_default();
            found
                .push(Change::Expansion { old: shown(old.expanded.get(n)), new: shown(new.expanded.get(n)) });
        }
    }
}

fn source_changes(
    old: &StepInputs,
    new: &StepInputs,
    files: &dyn Fn(&str, &str) -> Option<String>,
    found: &mut Vec<Change>,
) {
    if old.sources.len() != new.sources.len() {
        return; // the instructions differ, and that is said already
    }
    for (a, b) in old.sources.iter().zip(&new.sources) {
        if a.content == b.content {
            continue;
        }
        let name = if b.from.is_empty() { "a source".to_owned() } else { b.from.clone() };
        let text = new.instructions.get(b.instruction).map_or("COPY", String::as_str);
        match (&a.content, &b.content) {
            (Content::Files(x), Content::Files(y)) => found.push(Change::Files {
                instruction: match b.paths.iter().any(|path| veil::is_hidden(path)) {
                    true => excerpt(text, 0),
                    false => format!("{} {}", keyword_of(text), b.paths.join(" ")),
                },
                summary: files(x, y).unwrap_or_else(|| "other files".into()),
            }),
            (_, Content::Remote(_)) => found.push(Change::Remote { url: name }),
            _ => found.push(Change::Bytes { from: name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> StepInputs {
        StepInputs {
            format: FORMAT,
            platform: "linux/amd64".into(),
            image_format: ImageFormat::Oci,
            layers: true,
            parent: Parent::Scratch,
            instructions: vec!["COPY $X /d".into()],
            expanded: vec![vec!["src".into(), "/d".into()]],
            args: BTreeMap::from([("V".into(), digest_of_value("1"))]),
            sources: vec![Source {
                instruction: 0,
                from: "context".into(),
                paths: vec!["src".into()],
                content: Content::Files("f1".into()),
            }],
            flags: BTreeMap::new(),
        }
    }

    fn shown(change: impl FnOnce(&mut StepInputs)) -> (bool, Vec<String>) {
        let old = inputs();
        let mut new = inputs();
        change(&mut new);
        let changes = changes(&old, &new, &|_, _| Some("src/a modified".into()));
        (old.key() != new.key(), changes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_field_changes_the_key_and_is_named_in_the_difference() {
        type Edit = fn(&mut StepInputs);
        let cases: Vec<(Edit, &str)> = vec![
            (|i| i.format = 99, "key format 1 -> 99"),
            (|i| i.platform = "linux/arm64".into(), "platform linux/amd64 -> linux/arm64"),
            (|i| i.image_format = ImageFormat::Docker, "format oci -> format docker"),
            (|i| i.layers = false, "--layers -> --layers=false"),
            (
                |i| i.parent = Parent::Image(ImageId::parse(&"a".repeat(64)).unwrap()),
                "base image moved: scratch -> sha256:aaaaaaaaaaaa",
            ),
            (|i| i.instructions[0] = "COPY b /d".into(), "instruction changed: COPY $X /d -> COPY b /d"),
            (|i| i.expanded[0][0] = "lib".into(), "expands to lib /d, was src /d"),
            (|i| i.args.clear(), "ARG V removed"),
            (|i| *i.args.get_mut("V").unwrap() = digest_of_value("2"), "ARG V changed"),
            (|i| i.sources[0].content = Content::Files("f2".into()), "COPY src: src/a modified"),
            (|i| drop(i.flags.insert("network".into(), vec!["none".into()])), "--network none added"),
        ];
        for (change, expected) in cases {
            assert_eq!(shown(change), (true, vec![expected.to_owned()]));
        }
    }

    #[test]
    fn only_other_files_of_the_context_make_steps_alike() {
        type Edit = fn(&mut StepInputs);
        let others: [(Edit, bool); 6] = [
            (|_| {}, true),
            (|i| i.sources[0].content = Content::Files("f2".into()), true),
            (|i| i.sources[0].paths[0] = "lib".into(), false),
            (|i| i.sources[0].content = Content::Bytes("f1".into()), false),
            (|i| i.sources.push(i.sources[0].clone()), false),
            (|i| drop(i.flags.insert("network".into(), vec!["none".into()])), false),
        ];
        for (n, (change, expected)) in others.into_iter().enumerate() {
            let mut other = inputs();
            change(&mut other);
            assert_eq!(inputs().is_alike_but_for_files(&other), expected, "{n}");
            assert_eq!(other.is_alike_but_for_files(&inputs()), expected, "{n}");
        }
        let mut of_a_context_by_name = inputs();
        of_a_context_by_name.sources[0].from = "context other".into();
        assert!(!of_a_context_by_name.is_alike_but_for_files(&of_a_context_by_name));
    }

    #[test]
    fn long_instructions_are_told_by_what_differs() {
        let text =
            |what: &str| format!("RUN set -e; cd /usr/src/application; {what}; make clean; make install");
        let change = Change::Instruction { old: text("./configure"), new: text("./configure --all") };
        assert_eq!(
            change.to_string(),
            "instruction changed: RUN … ./configure; make clean; make install -> \
             RUN … ./configure --all; make clean; make inst…"
        );
        let heredoc = |last: &str| format!("RUN <<E\n{}{last}\n", "a long line of a script\n".repeat(9));
        let change = Change::Instruction { old: heredoc("one"), new: heredoc("two") };
        assert_eq!(
            change.to_string(),
            "instruction changed: RUN … of a script a long line of a script one -> \
             RUN … of a script a long line of a script two"
        );
        let added = Change::Instruction { old: String::new(), new: text("true") };
        assert_eq!(added.to_string(), "instruction added: RUN set -e; cd /usr/src/application; tru…");
    }

    #[test]
    fn where_a_source_is_said_to_come_from_is_not_in_the_key() {
        assert_eq!(shown(|i| i.sources[0].from = "elsewhere".into()), (false, vec![]));
    }

    #[test]
    fn all_differences_are_told_not_the_first() {
        let (_, told) = shown(|i| {
            i.platform = "linux/arm64".into();
            i.args.clear();
        });
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn text_of_bytes_is_injective() {
        let all: std::collections::HashSet<String> =
            [&b"a\xff"[..], b"a\\xff", b"a\\\\xff", b"aff"].iter().map(|b| text_of(b)).collect();
        assert_eq!(all.len(), 4);
    }
}
