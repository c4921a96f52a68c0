//! Tells the lines that the engine prints of itself from those that a RUN prints; what is the engine's goes, for a call is
//! one step to the user, and `--quiet` would take the output of RUN with it (1.28).
//!
//! Only what is shown hangs on this. A RUN may print anything, so a line is the engine's by where it stands:
//! - `STEP k/n: …`, with `[i/m] ` in front where there are several stages, when k is the next number;
//! - `--> ID` in front of such a line where an instruction or a stage was committed (podman; buildah with `--iidfile` prints
//!   none);
//! - the end of standard output of a call that succeeded: `COMMIT`, with the first name, podman's `--> ID`, a `Successfully
//!   tagged NAME` for each name, and podman's id (1.28, 1.39, 1.43, podman 4.3, 5.4, 5.8). What a RUN prints without a
//!   newline stands in front of `COMMIT` on the same line.

use super::EngineKind;
use crate::image::ImageId;

/// The lines of one call's standard output.
pub struct OwnLines<'a> {
    kind: EngineKind,
    layers: bool,
    names: &'a [String],
    at: Option<Place>,
    /// Lines that may be the engine's, until more of them shows what they are.
    held: Vec<Vec<u8>>,
}

/// Where the engine is: in which of how many stages, and in which of how many instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    stage: (usize, usize),
    step: (usize, usize),
}

/// A line of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Commit,
    Arrow,
    Tagged,
    Id,
}

impl<'a> OwnLines<'a> {
    /// Of a call in layers or not that gives its image these names.
    pub fn new(kind: EngineKind, layers: bool, names: &'a [String]) -> Self {
        Self { kind, layers, names, at: None, held: Vec::new() }
    }

    /// Takes the next line, and hands on what is not the engine's.
    pub fn line(&mut self, line: Vec<u8>, output: &mut dyn FnMut(Vec<u8>)) {
        if self.at.is_some_and(Place::is_last) {
            self.held.push(line);
            while !self.may_be_the_end() {
                output(self.held.remove(0));
            }
            return;
        }
        let next = Place::of(&line).filter(|next| self.is_next(*next));
        let is_said = next.is_some_and(|next| self.is_said_in_front(next));
        for held in self.held.drain(..).filter(|_| !is_said) {
            output(held);
        }
        if next.is_some() {
            self.at = next;
        } else if self.kind == EngineKind::Podman && is_arrow(&line) {
            self.held.push(line);
        } else {
            self.note_glued(&line);
            output(line);
        }
    }

    /// There are no more lines; hands on what was held back and is not the engine's.
    pub fn end(mut self, succeeded: bool, output: &mut dyn FnMut(Vec<u8>)) {
        if succeeded && !self.held.is_empty() && self.held.len() == self.closing().len() {
            let commit = self.commit();
            let first = self.held.swap_remove(0);
            let said = &first[..first.len() - commit.len()];
            if !said.is_empty() {
                output(said.to_vec());
            }
            return;
        }
        self.held.into_iter().for_each(output);
    }

    fn is_next(&self, next: Place) -> bool {
        match self.at {
            None => next.step.0 == 1,
            Some(at) if at.step.0 < at.step.1 => next == at.following(),
            Some(at) => next.stage.1 == at.stage.1 && next.stage.0 > at.stage.0 && next.step.0 == 1,
        }
    }

    /// Whether podman says what it has committed in front of this instruction.
    fn is_said_in_front(&self, next: Place) -> bool {
        if next.step.0 == 1 { next.stage.0 > 1 } else { self.layers && next.step.0 > 2 }
    }

    /// The engine goes on behind what a RUN printed without a newline: that stays as it is.
    fn note_glued(&mut self, line: &[u8]) {
        let Some(at) = self.at.filter(|at| at.step.0 < at.step.1) else { return };
        let next = at.following();
        let marker = next.written();
        if line.windows(marker.len()).any(|window| window == marker.as_bytes()) {
            self.at = Some(next);
        }
    }

    fn commit(&self) -> Vec<u8> {
        let prefix = self.at.map(Place::prefix).unwrap_or_default();
        let name = self.names.first().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{prefix}COMMIT{name}").into_bytes()
    }

    fn closing(&self) -> Vec<Closing> {
        let tagged = std::iter::repeat_n(Closing::Tagged, self.names.len());
        match self.kind {
            EngineKind::Buildah => std::iter::once(Closing::Commit).chain(tagged).collect(),
            EngineKind::Podman => {
                [Closing::Commit, Closing::Arrow].into_iter().chain(tagged).chain([Closing::Id]).collect()
            }
        }
    }

    /// Whether what is held back can be the beginning of the end.
    fn may_be_the_end(&self) -> bool {
        let closing = self.closing();
        let fits = |(line, closing): (&Vec<u8>, &Closing)| match closing {
            Closing::Commit => line.ends_with(&self.commit()),
            Closing::Arrow => is_arrow(line),
            Closing::Tagged => {
                let name = line.strip_prefix(b"Successfully tagged ");
                self.names.iter().any(|wanted| name == Some(wanted.as_bytes()))
            }
            Closing::Id => std::str::from_utf8(line).is_ok_and(|line| ImageId::parse(line).is_some()),
        };
        self.held.len() <= closing.len() && self.held.iter().zip(&closing).all(fits)
    }
}

