//! The build as it goes: a line a step with its reason, the engine's output under the step it belongs to.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use super::live::Live;
use crate::event::{Event, StepId};
use crate::process::OutputLine;
use crate::report::table::{duration, one_line};
use crate::verdict::Verdict;
use crate::visible::{output_line, visible, visible_file, visible_lines};

/// How much is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// What runs now, drawn again in place.
    Live,
    /// A line a step, with the engine's output.
    Plain,
    /// Each event as a JSON object on a line.
    RawJson,
    /// Warnings only.
    Quiet,
}

/// The stages and steps that events are about, and how they are written.
#[derive(Debug, Default)]
pub struct Titles {
    colour: bool,
    stages: Vec<(String, Vec<String>)>,
}

impl Titles {
    /// By stage: its name and the titles of its steps.
    pub fn new(stages: Vec<(String, Vec<String>)>, colour: bool) -> Self {
        Self { colour, stages }
    }

    /// Those of a build's stages: index, name and titles of each.
    pub fn of(known: impl Iterator<Item = (usize, String, Vec<String>)>, colour: bool) -> Self {
        let mut stages = Vec::new();
        for (index, name, steps) in known {
            if stages.len() <= index {
                stages.resize_with(index + 1, Default::default);
            }
            stages[index] = (name, steps);
        }
        Self::new(stages, colour)
    }

    /// How many steps there are.
    pub fn count(&self) -> usize {
        self.stages.iter().map(|(_, steps)| steps.len()).sum()
    }

    pub(super) fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn label(&self, (stage, step): StepId) -> (String, &str) {
        let Some((name, steps)) = self.stages.get(stage) else { return (stage.to_string(), "") };
        let title = steps.get(step).map_or("", String::as_str);
        (format!("[{} {}/{}]", visible(name), step + 1, steps.len()), title)
    }

    /// `[stage 1/2] WORD title`, with a line for the reason where there is one.
    fn lines(&self, step: StepId, code: &str, word: &str, reason: &str) -> Vec<String> {
        let (label, title) = self.label(step);
        let indent = label.chars().count();
        let title = one_line(title, 72);
        let first = format!("{} {} {title}", self.painted("1", &label), self.painted(code, word));
        let second = format!("{:indent$} because: {}", "", visible(reason));
        if reason.is_empty() { vec![first] } else { vec![first, second] }
    }

    pub(super) fn decided(&self, step: StepId, verdict: &Verdict) -> Vec<String> {
        let shown = verdict.to_string().replacen("run", "build", 1);
        let (word, reason) = shown.split_once(": ").unwrap_or((&shown, ""));
        let code = if verdict.is_hit() { "32" } else { "36" };
        self.lines(step, code, &word.to_uppercase(), reason)
    }

    pub(super) fn ran(&self, step: StepId, took: &str, reason: &str) -> Vec<String> {
        self.lines(step, "36", &format!("DONE {took}"), reason)
    }

    pub(super) fn failed(&self, step: StepId) -> String {
        self.lines(step, "31", "FAILED", "").remove(0)
    }

    pub(super) fn warning(&self, text: &str) -> String {
        format!("{} {}", self.painted("33", "warning:"), visible_lines(text, "    "))
    }
}

/// Where talk goes.
pub struct Progress {
    style: Style,
    /// Whether what is written is obeyed there.
    on_terminal: bool,
    sink: Mutex<Sink>,
    titles: Titles,
}

enum Sink {
    Stderr,
    File(Log),
    Live(Live),
}

/// A file that talk goes to, and the first reason why not all of it is there.
struct Log {
    file: File,
    failed: Option<io::Error>,
}

impl Log {
    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.file.write_all(line) {
            self.failed.get_or_insert(error);
        }
    }
}

impl Progress {
    /// Talk about these stages to standard error, or to a file: index, name and titles of the steps of each.
    ///
    /// Where standard error is no terminal, [`Style::Live`] is [`Style::Plain`].
    pub fn new(
        style: Style,
        log: Option<File>,
        stages: impl Iterator<Item = (usize, String, Vec<String>)>,
    ) -> Self {
        let on_terminal = log.is_none() && io::stderr().is_terminal();
        let colour = on_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let titles = Titles::of(stages, colour);
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let log = log.map(|file| Log { file, failed: None });
        let (style, sink, titles) = match (style, log) {
            (Style::Live, None) if on_terminal && !dumb => {
                (style, Sink::Live(Live::new(titles)), Titles { colour, ..Titles::default() })
            }
            (Style::Live, log) => (Style::Plain, log.map_or(Sink::Stderr, Sink::File), titles),
            (style, log) => (style, log.map_or(Sink::Stderr, Sink::File), titles),
        };
        Self { style, on_terminal, sink: Mutex::new(sink), titles }
    }

