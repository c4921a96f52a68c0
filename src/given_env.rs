//! `--env` with an engine before 1.29, which sets the variables in each image that it commits, and nowhere else.
//!
//! Measured on 1.28 (`StageExecutor.commit` in buildah's `stage_executor.go`): what stands in the base, an earlier stage too, is
//! the stage's own from its start; a command also sees what the commit before it has set, with `--layers` that is any
//! instruction's; expansion does not. The values may name variables. Later engines begin each stage with an ENV.

use crate::containerfile::Scope;

/// The variables as the commits behind these instructions leave them, by name and in the config's order.
pub fn committed<'a>(
    entries: &[String],
    scopes: impl IntoIterator<Item = &'a Scope>,
) -> Vec<(String, String)> {
    let mut last: Vec<(String, String)> = Vec::new();
    for scope in scopes {
        let mut now: Vec<(String, String)> = Vec::new();
        for entry in entries {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            let known = |name: &str| {
                let own = scope.stage_env().get(name);
                own.or_else(|| value_in(&last, name)).or_else(|| scope.env().get(name))
            };
            let value = expanded(value, &|name| value_in(&now, name).or_else(|| known(name)));
            now.retain(|(other, _)| other != name);
            now.push((name.to_owned(), value));
        }
        last = now;
    }
    last
}

fn value_in<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// As Go's `os.Expand`; a name without a value stands for itself.
fn expanded<'a>(text: &str, value_of: &dyn Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let (name, length) = name_of(behind);
        match name {
            Some(name) => out.push_str(value_of(name).unwrap_or(name)),
            None if length == 0 => out.push('$'),
            // Bad syntax is left out.
            None => {}
        }
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

/// The name behind a `$`, and how much of the text it takes.
fn name_of(text: &str) -> (Option<&str>, usize) {
    let is_special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    let mut characters = text.chars();
    match characters.next() {
        Some('{') => {
            let special = characters.next().is_some_and(is_special) && characters.next() == Some('}');
            match text.find('}') {
                _ if special => (text.get(1..2), 3),
                Some(end) if end > 1 => (text.get(1..end), end + 1),
                Some(end) => (None, end + 1),
                None => (None, 1),
            }
        }
        Some(first) if is_special(first) => (text.get(..1), 1),
        _ => {
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
            ((end > 0).then(|| &text[..end]), end)
        }
    }
}

/// A config's environment with these in it: each moves to the end, as the engine sets them.
pub fn put_into(env: &mut Vec<String>, given: &[(String, String)]) {
    for (name, value) in given {
        env.retain(|entry| entry.split('=').next() != Some(name));
        env.push(format!("{name}={value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_expanded_as_go_does() {
        let value_of = |name: &str| match name {
            "A" => Some("1"),
            "B_2" => Some("two"),
            _ => None,
        };
        for (text, expected) in [
            ("$A-${B_2}x", "1-twox"),
            ("$NOPE ${NOPE}", "NOPE NOPE"),
            ("$1a ${2} $$A", "1a 2 $A"),
            ("a$ $/ $", "a$ $/ $"),
            ("${} ${A", " A"),
            ("é$Aé", "é1é"),
        ] {
            assert_eq!(expanded(text, &value_of), expected, "{text}");
        }
    }

    #[test]
    fn each_variable_stands_behind_those_that_the_file_has_set() {
        let mut env = ["PATH=/bin", "E=file", "KEEP=1"].map(str::to_owned).to_vec();
        put_into(&mut env, &[("E".into(), "given".into()), ("F".into(), String::new())]);
        assert_eq!(env, ["PATH=/bin", "KEEP=1", "E=given", "F="]);
    }
}
