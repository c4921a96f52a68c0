//! The schema in `contrib/schema` says what records really are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::key::Change;
use crate::verdict::{FoundBy, Reason};

const SCHEMA_TEXT: &str = include_str!("../../contrib/schema/build-record.schema.json");

/// What a value breaks, by the keywords that the schema uses.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
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

fn id(letter: &str) -> ImageId {
    ImageId::parse(&letter.repeat(64)).unwrap()
}

fn verdicts() -> Vec<Verdict> {
    let text = || ("old".to_owned(), "new".to_owned());
    let pair = |make: fn(String, String) -> Change| {
        let (old, new) = text();
        make(old, new)
    };
    let changes = vec![
        Change::KeyFormat { old: 1, new: 2 },
        pair(|old, new| Change::Platform { old, new }),
        pair(|old, new| Change::Mode { old, new }),
        pair(|old, new| Change::Base { old, new }),
        Change::Parent,
        pair(|old, new| Change::Instruction { old, new }),
        pair(|old, new| Change::Expansion { old, new }),
        Change::Arg { name: "V".into(), how: "changed".into() },
        Change::Files { instruction: "COPY a".into(), summary: "a modified".into() },
        Change::Bytes { from: "stage a".into() },
        Change::Remote { url: "https://example.org".into() },
        Change::Flag { name: "network".into(), old: String::new(), new: "none".into() },
    ];
    let mut reasons: Vec<Reason> = changes.into_iter().map(Reason::Changed).collect();
    reasons.extend([
        Reason::FirstBuild,
        Reason::StepBefore,
        Reason::StageRuns { stage: "a".into(), cause: "b".into() },
        Reason::ImageGone { image: id("a") },
        Reason::NoCache,
        Reason::NoCacheFilter,
        Reason::Expired { age: "1h".into() },
        Reason::Always { why: "x".into() },
    ]);
    vec![
        Verdict::Hit { by: FoundBy::Definition },
        Verdict::Hit { by: FoundBy::Content },
        Verdict::Miss { reasons: reasons.clone() },
        Verdict::Open { reasons },
    ]
}

fn record() -> BuildRecord {
    let key = StepKey::parse(&"b".repeat(64));
    let step = |(index, verdict): (usize, Verdict)| StepRecord {
        index,
        lines: (2, 3),
        instruction: "RUN x".into(),
        key: key.clone(),
        verdict: Some(verdict),
        started: Some("2024-01-01T00:00:00Z".into()),
        duration_ms: Some(5),
        image: Some(id("a")),
    };
    let stage = StageRecord {
        index: 0,
        name: "a".into(),
        alias: Some("a".into()),
        lines: (1, 3),
        base: BaseRecord {
            kind: "image".into(),
            written: "alpine".into(),
            expanded: "alpine".into(),
            canonical: Some("docker.io/library/alpine@sha256:0".into()),
            image: Some(id("c")),
            stage: None,
            root: Some("docker.io/library/alpine@sha256:0".into()),
        },
        status: StageStatus::Built,
        key: key.clone(),
        image: Some(id("d")),
        tip: Some(id("e")),
        image_name: Some("localhost/stagecache/a:1".into()),
        diff_ids: vec!["sha256:1".into()],
        steps: verdicts().into_iter().enumerate().map(step).collect(),
        inputs: vec![InputRecord {
            line: 2,
            kind: "COPY".into(),
            from: "context".into(),
            sources: vec!["a".into()],
            destination: "/a".into(),
            digest: Some("blake3:0".into()),
        }],
    };
    BuildRecord {
        schema: SCHEMA,
        build_id: "01a2042d-7633-7627-8447-32eecfe8d20c".into(),
        status: BuildStatus::Succeeded,
        started: "2024-01-01T00:00:00Z".into(),
        ended: Some("2024-01-01T00:00:01Z".into()),
        pid: 1,
        error: None,
        tool: "podman-stagecache 0".into(),
        engine: EngineRecord {
            name: "buildah".into(),
            version: "1.28.2".into(),
            buildah: "1.28.2".into(),
            driver: "overlay".into(),
            graph_root: "/r".into(),
        },
        request: RequestRecord {
            containerfile: "/c".into(),
            containerfile_digest: format!("sha256:{}", "0".repeat(64)),
            built_digest: String::new(),
            context: "/".into(),
            ignore_file: None,
            target: None,
            layers: true,
            names: vec!["app".into()],
            args: BTreeMap::from([("V".into(), "blake3:0".into())]),
            public_args: BTreeMap::new(),
        },
        platform: "linux/amd64".into(),
        result: Some(ResultRecord {
            image: id("f"),
            digest: "sha256:0".into(),
            names: vec!["localhost/app:latest".into()],
            diff_ids: vec![],
        }),
        stages: vec![stage],
    }
}

fn faults_of(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    let mut value = serde_json::to_value(record()).unwrap();
    change(&mut value);
    faults(&schema, &schema, &value, "record")
}

#[test]
fn a_record_with_every_verdict_is_what_the_schema_says() {
    assert_eq!(faults_of(|_| {}), Vec::<String>::new());
}

/// A change to a record, and the fault that it is.
type Case = (fn(&mut Value), &'static str);

#[test]
fn the_schema_refuses_what_a_record_is_not() {
    let cases: &[Case] = &[
        (|v| v["schema"] = 2.into(), "record.schema: 2 is not 1"),
        (|v| v["extra"] = 1.into(), "record.extra is not in the schema"),
        (|v| drop(v.as_object_mut().unwrap().remove("pid")), "record.pid is missing"),
        (|v| v["status"] = "done".into(), "record.status: \"done\" is new"),
        (|v| v["stages"][0]["lines"] = serde_json::json!([1]), "record.stages[0].lines: 1 items"),
        (
            |v| v["stages"][0]["steps"][0]["verdict"]["by"] = "luck".into(),
            "record.stages[0].steps[0].verdict: {\"verdict\":\"hit\",\"by\":\"luck\"} is none of the alternatives",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(faults_of(change), [*expected]);
    }
}

#[test]
fn the_schema_names_every_field_and_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    let value = serde_json::to_value(record()).unwrap();
    let stage = &value["stages"][0];
    for (name, object) in [
        ("", &value),
        ("engine", &value["engine"]),
        ("request", &value["request"]),
        ("result", &value["result"]),
        ("stage", stage),
        ("base", &stage["base"]),
        ("step", &stage["steps"][0]),
        ("input", &stage["inputs"][0]),
    ] {
        let described = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let fields: Vec<&String> = object.as_object().unwrap().keys().collect();
        let properties: Vec<&String> = described["properties"].as_object().unwrap().keys().collect();
        assert_eq!(properties, fields, "{name}");
    }
}
