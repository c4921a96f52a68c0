//! Expands variables, quotes and escapes in one word, as `ProcessWord` and `ProcessWords` of imagebuilder
//! do (`shell_parser.go`).
//!
//! `$name`, `${name}`, `${name:-word}` and `${name:+word}` work with every engine; `:?`, `#`, `##`, `%`,
//! `%%`, `/`, `//`, `/#` and `/%` came later (1.2.15 has them, 1.2.3 has not). No engine has the forms `-`,
//! `+` and `?` without a colon. An unset variable and an empty one are the same to all of them, and the
//! escape character here is the backslash, whatever the file's directive says.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::ast::Keyword;
use super::pattern::{Pattern, TooMuch, Work};
use super::rules::Rules;
use super::text::{decode, is_space};

/// Where the values of variables come from.
pub trait Lookup {
    /// The value of a variable.
    fn value(&self, name: &str) -> Option<&str>;
}

impl Lookup for BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A quote or brace stays open.
    #[error("unexpected end of `{word}` while looking for a matching {closing}")]
    Open {
        /// The whole word.
        word: String,
        /// What is missing.
        closing: char,
    },
    /// `${name` goes on in a way that this engine does not have.
    #[error("`{word}`: unsupported modifier `{modifier}` in a substitution (this engine does not have it)")]
    Modifier {
        /// The whole word.
        word: String,
        /// What follows the name.
        modifier: String,
    },
    /// `${name:?word}` without a value.
    #[error("`{word}`: {name} is not allowed to be unset")]
    Unset {
        /// The whole word.
        word: String,
        /// The variable.
        name: String,
    },
    /// `${name#}`, `${name%}` or `${name/}`.
    #[error("`{word}`: {name} has no pattern to remove or to replace")]
    NoPattern {
        /// The whole word.
        word: String,
        /// The variable.
        name: String,
    },
    /// Substitutions within substitutions beyond any use.
    #[error("the substitutions are nested too deeply")]
    Depth,
    /// More text than anybody can use: variables of variables of variables.
    #[error("`{word}` expands to too much: a value may have {} MiB", LONGEST >> 20)]
    TooLong {
        /// The start of the word.
        word: String,
    },
}

/// How the words of an instruction are expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expansion {
    /// They stay as they are; a shell or a later build sees them.
    No,
    /// Each word stays one word.
    Word,
    /// A word may become several, or none.
    Words,
}

/// Which instructions have their words expanded: `replaceEnvAllowed` and `allowWordExpansion` in
/// imagebuilder's `evaluator.go`, the same in 1.2.3, 1.2.15 and 1.2.22.
///
/// The base of a FROM and the flags of ADD, COPY, FROM and RUN are expanded apart from this, with other
/// variables; see `scope`.
pub fn expansion(keyword: &Keyword) -> Expansion {
    match keyword {
        Keyword::Add
        | Keyword::Arg
        | Keyword::Copy
        | Keyword::Env
        | Keyword::Label
        | Keyword::Stopsignal
        | Keyword::User
        | Keyword::Volume
        | Keyword::Workdir => Expansion::Word,
        Keyword::Expose => Expansion::Words,
        Keyword::Cmd
        | Keyword::Entrypoint
        | Keyword::From
        | Keyword::Healthcheck
        | Keyword::Maintainer
        | Keyword::Onbuild
        | Keyword::Run
        | Keyword::Shell
        | Keyword::Unknown(_) => Expansion::No,
    }
}

/// Whether the flags of an instruction are expanded.
pub fn expands_flags(keyword: &Keyword) -> bool {
    matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::From | Keyword::Run)
}

/// Expands a word into one word.
pub fn expand_word(word: &str, lookup: &dyn Lookup, rules: Rules) -> Result<String, ExpandError> {
    Expander::new(word, lookup, rules).until(&[]).map(|(result, _, _)| result)
}

/// Expands a word and cuts the result at white space that is neither quoted nor escaped.
pub fn expand_words(word: &str, lookup: &dyn Lookup, rules: Rules) -> Result<Vec<String>, ExpandError> {
    Expander::new(word, lookup, rules).until(&[]).map(|(_, words, _)| words)
}

/// Expands the text of a heredoc as BuildKit's lexer does, which engines that know heredocs use for it (1.39, 1.43):
/// quotes and escapes stay, `-`, `+` and `?` need no colon, and what only a shell could know is empty.
pub fn expand_text(text: &str, lookup: &dyn Lookup) -> Result<String, ExpandError> {
    let mut expander = Expander { raw: true, ..Expander::new(text, lookup, Rules::Buildah43) };
    expander.until(&[]).map(|(result, _, _)| result)
}

/// Go's stacks grow, ours do not.
const DEEPEST: usize = 200;
/// How much a word may expand to, unless it is long as it stands: a command takes values of 128 KiB.
const LONGEST: usize = 4 << 20;
/// How much a pattern may look at: less than a second.
const MOST_WORK: u64 = 1 << 24;