impl Place {
    /// Reads the beginning of `[i/m] STEP k/n: …`.
    fn of(line: &[u8]) -> Option<Self> {
        let text = line.split(|byte| *byte == b':').next()?;
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() < line.len())?;
        let pair = |text: &str| {
            let (a, b) = text.split_once('/')?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        let (stage, step) = match text.strip_prefix('[') {
            Some(text) => {
                let (stage, rest) = text.split_once("] ")?;
                (pair(stage)?, rest)
            }
            None => ((1, 1), text),
        };
        Some(Self { stage, step: pair(step.strip_prefix("STEP ")?)? })
    }

    fn is_last(self) -> bool {
        self.stage.0 == self.stage.1 && self.step.0 == self.step.1
    }

    fn following(self) -> Self {
        Self { step: (self.step.0 + 1, self.step.1), ..self }
    }

    fn prefix(self) -> String {
        match self.stage {
            (1, 1) => String::new(),
            (stage, stages) => format!("[{stage}/{stages}] "),
        }
    }

    fn written(self) -> String {
        format!("{}STEP {}/{}: ", self.prefix(), self.step.0, self.step.1)
    }
}

fn is_arrow(line: &[u8]) -> bool {
    let id = line.strip_prefix(b"--> ");
    id.is_some_and(|id| id.len() >= 11 && id.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the engine's standard output.
    fn shown(kind: EngineKind, layers: bool, names: &[&str], succeeded: bool, text: &str) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut own = OwnLines::new(kind, layers, &names);
        let mut lines = Vec::new();
        let mut output = |line: Vec<u8>| lines.push(String::from_utf8(line).unwrap());
        for line in text.lines() {
            own.line(line.as_bytes().to_vec(), &mut output);
        }
        own.end(succeeded, &mut output);
        lines.join("|")
    }

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_an_engine_prints_around_a_run_goes() {
        let buildah = "STEP 1/2: FROM x\nSTEP 2/2: RUN y\nhello\nCOMMIT\n";
        assert_eq!(shown(EngineKind::Buildah, false, &[], true, buildah), "hello");
        let named = "[1/2] STEP 1/1: FROM x AS z\n[2/2] STEP 1/2: FROM y\n[2/2] STEP 2/2: RUN y\nhello\n\
                     [2/2] COMMIT a:1\nSuccessfully tagged b:1\nSuccessfully tagged a:1\n";
        assert_eq!(shown(EngineKind::Buildah, false, &["a:1", "b:1"], true, named), "hello");
        let podman = format!(
            "[1/2] STEP 1/1: FROM x AS z\n--> 0123456789a\n[2/2] STEP 1/2: FROM y\n[2/2] STEP 2/2: RUN y\nhello\n\
             [2/2] COMMIT a:1\n--> 0123456789ab\nSuccessfully tagged a:1\n{ID}\n"
        );
        assert_eq!(shown(EngineKind::Podman, false, &["a:1"], true, &podman), "hello");
        let layers = format!(
            "STEP 1/3: FROM x\nSTEP 2/3: ENV A=1\n--> 0123456789a\nSTEP 3/3: RUN y\nhello\nCOMMIT\n--> 0123456789a\n{ID}\n"
        );
        assert_eq!(shown(EngineKind::Podman, true, &[], true, &layers), "hello");
    }

    #[test]
    fn what_a_run_prints_that_looks_like_the_engines_own_stays() {
        let said = format!(
            "COMMIT\nCOMMIT a:1\n{ID}\nSTEP 1/2: x\nSTEP 3/3: x\n--> 0123456789ab\nSuccessfully tagged a:1\nCOMMIT a:1\n"
        );
        let expected = said.trim_end().replace('\n', "|");
        let begin = "STEP 1/2: FROM x\nSTEP 2/2: RUN y\n";
        let buildah = format!("{begin}{said}COMMIT a:1\nSuccessfully tagged a:1\n");
        assert_eq!(shown(EngineKind::Buildah, false, &["a:1"], true, &buildah), expected);
        let podman = format!("{begin}{said}COMMIT a:1\n--> 0123456789ab\nSuccessfully tagged a:1\n{ID}\n");
        assert_eq!(shown(EngineKind::Podman, false, &["a:1"], true, &podman), expected);
        for kind in [EngineKind::Buildah, EngineKind::Podman] {
            assert_eq!(shown(kind, false, &["a:1"], false, &format!("{begin}{said}")), expected, "a failure");
        }
    }

    #[test]
    fn between_instructions_the_next_number_counts_alone() {
        let text = "STEP 1/3: FROM x\nSTEP 2/3: RUN y\nSTEP 2/3: a\nSTEP 3/4: b\n--> 0123456789ab\nSTEP 3/3: RUN z\n\
                    c\nCOMMIT\n";
        let expected = "STEP 2/3: a|STEP 3/4: b|--> 0123456789ab|c";
        assert_eq!(shown(EngineKind::Buildah, false, &[], true, text), expected);
    }

    #[test]
    fn what_a_run_prints_without_a_newline_is_not_lost() {
        let text = "STEP 1/3: FROM x\nSTEP 2/3: RUN y\nsaidSTEP 3/3: RUN z\nmoreCOMMIT\n";
        assert_eq!(shown(EngineKind::Buildah, false, &[], true, text), "saidSTEP 3/3: RUN z|more");
    }
}
