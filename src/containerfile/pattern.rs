//! Shell patterns as Go's `path.Match` has them: `*` and `?` do not match `/`, `[a-z]` and `[^a-z]` are
//! ranges, `\` escapes. A malformed pattern matches nothing.
//!
//! A text is read once, with all that the pattern may stand at kept beside each other: stars cost no more than letters.

/// A pattern, read.
#[derive(Debug)]
pub(crate) struct Pattern {
    elements: Vec<Element>,
}

/// How much may still be looked at; what takes more is no pattern that somebody waits for.
#[derive(Debug)]
pub(crate) struct Work(pub(crate) u64);

/// There is more to look at than anybody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Where in a pattern a match may stand, in order.
type Places = Vec<usize>;

impl Pattern {
    /// Reads a pattern; nothing where it is malformed.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        parse(pattern).map(|elements| Self { elements })
    }

    /// The lengths in bytes of what matches at the start of a text, in order; a character is more than one byte to Go,
    /// which cuts in it as well, and takes what is then left of it for U+FFFD.
    pub(crate) fn at_start(&self, text: &[u8], work: &mut Work) -> Result<Vec<usize>, TooMuch> {
        let mut rest = text;
        let next = || {
            let (character, length) = first_character(rest)?;
            rest = &rest[length..];
            Some((character, length))
        };
        lengths(&self.elements.iter().collect::<Vec<_>>(), std::iter::from_fn(next), work)
    }

    /// The same for what matches at the end.
    pub(crate) fn at_end(&self, text: &str, work: &mut Work) -> Result<Vec<usize>, TooMuch> {
        let characters = text.chars().rev().map(|character| (u32::from(character), character.len_utf8()));
        lengths(&self.elements.iter().rev().collect::<Vec<_>>(), characters, work)
    }
}

fn lengths(
    elements: &[&Element],
    characters: impl Iterator<Item = (u32, usize)>,
    work: &mut Work,
) -> Result<Vec<usize>, TooMuch> {
    let ends = |places: &Places| places.last() == Some(&elements.len());
    let (mut places, mut next) = (Places::new(), Places::new());
    stand_at(elements, 0, &mut places);
    let mut found: Vec<usize> = Some(0).filter(|_| ends(&places)).into_iter().collect();
    let mut at = 0;
    for (character, length) in characters {
        if length > 1 {
            let mut cut = places.clone();
            for byte in 1..length {
                step(elements, &cut, u32::from(char::REPLACEMENT_CHARACTER), &mut next, work)?;
                std::mem::swap(&mut cut, &mut next);
                found.extend(Some(at + byte).filter(|_| ends(&cut)));
            }
        }
        step(elements, &places, character, &mut next, work)?;
        std::mem::swap(&mut places, &mut next);
        at += length;
        if places.is_empty() {
            break;
        }
        found.extend(Some(at).filter(|_| ends(&places)));
    }
    Ok(found)
}

/// Where a match may stand behind one more character.
fn step(
    elements: &[&Element],
    places: &Places,
    character: u32,
    next: &mut Places,
    work: &mut Work,
) -> Result<(), TooMuch> {
    work.0 = work.0.checked_sub(places.len() as u64).ok_or(TooMuch)?;
    next.clear();
    for &place in places {
        match elements.get(place) {
            Some(Element::Star) if character != u32::from('/') => stand_at(elements, place, next),
            Some(one) if one.matches(character) => stand_at(elements, place + 1, next),
            _ => {}
        }
    }
    Ok(())
}

/// Adds a place and those behind the stars at it, each once and in order.
fn stand_at(elements: &[&Element], place: usize, places: &mut Places) {
    let mut place = place;
    while places.last().is_none_or(|last| *last < place) {
        places.push(place);
        if !matches!(elements.get(place), Some(Element::Star)) {
            return;
        }
        place += 1;
    }
}

/// The first character and its length; a byte that is no character stands for U+FFFD, as in Go.
fn first_character(text: &[u8]) -> Option<(u32, usize)> {
    let chunk = &text[..text.len().min(4)];
    let first = chunk.utf8_chunks().next()?;
    Some(match first.valid().chars().next() {
        Some(character) => (u32::from(character), character.len_utf8()),
        None => (u32::from(char::REPLACEMENT_CHARACTER), 1),
    })
}

