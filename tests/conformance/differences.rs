//! The documented differences: where stagecache is meant to differ from an engine, why, and in which versions.
//!
//! The list is exact. A difference that is not listed is wrong, and so is a listed one that no longer shows.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::compare::Difference;
use crate::corpus::{Case, Limits, Mode, split_words};
use crate::engine::Engine;

/// One entry of the list.
#[derive(Clone, Debug, Default)]
pub struct Documented {
    pub name: String,
    pub cases: Vec<String>,
    limits: Limits,
    /// What the engine says where it differs.
    pub said: Option<String>,
    /// Differences as they are printed; `*` stands for anything.
    pub lines: Vec<String>,
    pub reason: String,
}

impl Documented {
    pub fn applies(&self, engine: &Engine, case: &Case, mode: Mode) -> bool {
        // A mutation differs where its case does.
        let id = case.id();
        let id = id.split('~').next().unwrap_or(&id);
        let named = self.cases.iter().any(|pattern| matches(pattern, id));
        named && engine.takes(&self.limits) && self.limits.in_mode(mode)
    }
}

/// Reads `differences.txt`.
pub fn read(path: &Path) -> Result<Vec<Documented>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Documented>> {
    let mut list: Vec<Documented> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            list.push(Documented { name: name.to_owned(), ..Documented::default() });
            continue;
        }
        let entry = list.last_mut().context("text before the first difference")?;
        let (key, value) = line.split_once(':').with_context(|| format!("no `key: value`: {line}"))?;
        let (value, limits) = (value.trim(), &mut entry.limits);
        match key {
            "cases" => entry.cases = split_words(value)?,
            "engines" => limits.engines = split_words(value)?,
            "since" => limits.since = Some(value.parse()?),
            "before" => limits.before = Some(value.parse()?),
            "user" => limits.user = Some(value.to_owned()),
            "modes" => {
                limits.modes = split_words(value)?.iter().map(|mode| mode.parse()).collect::<Result<_>>()?
            }
            "said" => entry.said = Some(value.to_owned()),
            "differs" => entry.lines.push(value.to_owned()),
            "reason" => entry.reason = value.to_owned(),
            _ => bail!("unknown key {key}"),
        }
    }
    for entry in &list {
        ensure!(!entry.reason.is_empty(), "{} has no reason", entry.name);
        ensure!(!entry.lines.is_empty() && !entry.cases.is_empty(), "{} says nothing", entry.name);
    }
    Ok(list)
}

/// What is left of the differences after the documented ones, and the documented lines that did not show.
pub fn settle(found: Vec<Difference>, documented: &[&Documented]) -> (Vec<Difference>, Vec<String>) {
    let all: Vec<String> = found.iter().map(Difference::to_string).collect();
    let absent = documented
        .iter()
        .flat_map(|entry| entry.lines.iter().map(move |line| (entry, line)))
        .filter(|(_, line)| !all.iter().any(|difference| matches(line, difference)))
        .map(|(entry, line)| format!("documented ({}), but does not show any more: {line}", entry.name))
        .collect();
    let known =
        |text: &str| documented.iter().any(|entry| entry.lines.iter().any(|line| matches(line, text)));
    (
        found
            .into_iter()
            .zip(all)
            .filter(|(_, text)| !known(text))
            .map(|(difference, _)| difference)
            .collect(),
        absent,
    )
}

/// Whether `text` is what `pattern` says, where `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((front, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(front) else {
        return false;
    };
    let pieces: Vec<&str> = rest.split('*').collect();
    let (last, middle) = pieces.split_last().expect("split gives one piece at least");
    for piece in middle {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}
