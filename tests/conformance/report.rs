//! Draws the results: a table by engine and subject, the differences of what is wrong, or all of it as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::compare::Difference;
use crate::engine::ROOTLESS;

/// What came of one case in one mode, from one state of the cache.
#[derive(Clone, Debug)]
pub struct Checked {
    pub engine: String,
    pub subject: String,
    pub name: String,
    pub mode: &'static str,
    pub cache: &'static str,
    /// Documented differences that showed.
    pub documented: usize,
    /// Why it is wrong, nothing where it is not.
    pub wrong: Vec<String>,
    pub differences: Vec<Difference>,
    pub native_seconds: f64,
    pub subject_seconds: f64,
}

impl Checked {
    /// The case as one line, and what is wrong with it.
    pub fn text(&self) -> String {
        let cache = if self.cache == "cold" { String::new() } else { format!(" {} cache", self.cache) };
        let title = format!("{}/{} [{}{cache}, {}]", self.subject, self.name, self.mode, self.engine);
        if self.wrong.is_empty() {
            return format!("same   {title}");
        }
        let lines: String = self.wrong.iter().map(|line| format!("\n       {line}")).collect();
        format!("WRONG  {title}{lines}")
    }

    fn verdict(&self) -> &'static str {
        match (self.wrong.is_empty(), self.documented) {
            (false, _) => "wrong",
            (true, 0) => "same",
            (true, _) => "documented",
        }
    }

    fn json(&self) -> Value {
        json!({
            "engine": self.engine, "subject": self.subject, "name": self.name, "mode": self.mode, "cache": self.cache,
            "verdict": self.verdict(), "wrong": self.wrong,
            "differences": self.differences.iter().map(|difference| json!({
                "field": difference.field, "native": difference.native, "subject": difference.subject,
            })).collect::<Vec<_>>(),
            "native_seconds": self.native_seconds, "subject_seconds": self.subject_seconds,
        })
    }
}

/// A line of results as it stands in a file.
#[derive(Deserialize)]
pub struct Saved {
    engine: String,
    subject: String,
    verdict: String,
}

/// The results of earlier runs.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Saved>> {
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let saved: Vec<Saved> =
            serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
        all.extend(saved);
    }
    Ok(all)
}

/// How many cases came to what.
#[derive(Default)]
pub struct Row {
    cases: usize,
    same: usize,
    documented: usize,
    wrong: usize,
}

impl Row {
    fn add(&mut self, verdict: &str) {
        self.cases += 1;
        match verdict {
            "same" => self.same += 1,
            "documented" => self.documented += 1,
            _ => self.wrong += 1,
        }
    }

    fn add_row(&mut self, other: &Row) {
        self.cases += other.cases;
        self.same += other.same;
        self.documented += other.documented;
        self.wrong += other.wrong;
    }
}

/// Rows by engine and subject.
pub type Rows = BTreeMap<String, BTreeMap<String, Row>>;

fn rows<'a>(results: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Rows {
    let mut rows = Rows::new();
    for (engine, subject, verdict) in results {
        let engine = rows.entry(engine.to_owned()).or_default();
        engine.entry(subject.to_owned()).or_default().add(verdict);
    }
    rows
}

/// The rows of this run.
pub fn checked_rows(checked: &[Checked]) -> Rows {
    rows(checked.iter().map(|one| (one.engine.as_str(), one.subject.as_str(), one.verdict())))
}

/// The rows of earlier runs.
pub fn saved_rows(saved: &[Saved]) -> Rows {
    rows(saved.iter().map(|one| (one.engine.as_str(), one.subject.as_str(), one.verdict.as_str())))
}

/// The table: a block for each engine, a line for each subject, and a line of sums.
pub fn table(rows: &Rows) -> String {
    let mut text = String::new();
    for (engine, rows) in rows {
        let mut sum = Row::default();
        let line = |name: &str, row: &Row| {
            format!("{name:<24} {:>6} {:>6} {:>12} {:>6}\n", row.cases, row.same, row.documented, row.wrong)
        };
        text += &format!("{engine:<24} {:>6} {:>6} {:>12} {:>6}\n", "cases", "same", "documented", "wrong");
        for (subject, row) in rows {
            text += &line(&format!("  {subject}"), row);
            sum.add_row(row);
        }
        text += &line("  all", &sum);
        text.push('\n');
    }
    text
}

/// What is the same, and behind a plus what differs as documented; `92 + 6`. What is wrong says so.
fn cell(row: &Row) -> String {
    let documented = if row.documented > 0 { format!(" + {}", row.documented) } else { String::new() };
    let wrong = if row.wrong > 0 { format!(", {} wrong", row.wrong) } else { String::new() };
    format!("{}{documented}{wrong}", row.same)
}

/// The table for a README: a column for each engine, a line for each subject; what was built without privileges stands in
/// a table of its own.
pub fn markdown(rows: &Rows) -> String {
    let is_rootless = |label: &str| label.ends_with(ROOTLESS);
    let (without, with): (Vec<_>, Vec<_>) = rows.iter().partition(|(label, _)| is_rootless(label));
    let tables = [with, without].into_iter().filter(|columns| !columns.is_empty());
    tables.map(|columns| markdown_table(&columns)).collect::<Vec<_>>().join("\n")
}

fn markdown_table(columns: &[(&String, &BTreeMap<String, Row>)]) -> String {
    let subjects: BTreeSet<&String> = columns.iter().flat_map(|(_, rows)| rows.keys()).collect();
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut text = line("subject", columns.iter().map(|(label, _)| (*label).clone()).collect());
    text += &format!("|---{}|\n", "|---".repeat(columns.len()));
    for subject in subjects {
        let cells = columns.iter().map(|(_, rows)| rows.get(subject).map(cell).unwrap_or_default());
        text += &line(subject, cells.collect());
    }
    let sums = columns.iter().map(|(_, rows)| {
        let mut sum = Row::default();
        rows.values().for_each(|row| sum.add_row(row));
        format!("**{}**", cell(&sum))
    });
    text += &line("**all**", sums.collect());
    text
}

pub fn json(checked: &[Checked]) -> Value {
    Value::Array(checked.iter().map(Checked::json).collect())
}
