//! Reads a Containerfile into the types of `ast`, losing no byte of it.
//!
//! What the engines refuse while they parse is an error here; what they refuse only when the step is
//! reached (an unknown instruction, ENV without arguments) is not.

use std::collections::BTreeSet;
use std::path::Path;

use super::ast::{Containerfile, Dialect, Flag, Heredoc, Instruction, Keyword, Piece, Span};
use super::error::ParseError;
use super::heredoc;
use super::instruction::health_check;
use super::lex::{DirectiveError, Lexeme, Lexer, LogicalLine};
use super::rules::Rules;
use super::text::{decode, is_separator, trim};
use super::words::{self, NotStrings, PairError};

/// Reads `source`; `path` is for messages.
pub fn parse(source: Vec<u8>, path: &Path, dialect: Dialect) -> Result<Containerfile, ParseError> {
    let mut lexer = Lexer::new(&source);
    let mut pieces = Vec::new();
    let failed = |at: usize, problem| Err(locate(&source, path, at, problem));
    loop {
        let at = lexer.position();
        let lexeme = match lexer.next_lexeme() {
            Ok(None) => break,
            Ok(Some(lexeme)) => lexeme,
            Err(error) => return failed(at, Problem::Directive(error)),
        };
        pieces.push(match lexeme {
            Lexeme::Bom(span) => Piece::Bom(span),
            Lexeme::Directive(span) => Piece::Directive(span),
            Lexeme::Comment(span) => Piece::Comment(span),
            Lexeme::Blank(span) => Piece::Blank(span),
            Lexeme::Logical(line) => match read_instruction(line, &mut lexer, dialect) {
                Ok(instruction) => Piece::Instruction(Box::new(instruction)),
                Err(problem) => return failed(at, problem),
            },
        });
    }
    let escape = lexer.escape;
    Ok(Containerfile { path: path.to_owned(), source, dialect, escape, pieces })
}

/// Reads `source` as an engine with these rules does, and with heredocs where it knows none: but only a file that the
/// engine could make nothing of, because it takes the end of a heredoc for an instruction that there is not.
pub fn read(source: Vec<u8>, path: &Path, rules: Rules) -> Result<Containerfile, ParseError> {
    let file = read_one(source, path, rules)?;
    if rules >= Rules::Buildah43 {
        file.begins_with_from()?;
    }
    Ok(file)
}

fn read_one(source: Vec<u8>, path: &Path, rules: Rules) -> Result<Containerfile, ParseError> {
    if rules.dialect() == Dialect::Heredocs || !source.windows(2).any(|two| two == b"<<") {
        return parse(source, path, rules.dialect());
    }
    let native = parse(source.clone(), path, rules.dialect());
    match parse(source, path, Dialect::Heredocs) {
        Ok(file) if is_needed(&file, native.as_ref().ok()) => Ok(file),
        _ => native,
    }
}

/// Reads several files, each by itself with the directives at its top, as one: `starts` are the offsets in `source` at which
/// the second and later ones begin. Lines are counted through.
pub fn read_several(
    source: Vec<u8>,
    starts: &[usize],
    path: &Path,
    rules: Rules,
) -> Result<Containerfile, ParseError> {
    if starts.is_empty() {
        return read(source, path, rules);
    }
    let mut whole: Option<Containerfile> = None;
    let begins = std::iter::once(0).chain(starts.iter().copied());
    for (begin, end) in begins.zip(starts.iter().copied().chain([source.len()])) {
        let lines = source[..begin].iter().filter(|&&byte| byte == b'\n').count();
        let mut part = read_one(source[begin..end].to_vec(), path, rules)?;
        part.pieces.iter_mut().for_each(|piece| piece.shift(begin, lines));
        match &mut whole {
            Some(whole) => whole.pieces.append(&mut part.pieces),
            None => whole = Some(part),
        }
    }
    let whole = Containerfile { source, ..whole.expect("there is a first file") };
    if rules >= Rules::Buildah43 {
        whole.begins_with_from()?;
    }
    Ok(whole)
}

