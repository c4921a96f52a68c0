//! Reads a command line as the engines do, that is as Go's pflag does.
//!
//! Flags and the context stand in any order (podman's way; buildah wants flags first). Measured on
//! buildah 1.28, 1.39, 1.43 and podman 4.3, 5.4, 5.8, messages included: `-t x`, `-tx`, `-t=x` and
//! `--tag x`, `--tag=x` are the same; a switch takes a value behind `=` only; `-qf x` is `-q -f x`; a
//! value may start with a dash; `--` ends the flags.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::given::{BuildFlags, Given};
use super::go;
use super::table::{self, FlagSpec, Kind, ValueType};
use super::{UnknownKind, UsageError};

/// The flags that stand before the subcommand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leading {
    /// The engine's own.
    pub globals: Vec<Given>,
    /// Ours that count for every command: `--engine`.
    pub given: Vec<Given>,
    /// How many arguments they take up: the subcommand is the next one.
    pub length: usize,
}

impl Leading {
    /// Whether a switch of the engine's own is on: `help`, `version`.
    pub fn has(&self, name: &str) -> bool {
        let last = self.globals.iter().rfind(|given| given.name == name);
        last.is_some_and(|given| given.value.as_deref() == Some(OsStr::new("true")))
    }
}

/// Reads what stands before the subcommand, up to the first argument that is no flag.
pub fn parse_leading(args: &[OsString]) -> Result<Leading, UsageError> {
    let nothing = |_: &str| None;
    let mut reader = Reader::new(args, Scope::Leading, &nothing);
    reader.read()?;
    let length = reader.at;
    Ok(Leading { globals: reader.flags.globals, given: reader.flags.given, length })
}

/// Reads what stands behind `build`. `known` is asked about names that the table lacks.
pub fn parse_build(
    args: &[OsString],
    known: &dyn Fn(&str) -> Option<UnknownKind>,
) -> Result<BuildFlags, UsageError> {
    let mut reader = Reader::new(args, Scope::Build, known);
    reader.read()?;
    reader.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Leading,
    Build,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Build,
    Engine,
}

/// A flag that a name stands for.
struct Found {
    owner: Owner,
    name: Cow<'static, str>,
    spec: Option<&'static FlagSpec>,
    kind: Kind,
}

impl Found {
    fn row(owner: Owner, spec: &'static FlagSpec) -> Self {
        Self { owner, name: Cow::Borrowed(spec.name), spec: Some(spec), kind: spec.kind }
    }

