//! Pure: makes cases in which each two values of flags of the program's table occur together at least once.
//!
//! `pairs.txt` has the values, what cannot go together, and the flags that are left out with the reason: each flag of the
//! table stands there once. A greedy covering design, the same for the same seed, puts a few values into each case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use podman_stagecache::flags::{Engines, FLAGS};
use sha2::{Digest, Sha256};

use crate::corpus::{self, Case, Version, split_words};

/// The subject of these cases.
pub const SUBJECT: &str = "pairs";

/// So many values stand in a case: more of them and one error hides the others, fewer and there are too many cases.
const SIZE: usize = 12;

/// One way to give a flag.
#[derive(Clone, Debug)]
struct Value {
    flag: String,
    /// The lines that a case gets for it, `flags: --timestamp=0` and others.
    lines: Vec<String>,
    engines: Option<String>,
    since: Option<String>,
    before: Option<String>,
    /// Flags and `--flag=value`s with which it does not go.
    not_with: Vec<String>,
    /// Flags that the engine refuses beside it: what it says of the two is all that can be seen, so they stand alone.
    refused_with: Vec<String>,
    /// Where it fails natively, whatever else is given, it stands with one other value at a time.
    fails: bool,
}

/// What `pairs.txt` says.
struct Table {
    values: Vec<Value>,
    /// The files of each case, as the corpus has them.
    files: String,
}

/// The cases, drawn with the seed.
pub fn cases(path: &Path, seed: &str) -> Result<Vec<Case>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let table = read(&text).with_context(|| path.display().to_string())?;
    let mut cases = String::new();
    for (index, set) in design(&table.values, seed).iter().enumerate() {
        cases += &case_text(index, set, &table)?;
    }
    corpus::parse(SUBJECT, &cases)
}

/// The flags that any build may be given: values that need no file of their own, in every version.
pub fn plain_flags(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let table = read(&text).with_context(|| path.display().to_string())?;
    let mut flags = Vec::new();
    for value in &table.values {
        let limited =
            value.engines.is_some() || value.since.is_some() || value.before.is_some() || value.fails;
        if let [line] = value.lines.as_slice()
            && !limited
            && !line.contains('@')
            && let Some(words) = line.strip_prefix("flags: ")
        {
            flags.push(split_words(words)?);
        }
    }
    Ok(flags)
}

fn read(text: &str) -> Result<Table> {
    let (head, files) = text.split_once("\n== files\n").context("no `== files`")?;
    let mut values: Vec<Value> = Vec::new();
    let mut named = BTreeSet::new();
    for line in head.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(flag) = line.strip_prefix("== ") {
            let (flag, limits) = flag.split_once(' ').unwrap_or((flag, ""));
            let (flag, _) = flag.split_once('/').unwrap_or((flag, ""));
            named.insert(flag.to_owned());
            let mut value = Value {
                flag: flag.to_owned(),
                lines: Vec::new(),
                engines: None,
                since: None,
                before: None,
                not_with: Vec::new(),
                refused_with: Vec::new(),
                fails: false,
            };
            for limit in split_words(limits)? {
                match limit.split_once('=') {
                    Some(("engines", text)) => value.engines = Some(text.to_owned()),
                    Some(("since", text)) => value.since = Some(text.to_owned()),
                    Some(("before", text)) => value.before = Some(text.to_owned()),
                    Some(("not-with", text)) => value.not_with = text.split(',').map(str::to_owned).collect(),
                    Some(("refused-with", text)) => {
                        value.refused_with = text.split(',').map(str::to_owned).collect();
                    }
                    None if limit == "fails" => value.fails = true,
                    _ => bail!("unknown limit {limit}"),
                }
            }
            values.push(value);
        } else if let Some(rest) = line.strip_prefix("left out: ") {
            let (flag, reason) = rest.split_once(' ').with_context(|| format!("no reason: {line}"))?;
            ensure!(!reason.is_empty(), "no reason: {line}");
            named.insert(flag.to_owned());
        } else {
            let value = values.last_mut().with_context(|| format!("a line before the first flag: {line}"))?;
            value.lines.push(line.to_owned());
        }
    }
    let table: BTreeSet<String> = FLAGS.iter().map(|flag| flag.name.to_owned()).collect();
    let unknown: Vec<&String> = named.difference(&table).filter(|name| *name != "layers").collect();
    ensure!(unknown.is_empty(), "no flags of the table: {unknown:?}");
    let ours: BTreeSet<&str> =
        FLAGS.iter().filter(|flag| flag.engines == Engines::Ours).map(|flag| flag.name).collect();
    let missing: Vec<&String> =
        table.difference(&named).filter(|name| !ours.contains(name.as_str())).collect();
    ensure!(missing.is_empty(), "neither a value nor a reason to be left out: {missing:?}");
    Ok(Table { values, files: files.to_owned() })
}

