//! Reads the config of a base image, in either format.

use serde_json::{Map, Value};

use super::go_json::normal_time;
use super::health::HealthCheck;
use super::{ImageConfig, ImageFormat};
use crate::containerfile::{DEFAULT_PATH, Platform, Rules};

/// A config that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON.
    #[error("the image config is not JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON and not an object.
    #[error("the image config is not an object")]
    NotAnObject,
}

/// The fields of docker's config that no instruction sets; those that an engine always writes come first.
pub(super) const DOCKER_FIELDS: [&str; 12] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "ArgsEscaped",
    "MacAddress",
    "StopTimeout",
];

impl ImageConfig {
    /// The config at the start of a stage on that base; `raw` is the base's config in either format,
    /// `format` the one to write.
    pub fn from_base(raw: &[u8], format: ImageFormat, rules: Rules) -> Result<Self, ConfigError> {
        let Value::Object(base) = serde_json::from_slice(raw)? else {
            return Err(ConfigError::NotAnObject);
        };
        let platform = Platform {
            os: text(&base, "os"),
            architecture: text(&base, "architecture"),
            variant: text(&base, "variant"),
        };
        let mut config = Self::scratch(&platform, format, rules);
        config.created = normal_time(&text(&base, "created"));
        config.author = text(&base, "author");
        config.other_fields = picked(&base, &["comment", "os.version", "os.features"]);
        config.diff_ids =
            base.get("rootfs").and_then(Value::as_object).map_or(Vec::new(), |r| list(r, "diff_ids"));
        let empty = Map::new();
        let settings = object(&base, "config").or(object(&base, "container_config")).unwrap_or(&empty);
        config.docker_fields = picked(settings, &DOCKER_FIELDS);
        config.user = text(settings, "User");
        config.exposed_ports = keys(settings, "ExposedPorts").collect();
        config.base_env = list(settings, "Env");
        if config.base_env.iter().any(|entry| entry.starts_with("PATH=")) {
            config.stage_env = Default::default();
        }
        config.entrypoint = list(settings, "Entrypoint");
        config.cmd = Some(list(settings, "Cmd")).filter(|cmd| !cmd.is_empty());
        config.volumes = keys(settings, "Volumes").collect();
        config.workdir = text(settings, "WorkingDir");
        config.labels = keys(settings, "Labels")
            .map(|key| {
                let value = settings["Labels"][&key].as_str().unwrap_or_default().to_owned();
                (key, value)
            })
            .collect();
        config.stop_signal = text(settings, "StopSignal");
        config.health_check = object(settings, "Healthcheck").map(HealthCheck::of_config);
        config.triggers = list(settings, "OnBuild");
        config.shell = list(settings, "Shell");
        let history = base.get("history").and_then(Value::as_array).into_iter().flatten();
        config.history = history
            .filter_map(Value::as_object)
            .map(|entry| {
                let mut author = text(entry, "author");
                std::mem::swap(&mut author, &mut config.author);
                let comment = text(entry, "comment");
                let normal = config.history_entry(
                    &normal_time(&text(entry, "created")),
                    &text(entry, "created_by"),
                    Some(&comment),
                    entry.get("empty_layer") == Some(&Value::Bool(true)),
                );
                std::mem::swap(&mut author, &mut config.author);
                normal
            })
            .collect();
        debug_assert!(config.stage_env.entries().is_empty() || config.stage_env.entries() == [DEFAULT_PATH]);
        Ok(config)
    }
}

fn object<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    map.get(name).and_then(Value::as_object)
}

fn text(map: &Map<String, Value>, name: &str) -> String {
    map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn list(map: &Map<String, Value>, name: &str) -> Vec<String> {
    let values = map.get(name).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn keys<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = String> + 'a {
    object(map, name).into_iter().flat_map(Map::keys).cloned()
}

fn picked(map: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), map.get(*name)?.clone()))).collect()
}
