//! What is kept of values that no image shows: digests under a key that only this state folder has.
//!
//! A step hangs on values of ARGs and of `--env`, and its inputs are kept so that the next build can say what changed.
//! Whoever reads them later, from a backup or an artifact of CI, must not find the values there, and not be able to try
//! out short ones. What stands in the Containerfile, and what an instruction puts into the image's config, stays in clear.

use std::fmt;

/// What a digest in the place of a text begins with.
const MARK: char = '~';

/// Hexadecimal digits of such a digest.
const DIGITS: usize = 32;

/// Turns values into digests.
#[derive(Clone)]
pub struct Veil {
    key: [u8; blake3::KEY_LEN],
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Veil")
    }
}

impl Veil {
    /// With this key.
    pub fn new(key: [u8; blake3::KEY_LEN]) -> Self {
        Self { key }
    }

    /// The digest of a value.
    pub fn digest(&self, value: &str) -> String {
        blake3::keyed_hash(&self.key, value.as_bytes()).to_hex()[..DIGITS].to_owned()
    }

    /// A digest in the place of a text; one stays.
    pub fn hide(&self, text: &str) -> String {
        if is_hidden(text) { text.to_owned() } else { format!("{MARK}{}", self.digest(text)) }
    }
}

/// Whether a text is a digest in the place of one.
pub fn is_hidden(text: &str) -> bool {
    text.strip_prefix(MARK).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A text for people: `…` where a digest stands in the place of a value.
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let end = at + 1 + DIGITS;
        out.push_str(&rest[..at]);
        let hidden = rest.get(at..end).is_some_and(is_hidden);
        out.push_str(if hidden { "…" } else { "~" });
        rest = &rest[if hidden { end } else { at + 1 }..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_with_what_is_hidden_left_out() {
        let hidden = Veil::new([7; 32]).hide("x");
        assert_eq!(shown(&format!("COPY {hidden} /~{hidden}/ ~é")), "COPY … /~…/ ~é");
        assert!(is_hidden(&hidden) && !is_hidden("~x"));
    }
}
