//! The part of Go templates that people write behind `--format`: fields, `json`, `len`, `index`, `join`, `upper`,
//! `lower`, pipes, and `table ` in front for columns.
//!
//! A field is found whatever its case and underscores: `{{.build_id}}` and `{{.BuildID}}` are one.

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::table::table;
use crate::visible::visible;

/// A template, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
    columns: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value(Vec<Vec<Word>>),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    Field(Vec<String>),
    Literal(Value),
    Function(String),
}

impl Template {
    /// Reads a template. As podman has it, `\t` and `\n` may be written out.
    ///
    /// # Errors
    /// When an action is not closed, or uses what is not supported.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (columns, text) = match text.strip_prefix("table") {
            Some(rest) if rest.starts_with([' ', '\t']) => (true, rest.trim_start()),
            _ => (false, text),
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, action)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let Some((action, behind)) = action.split_once("}}") else {
                bail!("the template `{text}` has `{{{{` without `}}}}`");
            };
            let action = action.trim_start_matches('-').trim_end_matches('-').trim();
            let pipe = action.split('|').map(words).collect::<anyhow::Result<Vec<_>>>()?;
            if pipe.iter().any(Vec::is_empty) {
                bail!("the template `{text}` has an action without a field; write {{{{.name}}}}");
            }
            parts.push(Part::Value(pipe));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self { parts, columns })
    }

    /// Fills in one value, without a line end.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn fill(&self, value: &Value) -> anyhow::Result<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                // JSON is exact.
                Part::Value(pipe) if ends_in_json(pipe) => out.push_str(&shown(&evaluate(pipe, value)?)),
                Part::Value(pipe) => out.push_str(&visible(&shown(&evaluate(pipe, value)?))),
            }
        }
        Ok(out)
    }

    /// Fills in a line for each value, in columns with headings where the template begins with `table`.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn rows(&self, values: &[Value], headings: bool) -> anyhow::Result<String> {
        let lines = values.iter().map(|value| self.fill(value)).collect::<anyhow::Result<Vec<_>>>()?;
        if !self.columns {
            return Ok(lines.iter().map(|line| format!("{line}\n")).collect());
        }
        let heading = self.heading();
        let heading: Vec<&str> = heading.split('\t').collect();
        let rows: Vec<Vec<String>> =
            lines.iter().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
        let drawn = table(&heading, &rows);
        Ok(if headings {
            drawn
        } else {
            drawn.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
        })
    }

    fn heading(&self) -> String {
        let name = |pipe: &Vec<Vec<Word>>| {
            pipe.iter().flatten().rev().find_map(|word| match word {
                Word::Field(path) => path.last().map(|name| spaced(name)),
                _ => None,
            })
        };
        let text = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(pipe) => name(pipe).unwrap_or_default(),
        });
        text.collect()
    }
}

fn ends_in_json(pipe: &[Vec<Word>]) -> bool {
    pipe.last().is_some_and(|command| command.contains(&Word::Function("json".to_owned())))
}

/// `BuildID` and `build_id` as a heading: `BUILD ID`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    let mut before_is_lower = false;
    for character in name.chars() {
        if character.is_uppercase() && before_is_lower || character == '_' {
            out.push(' ');
        }
        if character != '_' {
            out.extend(character.to_uppercase());
        }
        before_is_lower = character.is_lowercase();
    }
    out
}

fn words(action: &str) -> anyhow::Result<Vec<Word>> {
    let mut found = Vec::new();
    let mut rest = action.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '`'));
        let (word, behind) = match quote {
            Some(quote) => {
                let (word, behind) = rest[1..]
                    .split_once(quote)
                    .ok_or_else(|| anyhow!("`{action}` has an open quotation mark"))?;
                found.push(Word::Literal(word.into()));
                ("", behind)
            }
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        rest = behind.trim_start();
        if word.is_empty() {
            continue;
        }
        found.push(if let Some(path) = word.strip_prefix('.') {
            Word::Field(path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        } else if let Ok(number) = word.parse::<i64>() {
            Word::Literal(number.into())
        } else {
            match word {
                "json" | "len" | "index" | "join" | "upper" | "lower" => Word::Function(word.to_owned()),
                _ => bail!(
                    "`{word}` is not known in templates; there are fields (.name) and json, len, index, join, upper, lower"
                ),
            }
        });
    }
    Ok(found)
}

