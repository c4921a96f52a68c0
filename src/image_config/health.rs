//! HEALTHCHECK: `healthcheck` in imagebuilder's `dispatchers.go`, with the flags of Go's `flag` package.

use serde_json::{Map, Value, json};

use crate::containerfile::{Instruction, InstructionError, Rules};

/// What a HEALTHCHECK leaves in docker's config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HealthCheck {
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

impl HealthCheck {
    pub(super) fn new(
        instruction: &Instruction,
        words: Vec<String>,
        rules: Rules,
    ) -> Result<Self, InstructionError> {
        let mut words = words.into_iter();
        let kind = words.next().ok_or(InstructionError::AtLeastOne("HEALTHCHECK"))?.to_uppercase();
        let command: Vec<String> = words.collect();
        if kind == "NONE" {
            if !command.is_empty() {
                return Err(InstructionError::HealthcheckNone);
            }
            return Ok(Self { test: vec![kind], ..Self::default() });
        }
        let mut check = Self::default();
        check.read_flags(instruction, rules)?;
        if kind != "CMD" {
            return Err(InstructionError::HealthcheckType(kind));
        }
        if command.is_empty() {
            return Err(InstructionError::HealthcheckCommand);
        }
        let kind = if instruction.json.is_some() { "CMD" } else { "CMD-SHELL" };
        check.test = std::iter::once(kind.to_owned()).chain(command).collect();
        Ok(check)
    }

    /// Reads what a base image's config has.
    pub(super) fn of_config(config: &Map<String, Value>) -> Self {
        let number = |name: &str| config.get(name).and_then(Value::as_i64).unwrap_or_default();
        let test = config.get("Test").and_then(Value::as_array).into_iter().flatten();
        Self {
            test: test.filter_map(Value::as_str).map(str::to_owned).collect(),
            interval: number("Interval"),
            timeout: number("Timeout"),
            start_period: number("StartPeriod"),
            start_interval: number("StartInterval"),
            retries: number("Retries"),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut value = Map::new();
        if !self.test.is_empty() {
            value.insert("Test".to_owned(), json!(self.test));
        }
        for (name, number) in [
            ("Interval", self.interval),
            ("Timeout", self.timeout),
            ("StartPeriod", self.start_period),
            ("StartInterval", self.start_interval),
            ("Retries", self.retries),
        ] {
            if number != 0 {
                value.insert(name.to_owned(), json!(number));
            }
        }
        Value::Object(value)
    }

    /// Go's `flag` package takes the next word where `=value` is missing, which here is another flag.
    fn read_flags(&mut self, instruction: &Instruction, rules: Rules) -> Result<(), InstructionError> {
        let mut flags = instruction.flags.iter();
        while let Some(flag) = flags.next() {
            let known = match flag.name.as_str() {
                "interval" | "timeout" | "start-period" | "retries" => true,
                "start-interval" => rules > Rules::Buildah28,
                _ => false,
            };
            if !known {
                return Err(InstructionError::Flag { keyword: "HEALTHCHECK", flag: flag.word() });
            }
            let refused = |expected| InstructionError::FlagValue { flag: flag.word(), expected };
            let value = flag.value.clone().or_else(|| flags.next().map(|next| next.word()));
            let value = value.ok_or_else(|| refused("it needs one"))?;
            let field = match flag.name.as_str() {
                "retries" => {
                    self.retries = retries(&value).map_err(refused)?;
                    continue;
                }
                "interval" => &mut self.interval,
                "timeout" => &mut self.timeout,
                "start-period" => &mut self.start_period,
                _ => &mut self.start_interval,
            };
            *field = interval(&value).map_err(refused)?;
        }
        Ok(())
    }
}

fn retries(text: &str) -> Result<i64, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse::<i32>() {
        Ok(number) if number >= 1 => Ok(number.into()),
        Ok(_) => Err("it must be at least 1"),
        Err(_) => Err("it must be a number"),
    }
}

/// Nanoseconds; an empty value is none.
fn interval(text: &str) -> Result<i64, &'static str> {
    match (text, nanoseconds(text)) {
        ("", _) => Ok(0),
        (_, Some(number)) if number > 0 => Ok(number),
        (_, Some(_)) => Err("it must be positive"),
        (_, None) => Err("it must be a duration like 1m30s"),
    }
}

/// A duration as Go's `time.ParseDuration` reads it.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let unit_end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()?.into() };
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10_i128.pow(fraction.len().try_into().ok()?);
        let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total += whole * unit + fraction * unit / scale;
        if total > i64::MAX.into() {
            return None;
        }
        rest = behind;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("1us2ns", Some(1_002)),
            ("1µs", Some(1_000)),
            ("0", Some(0)),
            ("-1s", Some(-1_000_000_000)),
            ("1", None),
            (".s", None),
            ("", None),
            ("-", None),
            ("s", None),
            ("1d", None),
            ("1 s", None),
            ("9999999999h", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }
}
