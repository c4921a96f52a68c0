//! What a Containerfile is made of: spans, instructions, flags, heredocs.
//!
//! Plain data. `lex` cuts the bytes into pieces, `parse` fills these types; `graph` and `step` read them.

use std::path::PathBuf;

/// A range of bytes of the file, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

/// Which parser of which engine the file is read like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// buildah up to 1.32: no heredocs, the lines of a body are instructions.
    BeforeHeredocs,
    /// buildah 1.33 and later.
    Heredocs,
}

/// A whole file, every byte of it in exactly one [`Piece`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerfile {
    /// The path as shown in messages.
    pub path: PathBuf,
    /// The bytes as read.
    pub source: Vec<u8>,
    /// How it was read.
    pub dialect: Dialect,
    /// The escape character: `\` or a backtick.
    pub escape: u8,
    /// All pieces in order; their spans cover the file without gap or overlap.
    pub pieces: Vec<Piece>,
}

/// A stretch of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A byte order mark at the start.
    Bom(Span),
    /// `# syntax=`, `# escape=` and the like at the top.
    Directive(Span),
    /// A comment line of its own.
    Comment(Span),
    /// An empty line.
    Blank(Span),
    /// An instruction with all its lines, heredoc bodies and last newline.
    Instruction(Box<Instruction>),
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// All its bytes: continuation lines, comments between them, heredoc bodies, the newline.
    pub span: Span,
    /// The first line, from 1.
    pub line: usize,
    /// The last line, from 1 (the last line of a heredoc body included).
    pub end_line: usize,
    /// The keyword in upper case (`RUN`); an unknown word stays, upper-cased, in [`Keyword::Unknown`].
    pub keyword: Keyword,
    /// The logical line as the engines' parser joins it: comments, blank lines and continuations taken
    /// out, trimmed at its left end only. Bytes, because a Containerfile need not be UTF-8. Without
    /// heredoc bodies. This is what stands in an image's history.
    pub original: Vec<u8>,
    /// The leading `--name[=value]` words.
    pub flags: Vec<Flag>,
    /// What stands behind keyword and flags, trimmed (bytes that are not UTF-8 replaced).
    pub rest: String,
    /// `rest` read as a JSON array of strings, for the instructions that have such a form.
    pub json: Option<Vec<String>>,
    /// Heredocs in the order of their openings.
    pub heredocs: Vec<Heredoc>,
    /// The escape character of the file: `\` or a backtick.
    pub escape: u8,
}

/// A flag of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The name without dashes: `from`.
    pub name: String,
    /// The value behind `=`, as written (not expanded).
    pub value: Option<String>,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter word, quotes removed.
    pub name: String,
    /// Whether variables in the body are expanded (the word was not quoted).
    pub expand: bool,
    /// Whether leading tabs are dropped (`<<-`).
    pub chomp: bool,
    /// The body's bytes as in the file.
    pub body: Vec<u8>,
}

/// The instruction keywords.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the instruction of that name")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
    /// A word that is no instruction: an error of its step, as in buildah, not of parsing.
    Unknown(String),
}
