//! What buildah 1.43 writes behind an instruction in the history: the flags that change an image beside the file, so
//! that its own cache tells the images apart. 1.39 writes nothing of it.

/// The flags that are noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagNotes {
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--inherit-labels=false`.
    pub drops_inherited_labels: bool,
    /// `--unsetannotation`, with the target's last instruction alone.
    pub unset_annotations: Vec<String>,
    /// `--annotation` as given, with the target's last instruction alone.
    pub annotations: Vec<String>,
    /// What becomes of the times of files: `force-mtime=5` with `--timestamp`, `clamp-mtime=5` with
    /// `--rewrite-timestamp`.
    pub file_times: Option<String>,
}

impl FlagNotes {
    /// The text behind an instruction: behind COPY and ADD its parts stand apart.
    pub fn text(&self, copies: bool, is_last: bool) -> String {
        let all = |name: &str, values: &[String]| -> String {
            values.iter().map(|value| format!("|{name}={value}")).collect()
        };
        let (unset_annotations, annotations) = match is_last {
            true => (all("unsetAnnotation", &self.unset_annotations), self.annotations.join(",")),
            false => Default::default(),
        };
        let file_times = self.file_times.as_ref().map(|times| format!("|{times}")).unwrap_or_default();
        let inherited = if self.drops_inherited_labels { "|inheritLabels=false" } else { "" };
        // The empty one is --inherit-annotations=false, which the engine carries out.
        let parts = [
            all("unsetLabel", &self.unset_labels),
            inherited.to_owned(),
            unset_annotations,
            String::new(),
            file_times,
            annotations,
        ];
        parts.join(if copies { " " } else { "" })
    }

    /// The text that the call of a single step has written, which knows no flags of the final image.
    fn of_step(&self, copies: bool) -> String {
        Self { file_times: self.file_times.clone(), ..Self::default() }.text(copies, true)
    }
}

/// An instruction as the call of a single step has written it into the history, as a native build of the stage would
/// have: with all notes, where the engine writes them, and without the digests of stages.
///
/// Later engines note the digest of what a bind mount holds, except where that is a stage (1.39, 1.43); a step gets
/// stages as images. `mounts` says of each bind mount whether it comes from a stage.
pub fn completed(
    created_by: &str,
    notes: Option<&FlagNotes>,
    copies: bool,
    is_last: bool,
    mounts: &[bool],
) -> String {
    let of_step = notes.map(|notes| notes.of_step(copies)).unwrap_or_default();
    let instruction = created_by.strip_suffix(&of_step).unwrap_or(created_by);
    let instruction = without_digests_of_stages(instruction, mounts);
    instruction + &notes.map(|notes| notes.text(copies, is_last)).unwrap_or_default()
}

/// A RUN as the call of a whole stage has written it into the history: with its notes, and without the digests of stages.
pub fn completed_in_stage(created_by: &str, notes: Option<&FlagNotes>, mounts: &[bool]) -> String {
    // The target's last instruction has more of them; which one that is depends on what was put behind it.
    let before = |notes: &FlagNotes| {
        [true, false].iter().find_map(|last| created_by.strip_suffix(&notes.text(false, *last)))
    };
    let instruction = notes.and_then(before).unwrap_or(created_by);
    without_digests_of_stages(instruction, mounts) + &created_by[instruction.len()..]
}

/// `COPY --link` and `ADD --link` as a build in layers writes them into the history (1.43.2): with the flag, which the call
/// of a single step leaves out.
pub fn linked(created_by: &str, keyword: &str) -> String {
    created_by.replacen(&format!("#(nop) {keyword} "), &format!("#(nop) {keyword} --link "), 1)
}

fn without_digests_of_stages(instruction: &str, mounts: &[bool]) -> String {
    let (mut text, mut digests) = (instruction, Vec::new());
    for is_stage in mounts.iter().rev() {
        let Some(before) = before_digest(text) else { return instruction.to_owned() };
        digests.push(if *is_stage { "" } else { &text[before.len()..] });
        text = before;
    }
    digests.iter().rev().fold(text.to_owned(), |text, digest| text + digest)
}

/// What stands before `:sha256:…` or `:…` at the end.
fn before_digest(text: &str) -> Option<&str> {
    let (before, digest) = text.split_at_checked(text.len().checked_sub(64)?)?;
    if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    before.strip_suffix("sha256:").unwrap_or(before).strip_suffix(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    // As buildah 1.43.2 writes them.
    #[test]
    fn notes_stand_where_the_engine_puts_them() {
        let annotations = vec!["one=1".to_owned(), "two=b=c".to_owned()];
        let notes = FlagNotes { annotations, ..FlagNotes::default() };
        assert_eq!(format!("COPY x in /a {}", notes.text(true, true)), "COPY x in /a      one=1,two=b=c");
        assert_eq!(format!("LABEL a=b{}", notes.text(false, true)), "LABEL a=bone=1,two=b=c");
        assert_eq!(notes.text(false, false), "");
        let unset_labels = vec!["a".to_owned(), "b".to_owned()];
        let notes = FlagNotes { unset_labels, ..FlagNotes::default() };
        let step = |written: &str, copies| completed(written, Some(&notes), copies, false, &[]);
        assert_eq!(step("COPY x in /a      ", true), "COPY x in /a |unsetLabel=a|unsetLabel=b     ");
        assert_eq!(step("/bin/sh -c x", false), "/bin/sh -c x|unsetLabel=a|unsetLabel=b");
        let notes = FlagNotes { drops_inherited_labels: true, ..FlagNotes::default() };
        assert_eq!(
            format!("COPY x in /a {}", notes.text(true, true)),
            "COPY x in /a  |inheritLabels=false    "
        );
        let file_times = Some("force-mtime=5".to_owned());
        let notes = FlagNotes { file_times, ..FlagNotes::default() };
        for written in ["COPY x in /a     |force-mtime=5 ", "/bin/sh -c x|force-mtime=5"] {
            assert_eq!(completed(written, Some(&notes), written.starts_with("COPY"), true, &[]), written);
        }
    }

    #[test]
    fn a_linked_copy_says_so() {
        let written = "/bin/sh -c #(nop) COPY file:1 in /to/      ";
        assert_eq!(linked(written, "COPY"), "/bin/sh -c #(nop) COPY --link file:1 in /to/      ");
        assert_eq!(linked(written, "ADD"), written);
    }

    #[test]
    fn digests_of_stages_are_left_out_and_others_stay() {
        let (one, two) = (format!(":sha256:{}", "1".repeat(64)), format!(":{}", "2".repeat(64)));
        let digests = |mounts: &[bool]| completed(&format!("x{one}{two}"), None, false, false, mounts);
        assert_eq!(digests(&[]), format!("x{one}{two}"));
        assert_eq!(digests(&[false, true]), format!("x{one}"));
        assert_eq!(digests(&[true, false]), format!("x{two}"));
        assert_eq!(digests(&[true, true]), "x");
        assert_eq!(completed("x", None, false, false, &[true]), "x");
    }

    #[test]
    fn digests_of_stages_stand_before_what_the_engine_notes_of_flags() {
        let (one, two) = (format!(":sha256:{}", "1".repeat(64)), format!(":{}", "2".repeat(64)));
        let annotations = vec!["a=b".to_owned()];
        let notes =
            FlagNotes { annotations, file_times: Some("force-mtime=5".to_owned()), ..FlagNotes::default() };
        for behind in ["|force-mtime=5a=b", "|force-mtime=5"] {
            let written = format!("/bin/sh -c --mount=from=a cp x y{one}{two}{behind}");
            let told = |mounts: &[bool]| completed_in_stage(&written, Some(&notes), mounts);
            let of = |digests: &str| format!("/bin/sh -c --mount=from=a cp x y{digests}{behind}");
            assert_eq!(told(&[false, true]), of(&one));
            assert_eq!(told(&[true, false]), of(&two));
            assert_eq!(told(&[true, true]), of(""));
            assert_eq!(told(&[true, true, true]), written);
        }
        assert_eq!(completed_in_stage(&format!("x{one}"), None, &[true]), "x");
    }
}