#[derive(Debug)]
enum Element {
    Star,
    Any,
    Literal(u32),
    Ranges { negated: bool, ranges: Vec<(u32, u32)> },
}

impl Element {
    fn matches(&self, character: u32) -> bool {
        match self {
            Self::Star => false,
            Self::Any => character != u32::from('/'),
            Self::Literal(literal) => *literal == character,
            Self::Ranges { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

fn parse(pattern: &str) -> Option<Vec<Element>> {
    let mut rest = pattern.chars().map(u32::from);
    let mut elements = Vec::new();
    while let Some(character) = rest.next() {
        elements.push(match char::from_u32(character) {
            Some('*') => Element::Star,
            Some('?') => Element::Any,
            Some('\\') => Element::Literal(rest.next()?),
            Some('[') => {
                let mut next = rest.next()?;
                let negated = next == u32::from('^');
                if negated {
                    next = rest.next()?;
                }
                let mut ranges = Vec::new();
                while next != u32::from(']') || ranges.is_empty() {
                    let low = endpoint(next, &mut rest)?;
                    next = rest.next()?;
                    let mut high = low;
                    if next == u32::from('-') {
                        let end = rest.next()?;
                        high = endpoint(end, &mut rest)?;
                        next = rest.next()?;
                    }
                    ranges.push((low, high));
                }
                Element::Ranges { negated, ranges }
            }
            _ => Element::Literal(character),
        });
    }
    Some(elements)
}

/// One end of a range: `-` and `]` need an escape.
fn endpoint(character: u32, rest: &mut impl Iterator<Item = u32>) -> Option<u32> {
    match char::from_u32(character) {
        Some('\\') => rest.next(),
        Some('-' | ']') => None,
        _ => Some(character),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let work = || Work(1_000_000);
        let Some(pattern) = Pattern::new(pattern) else { return false };
        let at_start = pattern.at_start(name.as_bytes(), &mut work()).unwrap().contains(&name.len());
        assert_eq!(at_start, pattern.at_end(name, &mut work()).unwrap().contains(&name.len()));
        at_start
    }

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a?b", "aéb", true),
            ("a?b", "a/b", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("[\\]a]", "]", true),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[a", "a", false),
            ("a\\", "a", false),
            ("", "", true),
            ("", "a", false),
            ("**", "abc", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_length_that_matches_is_found_also_within_a_character() {
        let lengths = |pattern: &str, text: &str| {
            let pattern = Pattern::new(pattern).unwrap();
            let work = &mut Work(1000);
            (pattern.at_start(text.as_bytes(), work).unwrap(), pattern.at_end(text, work).unwrap())
        };
        assert_eq!(lengths("a*", "abaa"), (vec![1, 2, 3, 4], vec![1, 2, 4]));
        assert_eq!(lengths("*", ""), (vec![0], vec![0]));
        assert_eq!(lengths("*", "a/b"), (vec![0, 1], vec![0, 1]));
        assert_eq!(lengths("?", "éa"), (vec![1, 2], vec![1]));
        assert_eq!(lengths("?", "aé"), (vec![1], vec![1, 2]));
        assert_eq!(lengths("é", "éé"), (vec![2], vec![2]));
    }

    #[test]
    fn many_stars_are_quick_and_what_is_not_is_given_up() {
        let stars = Pattern::new(&("*a".repeat(1000) + "b")).unwrap();
        let text = "a".repeat(1000);
        assert_eq!(stars.at_start(text.as_bytes(), &mut Work(2_000_000)), Ok(vec![]));
        assert_eq!(stars.at_start(text.as_bytes(), &mut Work(1000)), Err(TooMuch));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_trying_all_ways_matches(pattern in "[ab*?]{0,6}", text in "[abé/]{0,6}") {
            fn tried(pattern: &[char], text: &[char]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    (['*', rest @ ..], text) => {
                        tried(rest, text) || text.split_first().is_some_and(|(c, more)| *c != '/' && tried(pattern, more))
                    }
                    ([p, rest @ ..], [c, more @ ..]) => {
                        (p == c || (*p == '?' && *c != '/')) && tried(rest, more)
                    }
                    _ => false,
                }
            }
            let split = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), tried(&split(&pattern), &split(&text)));
        }
    }
}
