//! Pure: two outcomes in, the differences out; and whether a native result is what its case says.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::corpus::{Case, Expectation, Relation};
use crate::side::Outcome;

/// The most characters of a value that are shown.
const MOST: usize = 300;

/// One place where two outcomes differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Where: `image.config.Env[2]`, `image.tree[/etc/x].mode`.
    pub field: String,
    /// `None` where there is nothing on that side.
    pub native: Option<String>,
    pub subject: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A whole image on one side alone would fill the screen.
        let show = |side: &Option<String>| match side {
            Some(value) if value.chars().count() > MOST => {
                format!("{}…", value.chars().take(MOST).collect::<String>())
            }
            Some(value) => value.clone(),
            None => "nothing".to_owned(),
        };
        write!(f, "{}: {} -> {}", self.field, show(&self.native), show(&self.subject))
    }
}

/// All differences between the engine's outcome and the subject's, with `messages` those that the case asks for included.
pub fn compare(case: &Case, native: &Outcome, subject: &Outcome, messages: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    diff("", &native.facts, &subject.facts, &mut found);
    let failed = [native, subject].iter().all(|outcome| outcome.facts["exit"] != 0);
    // What a build has written before it failed depends on where it noticed.
    let early = |difference: &Difference| {
        let written = ["written", "files"].iter().any(|name| difference.field.starts_with(name));
        failed && written && matches!(difference.subject.as_deref(), None | Some("\"missing\""))
    };
    found.retain(|difference| !is_tidier(difference) && !is_same_name(difference) && !early(difference));
    for message in case.messages.iter().filter(|message| messages && !says(subject, message)) {
        found.push(Difference { field: "message".to_owned(), native: Some(quoted(message)), subject: None });
    }
    found
}

/// An engine leaves its working container and what belongs to it where a build fails; to clean up is no fault. What a later
/// build is to find is another matter.
fn is_tidier(difference: &Difference) -> bool {
    let number = |side: &Option<String>| side.as_deref().map_or(Some(0), |text| text.parse::<usize>().ok());
    let left = ["containers", "mounts", "tmp"].iter().any(|name| {
        difference
            .field
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    let fewer =
        matches!((number(&difference.native), number(&difference.subject)), (Some(n), Some(s)) if s < n);
    left && fewer && !difference.field.contains("buildah-cache")
}

/// A hit is the same image as that of an earlier build, which the engine, asked not to use its cache, builds anew: the names
/// of both then stand for the one.
fn is_same_name(difference: &Difference) -> bool {
    let builds = |side: &Option<String>| -> Option<BTreeSet<String>> {
        let text = side.as_deref()?.strip_prefix("\"<of build ")?.strip_suffix(">\"")?;
        Some(text.split(' ').map(str::to_owned).collect())
    };
    difference.field.starts_with("names")
        && builds(&difference.native)
            .zip(builds(&difference.subject))
            .is_some_and(|(native, subject)| native.is_subset(&subject))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn says(outcome: &Outcome, message: &str) -> bool {
    outcome.said.contains(message)
}

fn diff(path: &str, native: &Value, subject: &Value, found: &mut Vec<Difference>) {
    if native == subject {
        return;
    }
    match (native, subject) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let path = member(path, key);
                match (ours.get(key), theirs.get(key)) {
                    (Some(native), Some(subject)) => diff(&path, native, subject, found),
                    (native, subject) => found.push(difference(&path, native, subject)),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => diff_arrays(path, ours, theirs, found),
        _ => found.push(difference(path, Some(native), Some(subject))),
    }
}

/// One entry too many must not make all that follow differ: what both lists have in front and behind is left out.
fn diff_arrays(path: &str, ours: &[Value], theirs: &[Value], found: &mut Vec<Difference>) {
    let front = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let (ours, theirs) = (&ours[front..], &theirs[front..]);
    let back = ours.iter().rev().zip(theirs.iter().rev()).take_while(|(a, b)| a == b).count();
    let (ours, theirs) = (&ours[..ours.len() - back], &theirs[..theirs.len() - back]);
    for index in 0..ours.len().max(theirs.len()) {
        let path = format!("{path}[{}]", front + index);
        match (ours.get(index), theirs.get(index)) {
            (Some(native), Some(subject)) => diff(&path, native, subject, found),
            (native, subject) => found.push(difference(&path, native, subject)),
        }
    }
}

fn difference(path: &str, native: Option<&Value>, subject: Option<&Value>) -> Difference {
    let show = |value: Option<&Value>| value.map(Value::to_string);
    Difference { field: path.to_owned(), native: show(native), subject: show(subject) }
}

fn member(path: &str, key: &str) -> String {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key}]"),
    }
}

/// What is wrong with a native result: the case would not test what it says.
pub fn broken_expectations(case: &Case, native: &Outcome) -> Vec<String> {
    let mut broken = Vec::new();
    let exit = native.facts["exit"].as_i64().unwrap_or(-1);
    if let Some(expected) = case.exit.filter(|expected| exit != i64::from(*expected)) {
        broken.push(format!("exit code {exit}, the case expects {expected}"));
    }
    let missing = case.messages.iter().filter(|message| !says(native, message));
    broken.extend(missing.map(|message| format!("does not say {}", quoted(message))));
    for Expectation { path, relation, value } in &case.expectations {
        let found = look_up(&native.facts, path);
        let holds = match relation {
            Relation::Equal => found.is_some_and(|found| plain(found) == *value),
            Relation::Contains => found.is_some_and(|found| holds_text(found, value)),
            Relation::Lacks => found.is_none_or(|found| !holds_text(found, value)),
        };
        if !holds {
            let is: String = found.map_or("nothing".to_owned(), plain).chars().take(MOST).collect();
            broken.push(format!("{path} is {is}, the case expects {relation:?} {value}"));
        }
    }
    broken
}

/// A string as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn holds_text(value: &Value, text: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| holds_text(item, text)),
        Value::Object(members) => {
            members.keys().any(|key| key.contains(text))
                || members.values().any(|value| holds_text(value, text))
        }
        _ => plain(value).contains(text),
    }
}

/// The value at `config.Env[0]` or `tree[/a/b].mode`: within the image, or from the top where the image has no such member.
fn look_up<'a>(facts: &'a Value, path: &str) -> Option<&'a Value> {
    let image = &facts["image"];
    let parts = split_path(path);
    let top = if image.get(parts.first()?).is_some() || facts.get(parts.first()?).is_none() {
        image
    } else {
        facts
    };
    parts.iter().try_fold(top, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

fn split_path(path: &str) -> Vec<String> {
    let (mut parts, mut part, mut inside) = (Vec::new(), String::new(), false);
    for c in path.chars() {
        match c {
            '[' if !inside => inside = true,
            ']' if inside => inside = false,
            '.' if !inside => {}
            _ => {
                part.push(c);
                continue;
            }
        }
        if !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}