    fn line(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes a line at once, so that no other gets between.
    fn bytes(&self, line: &[u8]) {
        let whole = [line, b"\n"].concat();
        match &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            // Talk that nobody can hear must not end a build.
            Sink::Stderr => drop(io::stderr().write_all(&whole)),
            Sink::File(log) => log.write(&whole),
            Sink::Live(live) => live.line(&String::from_utf8_lossy(line)),
        }
    }

    /// Whether all of it could be written where it was asked for by name.
    ///
    /// # Errors
    /// When the log could not be written.
    pub fn written(&self) -> io::Result<()> {
        match &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::File(log) => log.failed.take().map_or(Ok(()), Err),
            Sink::Stderr | Sink::Live(_) => Ok(()),
        }
    }

    /// Something worth knowing that is about no step.
    pub fn note(&self, text: &str) {
        if matches!(self.style, Style::Plain | Style::Live) {
            self.line(text);
        }
    }

    /// A text that was asked for, whatever the style.
    pub fn text(&self, text: &[u8]) {
        match self.on_terminal {
            true => self.line(visible_file(text).trim_end()),
            false => self.bytes(text.trim_ascii_end()),
        }
    }

    /// A warning.
    pub fn warn(&self, text: &str) {
        match self.style {
            Style::RawJson => self.line(&serde_json::json!({"event": "warning", "text": text}).to_string()),
            _ => self.line(&self.titles.warning(text)),
        }
    }

    /// Shows an event.
    pub fn show(&self, event: &Event) {
        match self.style {
            Style::Plain => self.plain(event),
            Style::Live => {
                if let Sink::Live(live) = &*self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
                    live.show(event);
                }
            }
            Style::RawJson => self.raw(event),
            Style::Quiet => {
                if let Event::Warning(text) = event {
                    self.warn(text);
                }
            }
        }
    }

    fn plain(&self, event: &Event) {
        match event {
            Event::Decided { step, verdict, .. } => {
                self.line(&self.titles.decided(*step, verdict).join("\n"));
            }
            Event::Output { step, line } => {
                let (label, _) = self.titles.label(*step);
                let (OutputLine::Stdout(bytes) | OutputLine::Stderr(bytes)) = line;
                let label = self.titles.painted("2", &label);
                match self.on_terminal {
                    true => self.line(&format!("{label} {}", output_line(bytes, self.titles.colour))),
                    false => self.bytes(&[label.as_bytes(), b" ", bytes].concat()),
                }
            }
            Event::Ran { step, image, duration_ms } => {
                let (label, _) = self.titles.label(*step);
                self.line(&format!("{label} done in {} -> {}", duration(*duration_ms), image.short()));
            }
            Event::Waiting { step, what } => {
                self.line(&format!("{} waits for {}", self.titles.label(*step).0, visible(what)));
            }
            Event::Failed { step } => self.line(&self.titles.failed(*step)),
            Event::Warning(text) => self.warn(text),
            Event::Started { .. } | Event::StageDone { .. } => {}
        }
    }

    fn raw(&self, event: &Event) {
        use serde_json::json;
        let stage_name = |stage: usize| self.titles.stages.get(stage).map(|(name, _)| name.as_str());
        let at = |(stage, step): StepId| json!({"stage": stage_name(stage), "step": step});
        let value = match event {
            Event::Decided { step, verdict, key, image } => {
                json!({"event": "decided", "at": at(*step), "verdict": verdict, "key": key, "image": image})
            }
            Event::Waiting { step, what } => json!({"event": "waiting", "at": at(*step), "for": what}),
            Event::Started { step, at: time } => json!({"event": "started", "at": at(*step), "time": time}),
            Event::Output { step, line } => {
                let (stream, bytes) = match line {
                    OutputLine::Stdout(bytes) => ("stdout", bytes),
                    OutputLine::Stderr(bytes) => ("stderr", bytes),
                };
                json!({"event": "output", "at": at(*step), "stream": stream, "text": String::from_utf8_lossy(bytes)})
            }
            Event::Ran { step, image, duration_ms } => {
                json!({"event": "ran", "at": at(*step), "image": image, "duration_ms": duration_ms})
            }
            Event::StageDone { stage, tip, leaf, name, .. } => {
                json!({"event": "stage", "stage": stage_name(*stage), "tip": tip, "image": leaf, "name": name})
            }
            Event::Failed { step } => json!({"event": "failed", "at": at(*step)}),
            Event::Warning(text) => return self.warn(text),
        };
        self.line(&value.to_string());
    }
}
