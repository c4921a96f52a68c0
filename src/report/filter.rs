//! `--filter KEY=VALUE`: those of one key are alternatives, those of different keys hold together.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use jiff::Timestamp;

/// Filters by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    wanted: BTreeMap<String, Vec<String>>,
}

impl Filters {
    /// Reads filters of these keys.
    ///
    /// # Errors
    /// When a filter has no value or an unknown key.
    pub fn parse(texts: &[String], keys: &[&str]) -> anyhow::Result<Self> {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                anyhow!("--filter {text}: write KEY=VALUE; the keys are {}", keys.join(", "))
            })?;
            if !keys.contains(&key) {
                bail!("--filter {text}: there is no filter `{key}`; the keys are {}", keys.join(", "));
            }
            wanted.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self { wanted })
    }

    /// The values of a key.
    pub fn values(&self, key: &str) -> &[String] {
        self.wanted.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether a key is not asked for, or one of its values matches.
    pub fn allows(&self, key: &str, matches: impl Fn(&str) -> bool) -> bool {
        self.wanted.get(key).is_none_or(|values| values.iter().any(|value| matches(value)))
    }
}

/// Whether a text is meant: equal, or by `*` at its ends.
pub fn meant(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => text.contains(pattern.trim_matches('*')),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => pattern == text,
    }
}

/// Whether a name of an image is meant: whole, without its tag, or by its last part.
pub fn names_image(pattern: &str, name: &str) -> bool {
    let repository = crate::names::repository(name);
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    [name.to_owned(), repository.to_owned(), last(name), last(repository)]
        .iter()
        .any(|name| meant(pattern, name))
}

/// A time that is written as such, or as an age: `90m`, `24h`, `7d`, `2w`.
pub fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        return date.to_zoned(jiff::tz::TimeZone::system()).ok().map(|zoned| zoned.timestamp());
    }
    now.checked_sub(age(text)?).ok()
}

/// A duration as people write it: a number with s, m, h, d or w, also several (`1h30m`).
pub fn age(text: &str) -> Option<std::time::Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then(|| std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_key_are_alternatives_and_an_unknown_key_is_refused() {
        let filters = Filters::parse(&["a=1".into(), "a=2".into()], &["a", "b"]).unwrap();
        assert!(filters.allows("a", |v| v == "2") && filters.allows("b", |_| false));
        assert!(!filters.allows("a", |v| v == "3"));
        let error = Filters::parse(&["c=1".into()], &["a", "b"]).unwrap_err().to_string();
        assert_eq!(error, "--filter c=1: there is no filter `c`; the keys are a, b");
    }

    #[test]
    fn ages_and_times_are_read() {
        for (text, seconds) in [
            ("90m", Some(5400)),
            ("1h30m", Some(5400)),
            ("2w", Some(1_209_600)),
            ("7", None),
            ("", None),
            ("3x", None),
        ] {
            assert_eq!(age(text).map(|age| age.as_secs()), seconds, "{text}");
        }
        let now: Timestamp = "2024-05-02T00:00:00Z".parse().unwrap();
        assert_eq!(time("24h", now).unwrap().to_string(), "2024-05-01T00:00:00Z");
        assert_eq!(time("2024-01-01T00:00:00Z", now).unwrap().to_string(), "2024-01-01T00:00:00Z");
    }

    #[test]
    fn an_image_is_meant_by_any_part_of_its_name() {
        let name = "quay.io/me/app:1";
        for pattern in ["quay.io/me/app:1", "quay.io/me/app", "app:1", "app", "quay.io/*", "*app:1"] {
            assert!(names_image(pattern, name), "{pattern}");
        }
        assert!(!names_image("ap", name) && !names_image("me", name));
    }
}
