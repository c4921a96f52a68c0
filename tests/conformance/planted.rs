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

/// Runs each wrapper on its case; a result is wrong where the error is not reported, or something else is as well.
pub fn check(run: &Run, options: &Options, cases: &[Case]) -> Result<Vec<Checked>> {
    let mut all = Vec::new();
    for planted in read()? {
        let wrapper = home().join("planted").join(&planted.wrapper);
        let mut options = options.clone();
        options.subject = wrapper.to_string_lossy().into_owned();
        options.mode = Some(planted.mode);
        options.quiet = true;
        let case: Vec<Case> = cases.iter().filter(|case| case.id() == planted.case).cloned().collect();
        ensure!(!case.is_empty(), "there is no case {}", planted.case);
        for mut checked in run.check(&options, &case)? {
            let found = checked.wrong.iter().any(|line| differences::matches(&planted.line, line));
            checked.name = format!("{} by {}", checked.name, planted.wrapper);
            checked.wrong = match found {
                true => Vec::new(),
                false => {
                    vec![format!("not reported: {}", planted.line), format!("reported: {:?}", checked.wrong)]
                }
            };
            if options.verbose || !checked.wrong.is_empty() {
                eprintln!("{}", checked.text());
            }
            all.push(checked);
        }
    }
    Ok(all)
}