/// Whether a file has heredocs, and lines in them that an engine without heredocs stumbles over.
fn is_needed(file: &Containerfile, native: Option<&Containerfile>) -> bool {
    let with_text = |i: &&Instruction| !i.heredocs.is_empty() && i.is_filesystem();
    let mut heredocs = file.instructions().filter(with_text).map(|i| i.line + 1..=i.end_line);
    let Some(native) = native else { return heredocs.next().is_some() };
    let unknown = |i: &&Instruction| matches!(i.keyword, Keyword::Unknown(_));
    let unknown: BTreeSet<usize> = native.instructions().filter(unknown).map(|i| i.line).collect();
    heredocs.any(|lines| unknown.range(lines).next().is_some())
}

fn read_instruction(
    line: LogicalLine,
    lexer: &mut Lexer<'_>,
    dialect: Dialect,
) -> Result<Instruction, Problem> {
    let mut instruction = instruction(line.text, lexer.escape)?;
    instruction.span = line.span;
    instruction.line = line.line;
    instruction.end_line = line.end_line;
    if dialect == Dialect::Heredocs && can_open_heredocs(&instruction) {
        for opening in heredoc::openings(&decode(&instruction.original)) {
            let Some(body) = lexer.heredoc_body(&opening.name, opening.chomp) else {
                return Err(Problem::OpenHeredoc(opening.name));
            };
            let heredoc::Opening { name, expand, chomp } = opening;
            instruction.heredocs.push(Heredoc { name, expand, chomp, body });
        }
        if !instruction.heredocs.is_empty() {
            instruction.span.end = lexer.position();
            instruction.end_line = lexer.line - 1;
        }
    }
    Ok(instruction)
}

fn can_open_heredocs(instruction: &Instruction) -> bool {
    match instruction.trigger() {
        Some(trigger) => trigger.is_filesystem() && trigger.json.is_none(),
        None => instruction.is_filesystem() && instruction.json.is_none(),
    }
}

/// Reads one logical line; span, line numbers and heredocs are left for the caller.
pub(super) fn instruction(original: Vec<u8>, escape: u8) -> Result<Instruction, Problem> {
    let line = trim(&original);
    let keyword_end = line.iter().position(|&byte| is_separator(byte)).unwrap_or(line.len());
    let keyword = Keyword::of(&decode(&line[..keyword_end]));
    let arguments = &line[keyword_end..];
    let blanks = arguments.iter().take_while(|&&byte| is_separator(byte)).count();
    let arguments = &arguments[blanks..];
    let (flags, behind_flags): (Vec<Flag>, usize) = words::leading_flags(arguments);
    let rest = decode(trim(&arguments[behind_flags..]));
    let json = check_arguments(&keyword, &rest, escape)?;
    let nowhere = Span { start: 0, end: 0 };
    Ok(Instruction {
        span: nowhere,
        line: 0,
        end_line: 0,
        keyword,
        original,
        flags,
        rest,
        json,
        heredocs: Vec::new(),
        escape,
    })
}

/// The arguments as JSON for the instructions that have that form; refuses what the engines' parser refuses.
fn check_arguments(keyword: &Keyword, rest: &str, escape: u8) -> Result<Option<Vec<String>>, Problem> {
    let json = |text: &str| words::json_strings(text).map_err(|NotStrings| Problem::NotStrings);
    match keyword {
        Keyword::Env | Keyword::Label => {
            words::pairs(rest, escape).map_err(|error| Problem::Pairs(keyword.clone(), error))?;
            Ok(None)
        }
        // A chain of ONBUILD is refused when its step is reached; it is not followed down here.
        Keyword::Onbuild if !rest.is_empty() && !is_chained(rest) => {
            instruction(rest.as_bytes().to_vec(), escape).map(|_| None)
        }
        Keyword::Healthcheck => json(health_check(rest).1),
        Keyword::Add
        | Keyword::Cmd
        | Keyword::Copy
        | Keyword::Entrypoint
        | Keyword::Run
        | Keyword::Shell
        | Keyword::Volume => json(rest),
        _ => Ok(None),
    }
}

