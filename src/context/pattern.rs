//! One line of an ignore file as a regular expression, the way buildah builds it.
//!
//! containers/storage translates `*`, `**` and `?`, escapes `.` and `$`, appends `(/.*)?$` and hands the rest to
//! Go's regexp package as it stands. So `+`, `(a|b)`, `{2}` and `^` are operators in an ignore file (buildah
//! 1.28.2: `a+b` leaves out `aab` and keeps `a+b`; `(` fails the build), and brackets are Go's.
//! [`go_regex`] is that translation; [`rust_regex`] says the same in the syntax of the `regex` crate.

use super::glob::Glob;
use super::names::clean;

/// A line of an ignore file, ready to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Starts with `!`: what matches stays in.
    pub(super) negated: bool,
    /// The cleaned text without the `!`.
    pub(super) text: String,
    /// The expression for the whole path, in the `regex` crate's syntax.
    pub(super) regex: String,
}

/// Why the engines refuse a pattern.
pub(super) type Complaint = &'static str;

const SYNTAX: Complaint = "syntax error in pattern";

/// Matches no path: stands for an excluding pattern that Go may understand and we do not.
const NEVER: &str = "[a&&b]";

/// Escapes whose arguments the two libraries spell differently.
const GO_ONLY: [&str; 3] = ["\\p", "\\P", "\\x"];

impl Pattern {
    /// Reads one pattern; `None` for one of blanks only.
    pub(super) fn new(line: &str) -> Result<Option<Self>, Complaint> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(None);
        }
        let cleaned = clean_text(line);
        let (negated, text) = match cleaned.strip_prefix('!') {
            Some("") => return Err("illegal exclusion pattern: \"!\""),
            Some(rest) => {
                let rest = clean_text(rest);
                (true, rest.strip_prefix('/').unwrap_or(&rest).to_owned())
            }
            None => (false, cleaned),
        };
        Glob::new(&text).map_err(|_| SYNTAX)?;
        let regex = rust_regex(&go_regex(&text)?)?;
        let regex = if regex::Regex::new(&regex).is_ok() {
            regex
        } else if !GO_ONLY.iter().any(|escape| text.contains(escape)) {
            return Err(SYNTAX);
        } else if negated {
            // Rather a file too many in a key than one too few.
            String::new()
        } else {
            NEVER.to_owned()
        };
        Ok(Some(Self { negated, text, regex }))
    }
}

fn clean_text(text: &str) -> String {
    String::from_utf8(clean(text.as_bytes())).expect("cleaning drops whole components")
}

/// The translation of containers/storage, up to and including the `(/.*)?$` that takes in everything below.
fn go_regex(pattern: &str) -> Result<String, Complaint> {
    // Its scanner drops a byte order mark, so the first line of such a file works.
    let mut rest = pattern.strip_prefix('\u{feff}').unwrap_or(pattern).chars().peekable();
    let mut regex = String::from("^");
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                regex.push_str(if rest.peek().is_none() { ".*" } else { "(.*/)?" });
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '.' | '$' => regex.extend(['\\', character]),
            '\\' => regex.extend(['\\', rest.next().ok_or(SYNTAX)?]),
            other => regex.push(other),
        }
    }
    regex.push_str("(/.*)?$");
    Ok(regex)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Go's regular expression in the syntax of the `regex` crate.
///
/// They differ in brackets (set operators and nesting are ours only), in `{` that begins no repetition (a literal
/// in Go), in what a class like `\d` holds (ASCII in Go) and in doubled operators (an error in Go).
fn rust_regex(go: &str) -> Result<String, Complaint> {
    let mut regex = String::with_capacity(go.len() + 8);
    let mut rest = go.chars().peekable();
    let mut after_repetition = false;
    while let Some(character) = rest.next() {
        let repeats = matches!(character, '*' | '+' | '?');
        if repeats && after_repetition {
            return Err(SYNTAX);
        }
        after_repetition = repeats;
        match character {
            '\\' => regex.push_str(&escape_sequence(rest.next().ok_or(SYNTAX)?)?),
            '[' => bracket(&mut rest, &mut regex)?,
            '{' => match repetition(rest.clone()) {
                Some(text) => {
                    rest.by_ref().take(text.chars().count()).for_each(drop);
                    after_repetition = true;
                    regex.push('{');
                    regex.push_str(&text);
                }
                None => regex.push_str("\\{"),
            },
            '}' | ']' => regex.extend(['\\', character]),
            other => regex.push(other),
        }
    }
    Ok(regex)
}

