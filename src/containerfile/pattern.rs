//! Shell patterns as Go's `path.Match` has them: `*` and `?` do not match `/`, `[a-z]` and `[^a-z]` are
//! ranges, `\` escapes. A malformed pattern matches nothing.

/// Whether the pattern matches all of the name.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some(elements) = parse(pattern) else {
        return false;
    };
    let characters = characters(name);
    // The last star passed, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    let (mut element, mut at) = (0, 0);
    loop {
        match elements.get(element) {
            Some(Element::Star) => {
                star = Some((element, at));
                element += 1;
                continue;
            }
            Some(one) if at < characters.len() && one.matches(characters[at]) => {
                element += 1;
                at += 1;
                continue;
            }
            None if at == characters.len() => return true,
            _ => {}
        }
        match star {
            Some((before, taken)) if taken < characters.len() && characters[taken] != u32::from('/') => {
                star = Some((before, taken + 1));
                element = before + 1;
                at = taken + 1;
            }
            _ => return false,
        }
    }
}

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

/// Code points; a byte that is no character stands for U+FFFD, as in Go.
fn characters(bytes: &[u8]) -> Vec<u32> {
    super::text::decode(bytes).chars().map(u32::from).collect()
}

fn parse(pattern: &[u8]) -> Option<Vec<Element>> {
    let pattern = characters(pattern);
    let mut rest = pattern.iter().copied();
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
    use super::matches;

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
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
