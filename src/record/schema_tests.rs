//! The schema in `contrib/schema` says what records really are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::schema::faults;
use crate::verdict::examples::verdicts;

const SCHEMA_TEXT: &str = include_str!("../../contrib/schema/build-record.schema.json");

fn id(letter: &str) -> ImageId {
    ImageId::parse(&letter.repeat(64)).unwrap()
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
        log: Some("logs/b/0-0".into()),
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
