//! What instructions make of a config. `measured/` holds what buildah 1.28.2 built from its Containerfile
//! on its base, with `--layers --timestamp 0`; the tables hold results of it too.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::containerfile::{BuildArgs, Dialect, StageBase, parse};

const BASE: &str = include_str!("measured/base.json");
const CONTAINERFILE: &str = include_str!("measured/Containerfile");

/// The config that a file leads to; the history's comments are taken from `native`.
fn built(
    source: &str,
    rules: Rules,
    format: ImageFormat,
    native: &Value,
) -> Result<ImageConfig, InstructionError> {
    let file =
        parse(source.as_bytes().to_vec(), Path::new("Containerfile"), Dialect::BeforeHeredocs).unwrap();
    let stages = file.stages().unwrap();
    let platform = Platform::parse("linux/amd64").unwrap();
    let build_args = BuildArgs {
        values: BTreeMap::new(),
        target: platform.clone(),
        target_is_explicit: false,
        build: platform,
    };
    let mut config = ImageConfig::from_base(BASE.as_bytes(), format, rules).unwrap();
    let base = StageBase { env: config.env(), ..StageBase::default() };
    let mut scope = Scope::new(rules, build_args, &stages.heading)?.enter_stage(base)?;
    for (index, instruction) in stages.stages[0].body.iter().enumerate() {
        let comment = native["history"][index + 1]["comment"].as_str();
        let note = HistoryNote { created: "1970-01-01T00:00:00Z", comment, suffix: "" };
        config.apply(instruction, &mut scope, &note)?;
    }
    config.set_label("io.buildah.version", "1.28.2");
    Ok(config)
}

/// The `config` part in OCI format, without what the base brings along.
fn settings(rules: Rules, instructions: &str) -> Value {
    let source = format!("FROM a\n{instructions}");
    let mut config = built(&source, rules, ImageFormat::Oci, &Value::Null).unwrap();
    config.remove_label("io.buildah.version");
    config.base_env.clear();
    config.to_value()["config"].take()
}

fn refusal(instruction: &str) -> String {
    let source = format!("FROM a\n{instruction}");
    built(&source, Rules::Buildah28, ImageFormat::Docker, &Value::Null).unwrap_err().to_string()
}

#[test]
fn an_oci_config_is_the_engines_to_the_byte() {
    let expected = include_str!("measured/oci.json");
    let native = serde_json::from_str(expected).unwrap();
    let config = built(CONTAINERFILE, Rules::Buildah28, ImageFormat::Oci, &native).unwrap();
    assert_eq!(String::from_utf8(config.to_bytes()).unwrap(), expected.trim_end());
}

#[test]
fn a_docker_config_is_the_engines_but_for_names_it_makes_up() {
    let mut native: Value = serde_json::from_str(include_str!("measured/docker.json")).unwrap();
    let mut config = built(CONTAINERFILE, Rules::Buildah28, ImageFormat::Docker, &native).unwrap();
    config.set_parent(native["parent"].as_str().map(str::to_owned));
    native.as_object_mut().unwrap().shift_remove("container").unwrap();
    native["config"]["Hostname"] = json!("");
    native["container_config"]["Hostname"] = json!("");
    assert_eq!(config.to_value().to_string(), native.to_string());
}

#[test]
fn a_config_is_read_back_as_it_was_written() {
    for (format, text) in [
        (ImageFormat::Oci, include_str!("measured/oci.json")),
        (ImageFormat::Docker, include_str!("measured/docker.json")),
    ] {
        let mut native: Value = serde_json::from_str(text).unwrap();
        let mut config = ImageConfig::from_base(text.as_bytes(), format, Rules::Buildah28).unwrap();
        config.set_parent(native["parent"].as_str().map(str::to_owned));
        native.as_object_mut().unwrap().shift_remove("container");
        if format == ImageFormat::Docker {
            assert_eq!(config.triggers(), ["RUN x"]);
            native["config"]["OnBuild"] = json!([]);
            native["container_config"]["OnBuild"] = json!([]);
        }
        assert_eq!(config.to_value().to_string(), native.to_string());
    }
}

#[test]
fn instructions_change_the_config_as_the_engine_does() {
    for (instructions, expected) in [
        ("ENTRYPOINT x y", json!({"Entrypoint": ["/bin/sh", "-c", "x y"]})),
        ("CMD a\nENTRYPOINT", json!({"Cmd": ["/bin/sh", "-c", "a"]})),
        ("CMD []\nENTRYPOINT [\"x\"]", json!({"Entrypoint": ["x"]})),
        ("CMD", json!({"Cmd": ["/bin/sh", "-c"]})),
        ("CMD --help", json!({"Cmd": ["/bin/sh", "-c"]})),
        ("SHELL [\"/x\"]\nCMD a", json!({"Cmd": ["/bin/sh", "-c", "a"]})),
        (
            "EXPOSE 80 80/udp 443/TCP\nEXPOSE 80/sctp 90-92",
            json!({"ExposedPorts": {"443/TCP": {}, "80/tcp": {}, "80/udp": {}, "90-92/tcp": {}}}),
        ),
        (
            "VOLUME [\"/a b\", \"/c\"]\nVOLUME /c/ /d",
            json!({"Volumes": {"/a b": {}, "/c": {}, "/c/": {}, "/d": {}}}),
        ),
        ("WORKDIR /a/../b/", json!({"WorkingDir": "/a/../b/"})),
        ("WORKDIR a\nWORKDIR b/", json!({"WorkingDir": "/a/b"})),
        ("ENV A=1 B=2\nENV PATH=/x\nENV B=3 A=4", json!({"Env": ["A=4", "B=3", "PATH=/x"]})),
        ("STOPSIGNAL sigrtmin+3", json!({"StopSignal": "sigrtmin+3"})),
        ("USER a b", json!({"User": "a b"})),
        ("LABEL a=1 b=2\nLABEL a=3", json!({"Labels": {"a": "3", "b": "2"}})),
    ] {
        assert_eq!(settings(Rules::Buildah28, instructions), expected, "{instructions}");
    }
}

