//! The build as it goes: a line a step with its reason, the engine's output under the step it belongs to.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use crate::event::Event;
use crate::prepare::PreparedStage;
use crate::process::OutputLine;
use crate::report::table::{duration, one_line};

/// How much is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A line a step, with the engine's output.
    Plain,
    /// Each event as a JSON object on a line.
    RawJson,
    /// Warnings only.
    Quiet,
}

/// Where talk goes, and the names of what is talked about.
pub struct Progress {
    style: Style,
    sink: Mutex<Sink>,
    colour: bool,
    stages: Vec<StageLines>,
}

enum Sink {
    Stderr,
    File(File),
}

#[derive(Default)]
struct StageLines {
    name: String,
    steps: Vec<String>,
}

impl Progress {
    /// Talk to standard error, or to a file.
    pub fn new(style: Style, log: Option<File>) -> Self {
        let colour = log.is_none()
            && io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let sink = Mutex::new(log.map_or(Sink::Stderr, Sink::File));
        Self { style, sink, colour, stages: Vec::new() }
    }

    /// Names the stages and steps that events are about.
    pub fn stages<'a>(&mut self, prepared: impl Iterator<Item = (usize, &'a PreparedStage)>) {
        for (index, stage) in prepared {
            if self.stages.len() <= index {
                self.stages.resize_with(index + 1, StageLines::default);
            }
            self.stages[index] = StageLines {
                name: stage.stage.name.clone(),
                steps: stage.steps.iter().map(|step| step.title.clone()).collect(),
            };
        }
    }

    fn line(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Talk that nobody can hear must not end a build.
        let _ = match &mut *sink {
            Sink::Stderr => writeln!(io::stderr(), "{text}"),
            Sink::File(file) => writeln!(file, "{text}"),
        };
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something worth knowing that is about no step.
    pub fn note(&self, text: &str) {
        if self.style == Style::Plain {
            self.line(text);
        }
    }

    /// A text that was asked for, whatever the style.
    pub fn text(&self, text: &[u8]) {
        self.line(String::from_utf8_lossy(text).trim_end());
    }

    /// A warning.
    pub fn warn(&self, text: &str) {
        match self.style {
            Style::RawJson => self.line(&serde_json::json!({"event": "warning", "text": text}).to_string()),
            _ => self.line(&format!("{} {text}", self.painted("33", "warning:"))),
        }
    }

    fn label(&self, (stage, step): (usize, usize)) -> (String, &str) {
        let Some(lines) = self.stages.get(stage) else { return (stage.to_string(), "") };
        let title = lines.steps.get(step).map_or("", String::as_str);
        (format!("[{} {}/{}]", lines.name, step + 1, lines.steps.len()), title)
    }

    /// Shows an event.
    pub fn show(&self, event: &Event) {
        match self.style {
            Style::Plain => self.plain(event),
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
                let (label, title) = self.label(*step);
                let title = one_line(title, 72);
                let shown = verdict.to_string().replacen("run", "build", 1);
                let (word, reason) = shown.split_once(": ").unwrap_or((&shown, ""));
                let code = if verdict.is_hit() { "32" } else { "36" };
                let mut line = format!(
                    "{} {} {title}",
                    self.painted("1", &label),
                    self.painted(code, &word.to_uppercase())
                );
                if !reason.is_empty() {
                    line.push_str(&format!(
                        "\n{:width$} because: {reason}",
                        "",
                        width = label.chars().count()
                    ));
                }
                self.line(&line);
            }
            Event::Output { step, line } => {
                let (label, _) = self.label(*step);
                let (OutputLine::Stdout(bytes) | OutputLine::Stderr(bytes)) = line;
                self.line(&format!("{} {}", self.painted("2", &label), String::from_utf8_lossy(bytes)));
            }
            Event::Ran { step, image, duration_ms } => {
                let (label, _) = self.label(*step);
                self.line(&format!("{label} done in {} -> {}", duration(*duration_ms), image.short()));
            }
            Event::Waiting { step, what } => self.line(&format!("{} waits for {what}", self.label(*step).0)),
            Event::Failed { step } => {
                let (label, title) = self.label(*step);
                self.line(&format!("{label} {} {}", self.painted("31", "FAILED"), one_line(title, 72)));
            }
            Event::Warning(text) => self.warn(text),
            Event::Started { .. } | Event::StageDone { .. } => {}
        }
    }

    fn raw(&self, event: &Event) {
        use serde_json::json;
        let at = |(stage, step): (usize, usize)| json!({"stage": self.stages.get(stage).map(|s| s.name.as_str()), "step": step});
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
                let stage = self.stages.get(*stage).map(|s| s.name.as_str());
                json!({"event": "stage", "stage": stage, "tip": tip, "image": leaf, "name": name})
            }
            Event::Failed { step } => json!({"event": "failed", "at": at(*step)}),
            Event::Warning(text) => return self.warn(text),
        };
        self.line(&value.to_string());
    }
}