/// What follows a `{` that begins a repetition: `2}`, `2,}`, `2,3}`.
fn repetition(rest: Chars<'_>) -> Option<String> {
    let text: String = rest.take_while(|&character| character != '}').collect();
    let (low, high) = text.split_once(',').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then(|| format!("{text}}}"))
}

/// What `\character` is outside and, for the classes, inside of brackets.
fn escape_sequence(character: char) -> Result<String, Complaint> {
    Ok(match character {
        'd' => "[0-9]".into(),
        'D' => "[^0-9]".into(),
        's' => "[\\t\\n\\f\\r ]".into(),
        'S' => "[^\\t\\n\\f\\r ]".into(),
        'w' => "[0-9A-Za-z_]".into(),
        'W' => "[^0-9A-Za-z_]".into(),
        'b' | 'B' => format!("(?-u:\\{character})"),
        'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => format!("\\{character}"),
        'C' => "(?s:.)".into(),
        letter if letter.is_ascii_alphanumeric() => return Err(SYNTAX),
        other => literal(other),
    })
}

fn literal(character: char) -> String {
    regex::escape(character.encode_utf8(&mut [0; 4]))
}

/// Copies a bracket expression behind its `[`, with everything escaped that only the `regex` crate gives a meaning.
fn bracket(rest: &mut Chars<'_>, regex: &mut String) -> Result<(), Complaint> {
    regex.push('[');
    if rest.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    let mut first = true;
    loop {
        match rest.next().ok_or(SYNTAX)? {
            ']' if !first => break,
            '[' if rest.peek() == Some(&':') => {
                let name: String = rest.by_ref().take_while(|&character| character != ']').collect();
                regex.push_str(&format!("[{name}]"));
            }
            '\\' => regex.push_str(&escape_sequence(rest.next().ok_or(SYNTAX)?)?),
            // Between two members it is a range, at either end itself; `regex` reads both the same way.
            '-' => regex.push_str(if first || rest.peek() == Some(&']') { "\\-" } else { "-" }),
            member => regex.push_str(&literal(member)),
        }
        first = false;
    }
    regex.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex_of(line: &str) -> String {
        Pattern::new(line).unwrap().unwrap().regex
    }

    #[test]
    fn wildcards_become_expressions() {
        for (line, expected) in [
            ("a", "^a(/.*)?$"),
            ("/a", "^/a(/.*)?$"),
            ("*.log", r"^[^/]*\.log(/.*)?$"),
            ("a?", "^a[^/](/.*)?$"),
            ("**/x", "^(.*/)?x(/.*)?$"),
            ("a/**", "^a/.*(/.*)?$"),
            ("a**b", "^a(.*/)?b(/.*)?$"),
            ("!/a/", "^a(/.*)?$"),
            ("!a/../d", "^d(/.*)?$"),
            ("\u{feff}a", "^a(/.*)?$"),
            ("a{2}", "^a{2}(/.*)?$"),
            ("a{", r"^a\{(/.*)?$"),
            ("[[]", r"^[\[](/.*)?$"),
            ("[a&&b]", r"^[a\&\&b](/.*)?$"),
            (r"[\d]", r"^[[0-9]](/.*)?$"),
            (r"\#a", r"^\#a(/.*)?$"),
        ] {
            assert_eq!(regex_of(line), expected, "{line}");
            assert!(regex::Regex::new(expected).is_ok(), "{line}");
        }
    }

    #[test]
    fn an_exclamation_mark_negates_only_in_front() {
        let pattern = |line| Pattern::new(line).unwrap().unwrap();
        assert!(pattern(" !a").negated);
        assert!(!pattern("a!").negated);
        // Cleaning comes first, so this one loses its mark: buildah 1.28.2 leaves `d` out.
        assert_eq!((pattern("!a/../d").negated, pattern("!a/../d").text), (false, "d".to_owned()));
    }

    #[test]
    fn what_the_engines_refuse_is_refused() {
        for line in ["!", "[", "a[", "[a-", "\\", "(", "a)", "a++", "a{2}+", r"\y"] {
            assert!(Pattern::new(line).is_err(), "{line}");
        }
        assert_eq!(Pattern::new("  ").unwrap(), None);
    }
}