struct Expander<'a> {
    word: &'a str,
    characters: Peekable<Chars<'a>>,
    lookup: &'a dyn Lookup,
    rules: Rules,
    depth: usize,
    /// How much may come of it.
    longest: usize,
    /// Whether quotes and escapes stay.
    raw: bool,
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    fn push(&mut self, character: char) {
        if !is_space(character) {
            self.word.push(character);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

impl<'a> Expander<'a> {
    fn new(word: &'a str, lookup: &'a dyn Lookup, rules: Rules) -> Self {
        // Go's scanner passes over a byte order mark.
        let characters = word.strip_prefix('\u{feff}').unwrap_or(word).chars().peekable();
        let longest = LONGEST.max(word.len());
        Self { word, characters, lookup, rules, depth: 0, longest, raw: false }
    }

    /// Expands up to one of `stops` and passes over it; without any, up to the end.
    fn until(&mut self, stops: &[char]) -> Result<(String, Vec<String>, Option<char>), ExpandError> {
        let mut result = String::new();
        let mut words = Words::default();
        while let Some(&character) = self.characters.peek() {
            if stops.contains(&character) {
                self.characters.next();
                return Ok((result, words.finish(), Some(character)));
            }
            match character {
                '\'' | '"' => {
                    let text = if character == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    self.fits(result.len() + text.len())?;
                    result.push_str(&text);
                    words.word.push_str(&text);
                }
                '$' => {
                    let text = self.dollar()?;
                    self.fits(result.len() + text.len())?;
                    result.push_str(&text);
                    text.strip_prefix('\u{feff}').unwrap_or(&text).chars().for_each(|c| words.push(c));
                }
                '\\' => {
                    self.characters.next();
                    if self.raw {
                        result.push('\\');
                    }
                    if let Some(escaped) = self.characters.next() {
                        result.push(escaped);
                        words.word.push(escaped);
                    }
                }
                _ => {
                    self.characters.next();
                    result.push(character);
                    words.push(character);
                }
            }
        }
        match stops.last() {
            None => Ok((result, words.finish(), None)),
            Some(&closing) => Err(self.open(closing)),
        }
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        self.characters.next();
        let mut text = self.kept("'").to_owned();
        loop {
            match self.characters.next() {
                Some('\'') => return Ok(text + self.kept("'")),
                Some(character) => text.push(character),
                None => return Err(self.open('\'')),
            }
        }
    }

    /// A quote, where quotes stay.
    fn kept(&self, quote: &'static str) -> &'static str {
        if self.raw { quote } else { "" }
    }

    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        self.characters.next();
        let mut text = self.kept("\"").to_owned();
        loop {
            match self.characters.peek() {
                None => return Err(self.open('"')),
                Some('"') => {
                    self.characters.next();
                    return Ok(text + self.kept("\""));
                }
                Some('$') => {
                    let value = self.dollar()?;
                    self.fits(text.len() + value.len())?;
                    text.push_str(&value);
                }
                Some('\\') if self.raw => {
                    text.extend(self.characters.next());
                    text.extend(self.characters.next());
                }
                Some('\\') => {
                    self.characters.next();
                    let escaped = self.characters.next_if(|next| matches!(next, '"' | '$' | '\\'));
                    if self.characters.peek().is_some() || escaped.is_some() {
                        text.push(escaped.unwrap_or('\\'));
                    }
                }
                Some(_) => text.extend(self.characters.next()),
            }
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.characters.next();
        if self.characters.next_if_eq(&'{').is_none() {
            let special = |next: &char| matches!(next, '@' | '*' | '#' | '?' | '-' | '$' | '!' | '0');
            if self.raw && self.characters.next_if(special).is_some() {
                return Ok(String::new());
            }
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name) });
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(ExpandError::Depth);
        }
        let name = self.name();
        let value = self.braced(&name)?;
        self.depth -= 1;
        Ok(value)
    }

    /// What stands behind the name in `${name...}`, and the closing brace.
    fn braced(&mut self, name: &str) -> Result<String, ExpandError> {
        match self.characters.peek().copied() {
            Some('}') => {
                self.characters.next();
                Ok(self.value(name))
            }
            Some(':') => {
                self.characters.next();
                self.default_or_alternative(name, ":")
            }
            Some('-' | '+' | '?') if self.raw => self.default_or_alternative(name, ""),
            Some(end @ ('#' | '%')) if self.rules > Rules::Buildah28 => self.stripped(name, end),
            Some('/') if self.rules > Rules::Buildah28 => self.replaced(name),
            Some(other) => Err(self.modifier(other.to_string())),
            None => Err(self.open('}')),
        }
    }

    fn default_or_alternative(&mut self, name: &str, colon: &str) -> Result<String, ExpandError> {
        let modifier = self.characters.next();
        let (word, _, _) = self.until(&['}'])?;
        let value = self.value(name);
        match (modifier, value.is_empty()) {
            (Some('+'), true) | (Some('-'), false) => Ok(value),
            (Some('+'), false) | (Some('-'), true) => Ok(word),
            (Some('?'), empty) if self.rules > Rules::Buildah28 => {
                let value = if empty { word } else { value };
                if value.is_empty() {
                    return Err(ExpandError::Unset { word: self.word.to_owned(), name: name.to_owned() });
                }
                Ok(value)
            }
            _ => Err(self.modifier(colon.chars().chain(modifier).collect())),
        }
    }

    /// `${name#pattern}` and its kin. The engines never look at a match that leaves nothing or one byte.
    fn stripped(&mut self, name: &str, end: char) -> Result<String, ExpandError> {
        self.characters.next();
        let greedy = self.characters.next_if_eq(&end).is_some();
        let (pattern, _, _) = self.until(&['}'])?;
        if pattern.is_empty() {
            return Err(self.no_pattern(name));
        }
        let value = self.value(name);
        let work = &mut Work(MOST_WORK);
        let lengths = match Pattern::new(&pattern) {
            Some(pattern) if end == '#' => pattern.at_start(value.as_bytes(), work),
            Some(pattern) => pattern.at_end(&value, work),
            None => Ok(Vec::new()),
        };
        let lengths = lengths.map_err(|TooMuch| self.too_long())?;
        let whole = value.len();
        let looked_at = match (end, greedy) {
            ('#', false) => 0..whole.saturating_sub(1),
            ('#', true) => 0..whole,
            (_, false) => 1..whole + 1,
            (_, true) => 2..whole + 1,
        };
        let mut fitting = lengths.into_iter().filter(|length| looked_at.contains(length));
        let found = if greedy { fitting.next_back() } else { fitting.next() };
        let Some(length) = found else { return Ok(value) };
        let bytes = value.as_bytes();
        Ok(decode(if end == '#' { &bytes[length..] } else { &bytes[..whole - length] }))
    }

    /// `${name/pattern/replacement}` and its kin.
    fn replaced(&mut self, name: &str) -> Result<String, ExpandError> {
        self.characters.next();
        let place = self.characters.next_if(|next| matches!(next, '/' | '#' | '%'));
        let (pattern, _, stop) = self.until(&['/', '}'])?;
        if pattern.is_empty() {
            return Err(self.no_pattern(name));
        }
        let replacement = if stop == Some('/') { self.until(&['}'])?.0 } else { String::new() };
        let value = self.value(name);
        let Some(pattern) = Pattern::new(&pattern) else { return Ok(value) };
        let bytes = value.as_bytes();
        let work = &mut Work(MOST_WORK);
        let mut longest_at = |from: usize| {
            let lengths = match place {
                Some('%') => pattern.at_end(&value, work),
                _ => pattern.at_start(&bytes[from..], work),
            };
            lengths.map(|lengths| lengths.last().copied().filter(|length| *length > 0))
        };
        let mut done = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let found = longest_at(at).map_err(|TooMuch| self.too_long())?;
            if let Some('#' | '%') = place
                && found.is_none()
            {
                break;
            }
            match found {
                Some(length) => {
                    if place == Some('%') {
                        at = bytes.len() - length;
                        done.extend_from_slice(&bytes[..at]);
                    }
                    done.extend_from_slice(replacement.as_bytes());
                    at += length;
                    if place != Some('/') {
                        break;
                    }
                }
                None => {
                    done.push(bytes[at]);
                    at += 1;
                }
            }
            self.fits(done.len())?;
        }
        done.extend_from_slice(&bytes[at..]);
        self.fits(done.len())?;
        Ok(decode(&done))
    }

    /// A name, or a single digit.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(&next) = self.characters.peek() {
            if name.is_empty() && next.is_numeric() && !next.is_alphabetic() {
                self.characters.next();
                return next.to_string();
            }
            if !next.is_alphanumeric() && next != '_' {
                break;
            }
            name.push(next);
            self.characters.next();
        }
        name
    }

    fn value(&self, name: &str) -> String {
        self.lookup.value(name).unwrap_or_default().to_owned()
    }

    /// Refuses what is longer than anything of use.
    fn fits(&self, length: usize) -> Result<(), ExpandError> {
        if length <= self.longest { Ok(()) } else { Err(self.too_long()) }
    }

    fn too_long(&self) -> ExpandError {
        ExpandError::TooLong { word: self.word.chars().take(64).collect() }
    }

    fn open(&self, closing: char) -> ExpandError {
        ExpandError::Open { word: self.word.to_owned(), closing }
    }

    fn modifier(&self, modifier: String) -> ExpandError {
        ExpandError::Modifier { word: self.word.to_owned(), modifier }
    }

    fn no_pattern(&self, name: &str) -> ExpandError {
        ExpandError::NoPattern { word: self.word.to_owned(), name: name.to_owned() }
    }
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
