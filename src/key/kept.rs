//! A step's inputs as they are kept: what no image shows of values stands there as a digest.

use super::{StepInputs, keyword_of};
use crate::veil::Veil;

/// Instructions whose words the image's config shows.
const SHOWN: &[&str] = &["ENV", "LABEL", "EXPOSE", "USER", "VOLUME", "WORKDIR", "STOPSIGNAL", "MAINTAINER"];

impl StepInputs {
    /// Inputs as they are kept. They are compared with others that are kept alike; no key comes of them.
    #[must_use]
    pub fn kept(&self, veil: &Veil) -> Self {
        let mut kept = self.clone();
        kept.args.values_mut().for_each(|digest| *digest = veil.hide(digest));
        for (words, text) in kept.expanded.iter_mut().zip(&self.instructions) {
            if !SHOWN.contains(&keyword_of(text).to_ascii_uppercase().as_str()) {
                words.iter_mut().for_each(|word| hide_unwritten(veil, word, text));
            }
        }
        for source in &mut kept.sources {
            let text = self.instructions.get(source.instruction).map_or("", String::as_str);
            source.paths.iter_mut().for_each(|path| hide_unwritten(veil, path, text));
            if source.from.contains("://") {
                hide_unwritten(veil, &mut source.from, text);
            }
        }
        for given in kept.flags.get_mut("env").into_iter().flatten() {
            if let Some((name, value)) = given.split_once('=') {
                *given = format!("{name}={}", veil.hide(value));
            }
        }
        kept
    }
}

/// A word in which variables were put in, which then does not stand in the instruction.
fn hide_unwritten(veil: &Veil, word: &mut String, text: &str) {
    if !text.contains(word.as_str()) {
        *word = veil.hide(word);
    }
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
        let kept = live.kept(&veil);
        let text = without_shown(&kept);
        assert!(!text.contains("canary") && !text.contains(&digest_of_value("canary")), "{text}");
        assert_eq!(kept.expanded[0], ["E", "canary"], "the config of the image has it");
        assert_eq!(kept.expanded[1][1..], ["dir", "/d"], "this stands in the file");
        assert_eq!(kept.sources[1].paths, ["dir"]);
        assert_eq!(kept.flags["env"][1], "Y");
        assert_eq!(kept.kept(&veil), kept, "what is hidden stays as it is");
        assert_ne!(live.kept(&Veil::new([8; 32])).args, kept.args, "another folder, another key");
    }

    #[test]
    fn what_changed_is_told_all_the_same() {
        let veil = Veil::new([7; 32]);
        let told = |old: &str, new: &str| -> Vec<String> {
            let (mut old, mut new) = (inputs(old), inputs(new));
            old.sources.clear();
            new.sources.clear();
            let found = changes(&old.kept(&veil), &new.kept(&veil), &|_, _| None);
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
}