fn is_chained(rest: &str) -> bool {
    words::separated(rest).first().is_some_and(|word| Keyword::of(word) == Keyword::Onbuild)
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Problem {
    Directive(DirectiveError),
    NotStrings,
    OpenHeredoc(String),
    Pairs(Keyword, PairError),
}

impl Problem {
    /// What is wrong, what was expected, and a text of the line to point at.
    fn describe(self) -> (String, String, String) {
        match self {
            Self::Directive(DirectiveError::NotAnEscape) => (
                "the escape character must be ` or \\".to_owned(),
                "expected ` or \\".to_owned(),
                "=".to_owned(),
            ),
            Self::Directive(DirectiveError::Repeated) => {
                ("only one escape directive can be used".to_owned(), String::new(), "#".to_owned())
            }
            Self::NotStrings => (
                "a JSON array here can hold strings only".to_owned(),
                "expected [\"string\", ...]".to_owned(),
                "[".to_owned(),
            ),
            Self::OpenHeredoc(name) => (
                format!("the heredoc `{name}` has no end"),
                format!("expected a later line that is `{name}`"),
                "<<".to_owned(),
            ),
            Self::Pairs(keyword, PairError::NoValue) => (
                format!("{keyword} must have two arguments"),
                "expected name=value or name value".to_owned(),
                String::new(),
            ),
            Self::Pairs(keyword, PairError::NoEquals(word)) => {
                (format!("{keyword} has no `=` in `{word}`"), "expected name=value".to_owned(), word)
            }
        }
    }
}

/// Finds the place of a problem in the instruction that starts at `at`.
fn locate(source: &[u8], path: &Path, at: usize, problem: Problem) -> ParseError {
    let is_word = matches!(problem, Problem::Pairs(..));
    let (problem, expected, pointed) = problem.describe();
    let starts_word = |offset: usize| {
        let before = source[..at + offset].last();
        offset > 0 && before.is_some_and(|&byte| is_separator(byte) || byte == b'\n')
    };
    let place = source[at..]
        .windows(pointed.len().max(1))
        .enumerate()
        .position(|(offset, window)| window == pointed.as_bytes() && (!is_word || starts_word(offset)))
        .map_or(at, |offset| at + offset);
    error_at(source, path, place, problem, expected)
}

/// An error at an offset of the file.
pub(super) fn error_at(
    source: &[u8],
    path: &Path,
    place: usize,
    problem: String,
    expected: String,
) -> ParseError {
    let line_start = source[..place].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line_end =
        source[place..].iter().position(|&byte| byte == b'\n').map_or(source.len(), |end| place + end);
    ParseError {
        path: path.to_owned(),
        line: 1 + source[..line_start].iter().filter(|&&byte| byte == b'\n').count(),
        column: 1 + decode(&source[line_start..place]).chars().count(),
        source_line: decode(&source[line_start..line_end]).trim_end_matches('\r').to_owned(),
        problem,
        expected,
    }
}

impl Containerfile {
    /// The instructions in their order.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Instruction(instruction) => Some(&**instruction),
            _ => None,
        })
    }

    /// The bytes of a span.
    pub fn text(&self, span: Span) -> &[u8] {
        &self.source[span.start..span.end]
    }

    /// The whole file from its pieces.
    pub fn write_back(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(|piece| self.text(piece.span())).copied().collect()
    }

    /// The newline that the file uses, judged by its first one.
    pub fn newline(&self) -> &'static str {
        let first = self.source.iter().position(|&byte| byte == b'\n');
        match first.and_then(|newline| newline.checked_sub(1)).map(|before| self.source[before]) {
            Some(b'\r') => "\r\n",
            _ => "\n",
        }
    }
}

impl Piece {
    /// Moves it by so many bytes and lines.
    fn shift(&mut self, bytes: usize, lines: usize) {
        if let Self::Instruction(instruction) = self {
            instruction.line += lines;
            instruction.end_line += lines;
        }
        let span = match self {
            Self::Bom(span) | Self::Directive(span) | Self::Comment(span) | Self::Blank(span) => span,
            Self::Instruction(instruction) => &mut instruction.span,
        };
        *span = Span { start: span.start + bytes, end: span.end + bytes };
    }

    /// The bytes it covers.
    pub fn span(&self) -> Span {
        match self {
            Self::Bom(span) | Self::Directive(span) | Self::Comment(span) | Self::Blank(span) => *span,
            Self::Instruction(instruction) => instruction.span,
        }
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