#[test]
fn later_engines_tell_ports_apart_by_protocol() {
    let expected = json!({"ExposedPorts": {"80/tcp": {}, "80/udp": {}}});
    assert_eq!(settings(Rules::Buildah43, "EXPOSE 80\nEXPOSE 80/udp"), expected);
}

#[test]
fn what_the_engine_refuses_is_refused() {
    for (instruction, expected) in [
        ("ENV", "ENV requires at least one argument"),
        ("LABEL", "LABEL requires at least one argument"),
        ("EXPOSE $N", "EXPOSE requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME [\"\"]", "Volume specified can not be an empty string"),
        ("ARG", "ARG requires at least one argument"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("MAINTAINER", "MAINTAINER requires exactly one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL SIGFOO", "Invalid signal: SIGFOO"),
        ("SHELL x", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK FOO x", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --foo=1 CMD a", "HEALTHCHECK does not have the flag `--foo=1`"),
        ("HEALTHCHECK --start-interval=1s CMD a", "HEALTHCHECK does not have the flag `--start-interval=1s`"),
        ("HEALTHCHECK --interval CMD a", "the value of `--interval` is not valid: it needs one"),
        ("HEALTHCHECK --interval=0s CMD a", "the value of `--interval=0s` is not valid: it must be positive"),
        (
            "HEALTHCHECK --timeout=1 CMD a",
            "the value of `--timeout=1` is not valid: it must be a duration like 1m30s",
        ),
        ("HEALTHCHECK --retries=0 CMD a", "the value of `--retries=0` is not valid: it must be at least 1"),
        ("HEALTHCHECK --retries=x CMD a", "the value of `--retries=x` is not valid: it must be a number"),
        ("FOO x", "unknown instruction: \"FOO\""),
        ("LABEL a=\"b", "unexpected end of `\"b` while looking for a matching \""),
    ] {
        assert_eq!(refusal(instruction), expected, "{instruction}");
    }
}

#[test]
fn a_health_check_is_kept_in_docker_format_only() {
    for (instruction, expected) in [
        ("HEALTHCHECK NONE", json!({"Test": ["NONE"]})),
        ("HEALTHCHECK --foo NONE", json!({"Test": ["NONE"]})),
        ("HEALTHCHECK cmd a  b", json!({"Test": ["CMD-SHELL", "a  b"]})),
        ("HEALTHCHECK CMD [\"a\", \"b\"]", json!({"Test": ["CMD", "a", "b"]})),
        (
            "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=1h --retries=+2 CMD a",
            json!({
                "Test": ["CMD-SHELL", "a"], "Interval": 90_000_000_000_i64, "Timeout": 1_500_000_000,
                "StartPeriod": 3_600_000_000_000_i64, "Retries": 2,
            }),
        ),
    ] {
        let source = format!("FROM a\n{instruction}");
        let config = |format| built(&source, Rules::Buildah28, format, &Value::Null).unwrap().to_value();
        assert_eq!(config(ImageFormat::Docker)["config"]["Healthcheck"], expected, "{instruction}");
        assert_eq!(config(ImageFormat::Oci)["config"].get("Healthcheck"), None, "{instruction}");
    }
}

#[test]
fn later_engines_tell_an_empty_command_from_none() {
    for (instructions, later) in [
        ("ENV A=1", Value::Null),
        ("ENTRYPOINT x", Value::Null),
        ("CMD []", json!([])),
        ("CMD []\nENTRYPOINT x", Value::Null),
    ] {
        let source = format!("FROM a\n{instructions}");
        for (rules, expected) in [(Rules::Buildah28, &json!([])), (Rules::Buildah39, &later)] {
            let config = built(&source, rules, ImageFormat::Docker, &Value::Null).unwrap().to_value();
            assert_eq!(config["config"]["Cmd"], *expected, "{instructions}, {rules:?}");
        }
    }
}

#[test]
fn scratch_has_a_working_directory_in_later_engines() {
    let workdir = |rules| {
        let config = ImageConfig::scratch(&Platform::parse("linux/amd64").unwrap(), ImageFormat::Oci, rules);
        config.to_value()["config"].get("WorkingDir").cloned()
    };
    assert_eq!(workdir(Rules::Buildah28), None);
    assert_eq!(workdir(Rules::Buildah39), Some(json!("/")));
}

#[test]
fn layers_come_with_their_own_history() {
    let mut config =
        ImageConfig::scratch(&Platform::parse("linux/arm/v7").unwrap(), ImageFormat::Oci, Rules::Buildah39);
    config.add_layer("sha256:a", "2026-01-01T00:00:00Z", "/bin/sh -c x", None);
    let expected = json!({
        "created": "2026-01-01T00:00:00Z",
        "architecture": "arm",
        "os": "linux",
        "variant": "v7",
        "config": {"Env": [DEFAULT_PATH], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:a"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "/bin/sh -c x"}],
    });
    assert_eq!(config.to_value().to_string(), expected.to_string());
}