    fn stands_alone(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::OptionalValue)
    }

    /// The flag as pflag names it in a message.
    fn shown(&self) -> String {
        match self.spec.and_then(|spec| spec.short) {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

struct Reader<'a> {
    args: &'a [OsString],
    at: usize,
    scope: Scope,
    known: &'a dyn Fn(&str) -> Option<UnknownKind>,
    flags: BuildFlags,
    positional: Vec<&'a OsString>,
    /// Flags without a value that have an argument behind them, which may have been meant as one.
    lone: Vec<(Cow<'static, str>, &'a OsString)>,
}

impl<'a> Reader<'a> {
    fn new(args: &'a [OsString], scope: Scope, known: &'a dyn Fn(&str) -> Option<UnknownKind>) -> Self {
        let flags = BuildFlags::default();
        Self { args, at: 0, scope, known, flags, positional: Vec::new(), lone: Vec::new() }
    }

    fn read(&mut self) -> Result<(), UsageError> {
        while let Some(arg) = self.args.get(self.at) {
            match arg.as_bytes() {
                b"--" => {
                    self.positional.extend(&self.args[self.at + 1..]);
                    self.at += 1;
                    break;
                }
                [b'-', b'-', name @ ..] => {
                    self.at += 1;
                    self.long(name)?;
                }
                [b'-', shorts @ ..] if !shorts.is_empty() => {
                    self.at += 1;
                    self.shorts(shorts)?;
                }
                _ if self.scope == Scope::Leading => break,
                _ => {
                    self.positional.push(arg);
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<BuildFlags, UsageError> {
        if self.positional.len() > 1 {
            let received = self.positional.len();
            let fault = format!("accepts at most 1 arg(s), received {received}");
            let meant = self.lone.iter().find(|(_, next)| self.positional.contains(next));
            let way_out = match meant {
                Some((name, value)) => {
                    let value = value.display();
                    format!("a value of --{name} stands behind `=`: --{name}={value}")
                }
                None => "build takes one context folder; names go to --tag, files to --file".to_owned(),
            };
            return Err(UsageError::new(fault).with_way_out(way_out));
        }
        self.flags.context = self.positional.pop().cloned();
        Ok(self.flags)
    }

    fn long(&mut self, token: &[u8]) -> Result<(), UsageError> {
        let written = || format!("--{}", String::from_utf8_lossy(token));
        if matches!(token.first(), None | Some(b'-' | b'=')) {
            let fault = UsageError::new(format!("bad flag syntax: {}", written()));
            return Err(fault.with_way_out("a flag is written --name, --name=value or -n"));
        }
        let equals = token.iter().position(|byte| *byte == b'=');
        let name = &token[..equals.unwrap_or(token.len())];
        let found = str::from_utf8(name).ok().and_then(|name| self.find_long(name));
        let Some(found) = found else {
            return Err(unknown_flag(&String::from_utf8_lossy(name), self.scope));
        };
        match equals {
            Some(equals) => self.set(found, Some(owned(&token[equals + 1..]))),
            None if found.stands_alone() => self.alone(found),
            None => {
                let missing = format!("flag needs an argument: {}", written());
                self.with_next(found, missing)
            }
        }
    }

    /// A group of short flags, `-qfx`: the first one with a value takes the rest.
    fn shorts(&mut self, group: &[u8]) -> Result<(), UsageError> {
        let mut rest = group;
        while let Some((first, tail)) = rest.split_first() {
            let shown = String::from_utf8_lossy(rest).into_owned();
            let Some(found) = self.find_short(char::from(*first)) else {
                return Err(unknown_short(char::from(*first), &shown, group));
            };
            match tail {
                // pflag takes `-t=` for the value `=`.
                [b'=', value @ ..] if !value.is_empty() => {
                    return self.set(found, Some(owned(value)));
                }
                _ if found.stands_alone() => self.alone(found)?,
                [] => {
                    let fault = format!("flag needs an argument: '{}' in -{shown}", shown_first(&shown));
                    return self.with_next(found, fault);
                }
                value => return self.set(found, Some(owned(value))),
            }
            rest = tail;
        }
        Ok(())
    }

    fn find_long(&self, name: &str) -> Option<Found> {
        let own = table::by_name(name).map(|spec| Found::row(Owner::Build, spec));
        let engine = table::global_by_name(name).map(|spec| Found::row(Owner::Engine, spec));
        match self.scope {
            Scope::Leading => engine.or(own.filter(|found| found.name == "engine")),
            Scope::Build => own.or(engine).or_else(|| self.ask(name)),
        }
    }

    fn find_short(&self, short: char) -> Option<Found> {
        match self.scope {
            Scope::Leading => table::global_by_short(short).map(|spec| Found::row(Owner::Engine, spec)),
            Scope::Build => table::by_short(short).map(|spec| Found::row(Owner::Build, spec)),
        }
    }

    fn ask(&self, name: &str) -> Option<Found> {
        let kind = match (self.known)(name)? {
            UnknownKind::Bool => Kind::Bool,
            UnknownKind::OptionalValue => Kind::OptionalValue,
            UnknownKind::Value => Kind::Value,
        };
        Some(Found { owner: Owner::Build, name: Cow::Owned(name.to_owned()), spec: None, kind })
    }

    fn alone(&mut self, found: Found) -> Result<(), UsageError> {
        if let Some(next) = self.args.get(self.at) {
            self.lone.push((found.name.clone(), next));
        }
        let value = (found.kind == Kind::Bool).then(|| OsString::from("true"));
        self.set(found, value)
    }

    fn with_next(&mut self, found: Found, missing: String) -> Result<(), UsageError> {
        let Some(value) = self.args.get(self.at) else {
            let value_name = found.spec.map_or("VALUE", |spec| spec.value_name);
            let way_out = format!("write --{}={value_name}", found.name);
            return Err(UsageError::new(missing).with_way_out(way_out));
        };
        self.at += 1;
        self.set(found, Some(value.clone()))
    }

    fn set(&mut self, found: Found, value: Option<OsString>) -> Result<(), UsageError> {
        let (value, parts) = match value {
            None => (None, Vec::new()),
            Some(value) => {
                let (value, parts) = checked(&found, value)?;
                (Some(value), parts)
            }
        };
        let Found { owner, name, spec, kind } = found;
        let uses = match owner {
            Owner::Build => &mut self.flags.given,
            Owner::Engine => &mut self.flags.globals,
        };
        uses.push(Given { name, spec, kind, value, parts });
        Ok(())
    }
}

/// The value as it is kept, and what is in it, when pflag would take it.
fn checked(found: &Found, value: OsString) -> Result<(OsString, Vec<OsString>), UsageError> {
    let refused = |cause: String| {
        let (shown, flag) = (go::quote(&value), go::quote(found.shown().as_ref()));
        UsageError::new(format!("invalid argument {shown} for {flag} flag: {cause}"))
    };
    match found.kind {
        Kind::Bool => {
            let on = go::parse_bool(&value).map_err(|cause| {
                let way_out = format!("write --{0} or --{0}=false", found.name);
                refused(cause).with_way_out(way_out)
            })?;
            let value = OsString::from(if on { "true" } else { "false" });
            return Ok((value.clone(), vec![value]));
        }
        Kind::CommaList => {
            let parts = go::split_list(&value).map_err(|cause| {
                refused(cause)
                    .with_way_out("quote a value with a comma or a quote in it as CSV does: \"a,b\"")
            })?;
            return Ok((value, parts));
        }
        Kind::OptionalValue | Kind::Value | Kind::Append => {}
    }
    let number = "write a whole number";
    match found.spec.map(|spec| spec.value_type) {
        Some(ValueType::Int) => {
            go::parse_int(&value).map_err(|cause| refused(cause).with_way_out(number))?;
        }
        Some(ValueType::Uint) => {
            go::parse_uint(&value).map_err(|cause| refused(cause).with_way_out(number))?;
        }
        _ => {}
    }
    Ok((value.clone(), vec![value]))
}

fn owned(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

fn shown_first(shown: &str) -> char {
    shown.chars().next().unwrap_or('?')
}

fn unknown_flag(name: &str, scope: Scope) -> UsageError {
    let fault = UsageError::new(format!("unknown flag: --{name}"));
    if scope == Scope::Leading && table::by_name(name).is_some() {
        return fault.with_way_out(format!("--{name} stands behind the command: build --{name}"));
    }
    match nearest(name) {
        Some(near) => fault.with_way_out(format!("did you mean --{near}?")),
        None => fault.with_way_out("neither we nor the installed engine have it: see build --help"),
    }
}

fn unknown_short(short: char, shown: &str, group: &[u8]) -> UsageError {
    let fault = UsageError::new(format!("unknown shorthand flag: '{short}' in -{shown}"));
    let word = String::from_utf8_lossy(group);
    let name = word.split('=').next().unwrap_or_default();
    if name.len() > 1 && table::by_name(name).or_else(|| table::global_by_name(name)).is_some() {
        return fault.with_way_out(format!("a long name has two dashes: --{name}"));
    }
    if table::global_by_short(short).is_some() {
        return fault.with_way_out(format!("-{short} stands before the command"));
    }
    fault.with_way_out("see build --help for the short forms")
}

/// The name that is spelled most alike, when one is near enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    let rows = table::FLAGS.iter().chain(table::GLOBALS).filter(|spec| !spec.hidden);
    let names = rows.flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]));
    let limit = 1 + name.len() / 5;
    names
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be added, dropped, replaced or swapped with the next.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1).min(rows[i][j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
