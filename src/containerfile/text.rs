//! Bytes as Go reads them: what counts as white space, and what becomes of bytes that are not UTF-8.

/// Decodes bytes as Go does, one U+FFFD for *each* byte that is not part of a character.
///
/// `String::from_utf8_lossy` writes one U+FFFD for a whole truncated sequence, which would give other
/// words and another history than the engine's.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    decoded
}

/// White space as Go's `unicode.IsSpace` has it.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace()
}

/// A byte taken for a Latin-1 character that is white space: the flag scanner of the engines looks at
/// single bytes (imagebuilder 1.2.3 `split_command.go`), so 0x85 and 0xA0 within a character count.
pub(crate) fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0x85 | 0xa0)
}

/// The white space between words on a line; narrower than [`is_space`].
pub(crate) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0b | 0x0c | b'\r' | b' ')
}

/// How many bytes of white space stand at the start.
pub(crate) fn leading_space(bytes: &[u8]) -> usize {
    let mut width = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if !is_space(character) {
                return width;
            }
            width += character.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            return width;
        }
    }
    width
}

/// The bytes without white space at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let start = &bytes[leading_space(bytes)..];
    let mut end = start.len();
    while let Some((from, true)) = last_character(&start[..end]) {
        end = from;
    }
    &start[..end]
}

/// Where the last character starts, and whether it is white space.
fn last_character(bytes: &[u8]) -> Option<(usize, bool)> {
    let newest = bytes.len().saturating_sub(4);
    let from = (newest..bytes.len()).rev().find(|&from| bytes[from] & 0xc0 != 0x80)?;
    let character = std::str::from_utf8(&bytes[from..]).ok()?.chars().next()?;
    Some((from, is_space(character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_that_is_no_character_becomes_one_replacement() {
        assert_eq!(decode(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn wide_white_space_is_trimmed_too() {
        assert_eq!(trim("\u{a0}\u{2003}a\u{a0}b\u{85} ".as_bytes()), "a\u{a0}b".as_bytes());
        assert_eq!(trim(b" \xa0 "), b"\xa0");
        assert_eq!(trim(b" \t "), b"");
    }
}