/// Whether two values can stand in one case.
fn go_together(a: &Value, b: &Value) -> bool {
    let refuses = |a: &Value, b: &Value| a.not_with.contains(&b.flag);
    // Different programs, or no version that has both.
    let engines = a.engines.is_none() || b.engines.is_none() || a.engines == b.engines;
    let versions = |a: &Value, b: &Value| match (&a.before, &b.since) {
        (Some(before), Some(since)) => {
            let number = |text: &String| text.parse::<Version>().ok();
            number(since) < number(before)
        }
        _ => true,
    };
    a.flag != b.flag && !refuses(a, b) && !refuses(b, a) && engines && versions(a, b) && versions(b, a)
}

/// Whether a build with both of them comes to nothing.
fn fail_together(a: &Value, b: &Value) -> bool {
    let refuses = |a: &Value, b: &Value| a.fails || a.refused_with.contains(&b.flag);
    refuses(a, b) || refuses(b, a)
}

/// The engines and versions that all these values leave. A set says something of two of its values only where it is built
/// wherever the two of them can be.
fn limit<'a>(
    values: impl IntoIterator<Item = &'a Value> + Clone,
) -> (Option<&'a str>, Option<Version>, Option<Version>) {
    let version = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Version>().ok());
    (
        values.clone().into_iter().find_map(|value| value.engines.as_deref()),
        values.clone().into_iter().filter_map(|value| version(&value.since)).max(),
        values.into_iter().filter_map(|value| version(&value.before)).min(),
    )
}

/// Sets of values such that each two that go together stand in one set at least.
fn design<'a>(values: &'a [Value], seed: &str) -> Vec<Vec<&'a Value>> {
    let rank: Vec<[u8; 8]> = values
        .iter()
        .map(|value| {
            let digest = Sha256::digest(format!("{seed} {:?}", value.lines));
            digest[..8].try_into().expect("eight bytes of 32")
        })
        .collect();
    let mut open: BTreeSet<(usize, usize)> = (0..values.len())
        .flat_map(|a| (a + 1..values.len()).map(move |b| (a, b)))
        .filter(|(a, b)| go_together(&values[*a], &values[*b]))
        .collect();
    // How many of its pairs are still to be built.
    let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
    for (a, b) in &open {
        *wanted.entry(*a).or_default() += 1;
        *wanted.entry(*b).or_default() += 1;
    }
    let mut sets = Vec::new();
    while let Some((a, b)) =
        open.iter().max_by_key(|(a, b)| (wanted[a] + wanted[b], rank[*a], rank[*b])).copied()
    {
        let of_two = |a: usize, b: usize| limit([&values[a], &values[b]]);
        let whole = of_two(a, b);
        let mut set = vec![a, b];
        let size = if fail_together(&values[a], &values[b]) { 2 } else { SIZE };
        while set.len() < size {
            let gain = |value: usize| {
                let new = |one: usize| open.contains(&(value.min(one), value.max(one)));
                set.iter().filter(|one| new(**one) && of_two(value, **one) == whole).count()
            };
            let fits = |value: usize| {
                let goes =
                    |one: &Value| go_together(&values[value], one) && !fail_together(&values[value], one);
                limit([&values[a], &values[b], &values[value]]) == whole
                    && set.iter().all(|one| goes(&values[*one]))
            };
            let next = (0..values.len())
                .filter(|value| !set.contains(value) && fits(*value))
                .map(|value| ((gain(value), wanted.get(&value).copied().unwrap_or(0), rank[value]), value))
                .max();
            match next {
                Some(((gain, ..), value)) if gain > 0 => set.push(value),
                _ => break,
            }
        }
        for (index, a) in set.iter().enumerate() {
            for b in &set[index + 1..] {
                if of_two(*a, *b) == whole && open.remove(&(*a.min(b), *a.max(b))) {
                    for one in [a, b] {
                        *wanted.get_mut(one).expect("of an open pair") -= 1;
                    }
                }
            }
        }
        sets.push(set.into_iter().map(|value| &values[value]).collect());
    }
    sets
}

/// The set as a case of the corpus. Its name is short; what it gives stands in its text and in its flags.
fn case_text(index: usize, set: &[&Value], table: &Table) -> Result<String> {
    let mut lines: Vec<&str> = set.iter().flat_map(|value| &value.lines).map(String::as_str).collect();
    let flags: Vec<&str> = set.iter().map(|value| value.flag.as_str()).collect();
    let has = |name: &str| lines.iter().any(|line| line.starts_with(name));
    let mut extra = Vec::new();
    if !has("modes:") {
        extra.push(if index.is_multiple_of(2) {
            "modes: layers".to_owned()
        } else {
            "modes: squashed".to_owned()
        });
    }
    if !has("exit:") {
        extra.push("exit: any".to_owned());
    }
    let (engines, since, before) = limit(set.iter().copied());
    extra.extend(engines.map(|engines| format!("engines: {engines}")));
    extra.extend(since.map(|Version(major, minor)| format!("since: {major}.{minor}")));
    extra.extend(before.map(|Version(major, minor)| format!("before: {major}.{minor}")));
    lines.extend(extra.iter().map(String::as_str));
    let name = format!("{index:03}-{}", flags.join("+"));
    Ok(format!("== {name}\n{}\n{}\n", lines.join("\n"), table.files))
}
