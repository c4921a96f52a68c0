//! What the engines make of one instruction's line: its words, pairs, flags and trigger.

use super::ast::{Flag, Heredoc, Instruction, Keyword};
use super::text::{is_separator, trim};
use super::{heredoc, parse, words};

impl Keyword {
    /// The keyword of a word in any case.
    pub(super) fn of(word: &str) -> Self {
        match word.to_lowercase().as_str() {
            "add" => Self::Add,
            "arg" => Self::Arg,
            "cmd" => Self::Cmd,
            "copy" => Self::Copy,
            "entrypoint" => Self::Entrypoint,
            "env" => Self::Env,
            "expose" => Self::Expose,
            "from" => Self::From,
            "healthcheck" => Self::Healthcheck,
            "label" => Self::Label,
            "maintainer" => Self::Maintainer,
            "onbuild" => Self::Onbuild,
            "run" => Self::Run,
            "shell" => Self::Shell,
            "stopsignal" => Self::Stopsignal,
            "user" => Self::User,
            "volume" => Self::Volume,
            "workdir" => Self::Workdir,
            _ => Self::Unknown(word.to_uppercase()),
        }
    }

    /// The keyword in upper case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
            Self::Unknown(word) => word,
        }
    }
}

impl std::fmt::Display for Keyword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Flag {
    /// The flag as one word, quotes and escapes gone: `--from=build`.
    pub fn word(&self) -> String {
        match &self.value {
            Some(value) => format!("--{}={value}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

impl Instruction {
    /// The last flag of that name.
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().rev().find(|flag| flag.name == name)
    }

    /// All flags of that name in their order.
    pub fn flags_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Flag> {
        self.flags.iter().filter(move |flag| flag.name == name)
    }

    /// The flags as they stand on the line.
    pub fn flags_written(&self) -> &[u8] {
        let line = trim(&self.original);
        let keyword = line.iter().position(|&byte| is_separator(byte)).unwrap_or(line.len());
        let (_, end) = words::leading_flags(&line[keyword..]);
        trim(&line[keyword..keyword + end])
    }

    /// Whether the line is nothing but one heredoc: `RUN <<EOF`.
    pub fn is_one_heredoc(&self) -> bool {
        heredoc::is_one(&self.rest)
    }

    /// [`Instruction::original`] as an image's history shows it.
    pub fn original_text(&self) -> String {
        super::text::decode(&self.original)
    }

    /// Whether it can change the filesystem and so makes a layer.
    pub fn is_filesystem(&self) -> bool {
        matches!(self.keyword, Keyword::Add | Keyword::Copy | Keyword::Run)
    }

    /// The keys and values of an ENV or LABEL, not expanded; empty for any other instruction.
    pub fn pairs(&self) -> Vec<(String, String)> {
        match self.keyword {
            // `parse` has refused the lines for which this fails.
            Keyword::Env | Keyword::Label => words::pairs(&self.rest, self.escape).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The arguments as the engines' parser cuts them, quotes and escapes kept, not expanded.
    ///
    /// A shell form is one word; HEALTHCHECK is its type and its command; ONBUILD is the keyword of its
    /// trigger in lower case and the trigger's words.
    pub fn words(&self) -> Vec<String> {
        let whole = || Some(self.rest.clone()).filter(|rest| !rest.is_empty()).into_iter().collect();
        match (&self.keyword, &self.json) {
            (Keyword::Healthcheck, _) => {
                let (check, command) = health_check(&self.rest);
                let command = match &self.json {
                    Some(json) => json.clone(),
                    None => Some(command).filter(|c| !c.is_empty()).map(str::to_owned).into_iter().collect(),
                };
                Some(check).filter(|c| !c.is_empty()).map(str::to_owned).into_iter().chain(command).collect()
            }
            (_, Some(json)) => json.clone(),
            (Keyword::Add | Keyword::Copy | Keyword::Volume | Keyword::Expose | Keyword::From, None) => {
                words::separated(&self.rest)
            }
            (Keyword::Arg, None) => words::quoted(&self.rest, self.escape),
            (Keyword::Env | Keyword::Label, None) => {
                self.pairs().into_iter().flat_map(|(key, value)| [key, value]).collect()
            }
            (Keyword::Onbuild, None) => match self.trigger() {
                Some(trigger) if trigger.keyword == Keyword::Onbuild => vec!["onbuild".to_owned()],
                Some(trigger) => [vec![trigger.keyword.as_str().to_lowercase()], trigger.words()].concat(),
                None => Vec::new(),
            },
            (Keyword::Unknown(_), None) => Vec::new(),
            _ => whole(),
        }
    }

    /// The instruction behind ONBUILD; it has the line numbers, span and heredocs of the whole.
    pub fn trigger(&self) -> Option<Instruction> {
        if self.keyword != Keyword::Onbuild || self.rest.is_empty() {
            return None;
        }
        let mut trigger = parse::instruction(self.rest.clone().into_bytes(), self.escape).ok()?;
        trigger.span = self.span;
        trigger.line = self.line;
        trigger.end_line = self.end_line;
        trigger.heredocs = self.heredocs.clone();
        Some(trigger)
    }
}

impl Heredoc {
    /// The text that the engine makes of the body: without carriage returns at the ends of its lines, and where `<<-`
    /// asks for that without the tabs at their starts.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.body.len());
        for mut line in self.body.split_inclusive(|&byte| byte == b'\n') {
            while let ([b'\t', rest @ ..], true) = (line, self.chomp) {
                line = rest;
            }
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            let end = content.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
            text.extend_from_slice(&content[..end]);
            text.extend_from_slice(&line[content.len()..]);
        }
        text
    }
}

/// HEALTHCHECK's type and what follows it.
pub(super) fn health_check(rest: &str) -> (&str, &str) {
    match rest.split_once(super::text::is_space) {
        Some((check, command)) => (check, command.trim_start_matches(super::text::is_space)),
        None => (rest, ""),
    }
}
