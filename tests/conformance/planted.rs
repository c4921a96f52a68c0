//! Proof that the suite finds errors: wrappers around the engine that do one thing wrong each, and what must be reported.
//!
//! `planted/expected.txt` has a line for each: the wrapper, the case, the mode, and the line that the suite prints.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::corpus::{Case, Mode};
use crate::options::Options;
use crate::report::Checked;
use crate::{Run, differences, home};

/// One planted error.
struct Planted {
    wrapper: String,
    case: String,
    mode: Mode,
    line: String,
}

fn read() -> Result<Vec<Planted>> {
    let path = home().join("planted/expected.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut next = || words.next().with_context(|| format!("too short: {line}"));
            Ok(Planted { wrapper: next()?, case: next()?, mode: next()?.parse()?, line: next()? })
        })
        .collect()
}

/// Runs each wrapper on its case; a result is wrong where a line is not reported, is reported more than once, or is not
/// the error's.
pub fn check(run: &Run, options: &Options, cases: &[Case]) -> Result<Vec<Checked>> {
    let mut errors: Vec<Vec<Planted>> = Vec::new();
    for planted in read()? {
        let is_same = |one: &Vec<Planted>| {
            (&one[0].wrapper, &one[0].case, one[0].mode) == (&planted.wrapper, &planted.case, planted.mode)
        };
        match errors.iter_mut().find(|one| is_same(one)) {
            Some(error) => error.push(planted),
            None => errors.push(vec![planted]),
        }
    }
    let mut all = Vec::new();
    for error in errors {
        let Planted { wrapper, case, mode, .. } = &error[0];
        let mut options = options.clone();
        options.subject = home().join("planted").join(wrapper).to_string_lossy().into_owned();
        options.mode = Some(*mode);
        options.quiet = true;
        let cases: Vec<Case> = cases.iter().filter(|one| one.id() == *case).cloned().collect();
        ensure!(!cases.is_empty(), "there is no case {case}");
        for mut checked in run.check(&options, &cases)? {
            // What a failed build said is not a report of a difference.
            let mut reported: Vec<String> =
                checked.wrong.iter().filter(|line| !line.starts_with("  | ")).cloned().collect();
            checked.name = format!("{} by {wrapper}", checked.name);
            checked.wrong = Vec::new();
            for planted in &error {
                match reported.iter().position(|line| differences::matches(&planted.line, line)) {
                    Some(found) => drop(reported.remove(found)),
                    None => checked.wrong.push(format!("not reported: {}", planted.line)),
                }
            }
            checked
                .wrong
                .extend(reported.into_iter().map(|line| format!("reported, but not planted: {line}")));
            if options.verbose || !checked.wrong.is_empty() {
                eprintln!("{}", checked.text());
            }
            all.push(checked);
        }
    }
    Ok(all)
}
