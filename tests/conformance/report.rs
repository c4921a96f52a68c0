//! Draws the results: a table by engine and subject, the differences of what is wrong, or all of it as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compare::Difference;

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

    fn json(&self) -> Value {
        let verdict = match (self.wrong.is_empty(), self.documented) {
            (false, _) => "wrong",
            (true, 0) => "same",
            (true, _) => "documented",
        };
        json!({
            "engine": self.engine, "subject": self.subject, "name": self.name, "mode": self.mode, "cache": self.cache,
            "verdict": verdict, "wrong": self.wrong,
            "differences": self.differences.iter().map(|difference| json!({
                "field": difference.field, "native": difference.native, "subject": difference.subject,
            })).collect::<Vec<_>>(),
            "native_seconds": self.native_seconds, "subject_seconds": self.subject_seconds,
        })
    }
}

#[derive(Default)]
struct Row {
    cases: usize,
    same: usize,
    documented: usize,
    wrong: usize,
}

impl Row {
    fn add(&mut self, checked: &Checked) {
        self.cases += 1;
        match (checked.wrong.is_empty(), checked.documented) {
            (false, _) => self.wrong += 1,
            (true, 0) => self.same += 1,
            (true, _) => self.documented += 1,
        }
    }
}

/// The table: a block for each engine, a line for each subject, and a line of sums.
pub fn table(checked: &[Checked]) -> String {
    let mut blocks: BTreeMap<&str, BTreeMap<&str, Row>> = BTreeMap::new();
    for one in checked {
        blocks.entry(&one.engine).or_default().entry(&one.subject).or_default().add(one);
    }
    let mut text = String::new();
    for (engine, rows) in blocks {
        let mut sum = Row::default();
        let line = |name: &str, row: &Row| {
            format!("{name:<24} {:>6} {:>6} {:>12} {:>6}\n", row.cases, row.same, row.documented, row.wrong)
        };
        text += &format!("{engine:<24} {:>6} {:>6} {:>12} {:>6}\n", "cases", "same", "documented", "wrong");
        for (subject, row) in &rows {
            text += &line(&format!("  {subject}"), row);
            sum.cases += row.cases;
            sum.same += row.same;
            sum.documented += row.documented;
            sum.wrong += row.wrong;
        }
        text += &line("  all", &sum);
        text.push('\n');
    }
    text
}

pub fn json(checked: &[Checked]) -> Value {
    Value::Array(checked.iter().map(Checked::json).collect())
}
