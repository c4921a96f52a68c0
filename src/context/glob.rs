//! Shell patterns of one path component, by the rules of Go's `filepath.Match`.
//!
//! `resolve` matches names with them; `pattern` only asks whether one is well formed, as the engines do before
//! they turn an ignore pattern into a regular expression.

/// A compiled pattern for one component.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
enum Token {
    /// `*`: any number of characters.
    Star,
    /// `?`: one character.
    Any,
    /// That character.
    Literal(char),
    /// `[a-z]`, `[^a-z]`.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// The pattern is malformed: an open bracket, an empty range, a backslash at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadGlob;

/// Whether Go's `filepath.Glob` would look at directory entries for this text at all.
pub(super) fn has_meta(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[\\".contains(byte))
}

impl Glob {
    /// Compiles `pattern`.
    pub(super) fn new(pattern: &str) -> Result<Self, BadGlob> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(rest.next().ok_or(BadGlob)?),
                '[' => class(&mut rest)?,
                literal => Token::Literal(literal),
            });
        }
        Ok(Self { tokens })
    }

    /// Whether the whole of `name`, one component, matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut token) = (0, 0);
        // Where to go on when the text behind the last star fails: the star, and how much it has eaten.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    retry = Some((token, at));
                    token += 1;
                    continue;
                }
                Some(single) if at < name.len() && single.matches(name[at]) => {
                    (at, token) = (at + 1, token + 1);
                    continue;
                }
                None if at == name.len() => return true,
                _ => {}
            }
            match retry {
                Some((star, eaten)) if eaten < name.len() => {
                    retry = Some((star, eaten + 1));
                    (at, token) = (eaten + 1, star + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn matches(&self, character: char) -> bool {
        match self {
            Token::Star => false,
            Token::Any => true,
            Token::Literal(literal) => *literal == character,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

/// Reads a class behind its `[`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, BadGlob> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_member(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { class_member(rest)? } else { low };
        ranges.push((low, high));
    }
}

/// Reads one end of a range; a bare `-` or `]` has to be escaped there.
fn class_member(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, BadGlob> {
    match rest.next() {
        None | Some('-' | ']') => Err(BadGlob),
        Some('\\') => rest.next().ok_or(BadGlob),
        Some(member) => Ok(member),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, expected) in [
            ("*", ".hidden", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("**", "ab", true),
            ("?", "é", true),
            ("?", "", false),
            ("f.t?t", "f.txt", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[!a]", "a", true),
            ("[!a]", "b", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\-x]", "-", true),
            ("[\\]]", "]", true),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn malformed_patterns_are_found() {
        for pattern in ["[", "a[", "[]", "[]a]", "[-a]", "[a-]", "[a", "\\", "a\\", "[a\\", "x[^", "[^]"] {
            assert_eq!(Glob::new(pattern).err(), Some(BadGlob), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a*?\\[\\]\\\\^-]{0,12}", name in "[ab-]{0,8}") {
            if let Ok(glob) = Glob::new(&pattern) {
                glob.matches(&name);
            }
        }
    }
}
