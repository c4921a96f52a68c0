//! Holds JSON to a schema of `contrib/schema`, as far as those schemas go.

#![allow(dead_code)] // No test uses all of it.

use serde_json::Value;

/// What a value breaks, by the keywords that the schema uses.
pub fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let fields = schema.as_object().unwrap();
    for (keyword, wanted) in fields {
        match keyword.as_str() {
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is in the schema"));
                found.extend(faults(root, target, value, at));
            }
            "anyOf" => {
                let each: Vec<_> =
                    wanted.as_array().unwrap().iter().map(|one| faults(root, one, value, at)).collect();
                if each.iter().all(|faults| !faults.is_empty()) {
                    found.push(format!("{at}: {value} is none of the alternatives"));
                }
            }
            "type" => {
                let names: Vec<&str> = match wanted {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.contains(&type_of(value)) {
                    found.push(format!("{at}: {value} is not {names:?}"));
                }
            }
            "const" if wanted != value => found.push(format!("{at}: {value} is not {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                found.push(format!("{at}: {value} is new"))
            }
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    found.push(format!("{at}: {value} is not {wanted}"));
                }
            }
            "required" => {
                let missing = wanted.as_array().unwrap().iter().filter_map(Value::as_str);
                found.extend(
                    missing
                        .filter(|name| value.get(name).is_none())
                        .map(|name| format!("{at}.{name} is missing")),
                );
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    match (wanted.get(name), fields.get("additionalProperties")) {
                        (Some(schema), _) => {
                            found.extend(faults(root, schema, inner, &format!("{at}.{name}")))
                        }
                        (None, Some(Value::Bool(false))) => {
                            found.push(format!("{at}.{name} is not in the schema"))
                        }
                        _ => {}
                    }
                }
            }
            "additionalProperties" if wanted.is_object() => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    found.extend(faults(root, wanted, inner, &format!("{at}.{name}")));
                }
            }
            "items" => {
                for (n, inner) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(root, wanted, inner, &format!("{at}[{n}]")));
                }
            }
            "minItems" | "maxItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                let limit = wanted.as_u64().unwrap();
                if keyword == "minItems" && count < limit || keyword == "maxItems" && count > limit {
                    found.push(format!("{at}: {count} items"));
                }
            }
            "minimum" if value.as_f64().is_some_and(|n| n < wanted.as_f64().unwrap()) => {
                found.push(format!("{at}: {value} is too small"));
            }
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "const"
            | "enum"
            | "minimum"
            | "additionalProperties" => {}
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
    found
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A schema of `contrib/schema`.
pub fn read(name: &str) -> Value {
    let path = format!("{}/contrib/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What is wrong with a value by that schema.
pub fn faults_by(name: &str, value: &Value) -> Vec<String> {
    let schema = read(name);
    faults(&schema, &schema, value, name)
}
