//! What is kept of values that no image shows: digests under a key that only this state folder has.
//!
//! A step hangs on values of ARGs and of `--env`, and its inputs are kept so that the next build can say what changed.
//! Whoever reads them later, from a backup or an artifact of CI, must not find the values there, and not be able to try
//! out short ones. What stands in the Containerfile, and what an instruction puts into the image's config, stays in clear.

use std::fmt;

use crate::key::{StepInputs, keyword_of};

/// What a digest in the place of a text begins with.
const MARK: char = '~';

/// Hexadecimal digits of such a digest.
const DIGITS: usize = 32;

/// Instructions whose words the image's config shows.
const SHOWN: &[&str] = &["ENV", "LABEL", "EXPOSE", "USER", "VOLUME", "WORKDIR", "STOPSIGNAL", "MAINTAINER"];

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
    fn hide(&self, text: &str) -> String {
        if is_hidden(text) { text.to_owned() } else { format!("{MARK}{}", self.digest(text)) }
    }

    /// Inputs as they are kept. They are compared with others that are kept alike; no key comes of them.
    #[must_use]
    pub fn kept(&self, inputs: &StepInputs) -> StepInputs {
        let mut kept = inputs.clone();
        kept.args.values_mut().for_each(|digest| *digest = self.hide(digest));
        for (words, text) in kept.expanded.iter_mut().zip(&inputs.instructions) {
            if !SHOWN.contains(&keyword_of(text).to_ascii_uppercase().as_str()) {
                words.iter_mut().for_each(|word| self.hide_unwritten(word, text));
            }
        }
        for source in &mut kept.sources {
            let text = inputs.instructions.get(source.instruction).map_or("", String::as_str);
            source.paths.iter_mut().for_each(|path| self.hide_unwritten(path, text));
            if source.from.contains("://") {
                self.hide_unwritten(&mut source.from, text);
            }
        }
        for given in kept.flags.get_mut("env").into_iter().flatten() {
            if let Some((name, value)) = given.split_once('=') {
                *given = format!("{name}={}", self.hide(value));
            }
        }
        kept
    }

    /// A word in which variables were put in, which then does not stand in the instruction.
    fn hide_unwritten(&self, word: &mut String, text: &str) {
        if !text.contains(word.as_str()) {
            *word = self.hide(word);
        }
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
    use std::collections::BTreeMap;

    use crate::image::ImageFormat;
    use crate::key::{Content, FORMAT, Parent, Source, changes, digest_of_value};

    fn inputs(value: &str) -> StepInputs {
        let source = |from: &str, path: &str| Source {
            instruction: 1,
            from: from.into(),
            paths: vec![path.into()],
            content: Content::Files("f".into()),
        };
        StepInputs {
            format: FORMAT,
            platform: "linux/amd64".into(),
            image_format: ImageFormat::Oci,
            layers: true,
            parent: Parent::Scratch,
            instructions: vec!["ENV E=$A".into(), "COPY $A/f dir /d".into()],
            expanded: vec![
                vec!["E".into(), value.into()],
                vec![format!("{value}/f"), "dir".into(), "/d".into()],
            ],
            args: BTreeMap::from([("A".into(), digest_of_value(value))]),
            sources: vec![
                source("context", &format!("{value}/f")),
                source(&format!("https://{value}"), "dir"),
            ],
            flags: BTreeMap::from([("env".into(), vec![format!("X={value}"), "Y".into()])]),
        }
    }

    fn without_shown(inputs: &StepInputs) -> String {
        let mut inputs = inputs.clone();
        inputs.expanded.remove(0);
        serde_json::to_string(&inputs).unwrap()
    }

    #[test]
    fn a_value_is_kept_where_the_image_shows_it_alone() {
        let veil = Veil::new([7; 32]);
        let live = inputs("canary");
        let kept = veil.kept(&live);
        let text = without_shown(&kept);
        assert!(!text.contains("canary") && !text.contains(&digest_of_value("canary")), "{text}");
        assert_eq!(kept.expanded[0], ["E", "canary"], "the config of the image has it");
        assert_eq!(kept.expanded[1][1..], ["dir", "/d"], "this stands in the file");
        assert_eq!(kept.sources[1].paths, ["dir"]);
        assert_eq!(kept.flags["env"][1], "Y");
        assert_eq!(veil.kept(&kept), kept, "what is hidden stays as it is");
        assert_ne!(Veil::new([8; 32]).kept(&live).args, kept.args, "another folder, another key");
    }

    #[test]
    fn what_changed_is_told_all_the_same() {
        let veil = Veil::new([7; 32]);
        let told = |old: &str, new: &str| -> Vec<String> {
            let (mut old, mut new) = (inputs(old), inputs(new));
            old.sources.clear();
            new.sources.clear();
            let found = changes(&veil.kept(&old), &veil.kept(&new), &|_, _| None);
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(told("a", "a"), [""; 0]);
        assert_eq!(
            told("canary1", "canary2"),
            [
                "expands to E canary2, was E canary1",
                "expands to … dir /d with another value",
                "ARG A changed",
                "--env X=…,Y with another value",
            ]
        );
    }

    #[test]
    fn a_text_is_shown_with_what_is_hidden_left_out() {
        let hidden = Veil::new([7; 32]).hide("x");
        assert_eq!(shown(&format!("COPY {hidden} /~{hidden}/ ~é")), "COPY … /~…/ ~é");
        assert!(is_hidden(&hidden) && !is_hidden("~x"));
    }
}