fn evaluate(pipe: &[Vec<Word>], root: &Value) -> anyhow::Result<Value> {
    let mut piped: Option<Value> = None;
    for command in pipe {
        let mut values = Vec::new();
        let mut function = None;
        for word in command {
            match word {
                Word::Function(name) => function = Some(name.as_str()),
                Word::Field(path) => values.push(field(root, path)?),
                Word::Literal(value) => values.push(value.clone()),
            }
        }
        values.extend(piped.take());
        piped = Some(call(function, values)?);
    }
    Ok(piped.unwrap_or_default())
}

fn call(function: Option<&str>, mut values: Vec<Value>) -> anyhow::Result<Value> {
    if values.is_empty() {
        bail!("`{}` needs a value, such as a field", function.unwrap_or_default());
    }
    let text = |value: &Value| shown(value);
    Ok(match function {
        None => values.remove(0),
        Some("json") => values[0].to_string().into(),
        Some("upper") => text(&values[0]).to_uppercase().into(),
        Some("lower") => text(&values[0]).to_lowercase().into(),
        Some("len") => match &values[0] {
            Value::Array(items) => items.len().into(),
            Value::Object(fields) => fields.len().into(),
            other => text(other).len().into(),
        },
        Some("join") => {
            let separator = values.get(1).map(text).unwrap_or_default();
            let items = values[0].as_array().map(|items| items.iter().map(text).collect::<Vec<_>>());
            items.unwrap_or_default().join(&separator).into()
        }
        Some(_) => {
            let mut value = values.remove(0);
            for at in values {
                value = match (&value, &at) {
                    (Value::Array(items), Value::Number(n)) => {
                        let n = n.as_u64().and_then(|n| usize::try_from(n).ok());
                        let item = n.and_then(|n| items.get(n)).cloned();
                        item.ok_or_else(|| {
                            anyhow!("index {at} is beyond the end: there are {}", items.len())
                        })?
                    }
                    (Value::Object(_), Value::String(name)) => field(&value, std::slice::from_ref(name))?,
                    _ => bail!("index {at}: nothing can be picked from {value}"),
                };
            }
            value
        }
    })
}

fn field(root: &Value, path: &[String]) -> anyhow::Result<Value> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let mut value = root;
    for name in path {
        let Some(fields) = value.as_object() else {
            if value.is_null() {
                return Ok(Value::Null);
            }
            bail!("there is no field .{name} in {}", super::table::one_line(&value.to_string(), 60));
        };
        let exact = fields.get(name);
        let found =
            exact.or_else(|| fields.iter().find(|(key, _)| plain(key) == plain(name)).map(|(_, v)| v));
        value = found.ok_or_else(|| {
            let known: Vec<String> = fields.keys().map(|key| format!(".{key}")).collect();
            anyhow!("there is no field .{name}; there are {}", known.join(", "))
        })?;
    }
    Ok(value.clone())
}

/// A value as Go prints it: strings bare, lists in brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &str) -> Result<String, String> {
        let value = json!({"build_id": "01-ab", "stages": [{"name": "a"}, {"name": "b"}], "names": ["x:1", "y"], "result": {"image": "f0"}, "error": null});
        Template::parse(template).and_then(|t| t.fill(&value)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn fields_functions_and_pipes_print_what_go_prints() {
        for (template, expected) in [
            ("{{.build_id}}", "01-ab"),
            ("{{ .BuildID }} {{.Result.Image}}", "01-ab f0"),
            ("{{.names}}|{{.error}}|", "[x:1 y]||"),
            ("{{json .result}}", "{\"image\":\"f0\"}"),
            ("{{.names | json}}", "[\"x:1\",\"y\"]"),
            ("{{len .stages}}", "2"),
            ("{{(index .stages 1)}}", "`(index` is not known in templates"),
            ("{{index .names 0 | upper}}", "X:1"),
            ("{{join .names \", \"}}", "x:1, y"),
            ("a\\tb", "a\tb"),
            ("{{.nosuch}}", "there is no field .nosuch; there are .build_id, .stages"),
            ("{{.build_id", "the template `{{.build_id` has `{{` without `}}`"),
            ("{{index .names 7}}", "index 7 is beyond the end: there are 2"),
        ] {
            let filled = filled(template).unwrap_or_else(|error| error);
            assert!(filled.starts_with(expected), "{template}: {filled}");
        }
    }

    #[test]
    fn a_template_that_begins_with_table_has_columns_and_headings() {
        let template = Template::parse("table {{.BuildID}}\\t{{.status}}").unwrap();
        let rows = [json!({"build_id": "1234567890", "status": "ok"})];
        assert_eq!(template.rows(&rows, true).unwrap(), "BUILD ID    STATUS\n1234567890  ok\n");
        assert_eq!(template.rows(&rows, false).unwrap(), "1234567890  ok\n");
    }
}
