//! Writes a config with the fields and the order of Go's structs.
//!
//! `v1.Image` of the OCI image-spec and `V2Image` in buildah's `docker/types.go`.

use serde_json::{Map, Value, json};

use super::base::DOCKER_FIELDS;
use super::{ImageConfig, ImageFormat, go_json};
use crate::containerfile::Rules;

/// An object that leaves out what is empty where Go does.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn always(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn unless_empty(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_empty = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Number(number) => number.as_i64() == Some(0),
            Value::Bool(true) => false,
        };
        if !is_empty {
            self.always(name, value);
        }
    }
}

impl ImageConfig {
    /// The config's bytes, as the engine would write them: their SHA-256 is the image id.
    pub fn to_bytes(&self) -> Vec<u8> {
        go_json::to_bytes(&self.to_value())
    }

    /// The config as JSON.
    pub fn to_value(&self) -> Value {
        Value::Object(match self.format {
            ImageFormat::Oci => self.oci(),
            ImageFormat::Docker => self.docker(),
        })
    }

    /// One entry of the history, with the author that the config has now.
    pub(super) fn history_entry(
        &self,
        created: &str,
        created_by: &str,
        comment: Option<&str>,
        empty: bool,
    ) -> Value {
        let mut entry = Object::default();
        match self.format {
            ImageFormat::Oci => {
                entry.unless_empty("created", created);
                entry.unless_empty("created_by", created_by);
                entry.unless_empty("author", self.author.as_str());
            }
            ImageFormat::Docker => {
                entry.always("created", if created.is_empty() { go_json::ZERO_TIME } else { created });
                entry.unless_empty("author", self.author.as_str());
                entry.unless_empty("created_by", created_by);
            }
        }
        entry.unless_empty("comment", comment.unwrap_or_default());
        entry.unless_empty("empty_layer", empty);
        Value::Object(entry.0)
    }

    fn oci(&self) -> Map<String, Value> {
        let mut image = Object::default();
        image.unless_empty("created", self.created.as_str());
        image.unless_empty("author", self.author.as_str());
        image.always("architecture", self.architecture.as_str());
        // image-spec 1.1.0-rc3 moved it behind the features.
        let variant_first = self.rules == Rules::Buildah28;
        if variant_first {
            image.unless_empty("variant", self.variant.as_str());
        }
        image.always("os", self.os.as_str());
        self.copy_other(&mut image, &["os.version", "os.features"]);
        if !variant_first {
            image.unless_empty("variant", self.variant.as_str());
        }
        image.always("config", self.oci_settings());
        image.always("rootfs", json!({"type": "layers", "diff_ids": self.diff_ids}));
        image.unless_empty("history", self.history.clone());
        image.0
    }

    fn oci_settings(&self) -> Map<String, Value> {
        let mut settings = Object::default();
        settings.unless_empty("User", self.user.as_str());
        settings.unless_empty("ExposedPorts", set(&self.exposed_ports));
        settings.unless_empty("Env", self.env());
        settings.unless_empty("Entrypoint", self.entrypoint.clone());
        settings.unless_empty("Cmd", self.cmd.clone().unwrap_or_default());
        settings.unless_empty("Volumes", set(&self.volumes));
        settings.unless_empty("WorkingDir", self.workdir.as_str());
        settings.unless_empty("Labels", self.labels());
        settings.unless_empty("StopSignal", self.stop_signal.as_str());
        settings.0
    }

    fn docker(&self) -> Map<String, Value> {
        let mut image = Object::default();
        let settings = self.docker_settings();
        self.copy_other(&mut image, &["comment"]);
        image.always("created", if self.created.is_empty() { go_json::ZERO_TIME } else { &self.created });
        image.always("container_config", settings.clone());
        image.unless_empty("author", self.author.as_str());
        image.always("config", settings);
        image.unless_empty("architecture", self.architecture.as_str());
        image.unless_empty("variant", self.variant.as_str());
        image.unless_empty("os", self.os.as_str());
        image.unless_empty("parent", self.parent.as_deref().unwrap_or_default());
        let mut rootfs = Object::default();
        rootfs.always("type", "layers");
        rootfs.unless_empty("diff_ids", self.diff_ids.clone());
        image.always("rootfs", rootfs.0);
        image.unless_empty("history", self.history.clone());
        self.copy_other(&mut image, &["os.version", "os.features"]);
        image.0
    }

    fn docker_settings(&self) -> Map<String, Value> {
        let mut settings = Object::default();
        let [hostname, domainname, stdin, stdout, stderr, tty, open_stdin, stdin_once, image, rest @ ..] =
            DOCKER_FIELDS;
        let given = |name: &str, default: Value| self.docker_fields.get(name).cloned().unwrap_or(default);
        for name in [hostname, domainname] {
            settings.always(name, given(name, json!("")));
        }
        settings.always("User", self.user.as_str());
        for name in [stdin, stdout, stderr] {
            settings.always(name, given(name, json!(false)));
        }
        settings.unless_empty("ExposedPorts", set(&self.exposed_ports));
        for name in [tty, open_stdin, stdin_once] {
            settings.always(name, given(name, json!(false)));
        }
        settings.always("Env", self.env());
        // 1.28 writes an empty list where there is none; 1.39 and 1.43 tell them apart.
        let no_cmd = if self.rules == Rules::Buildah28 { json!([]) } else { Value::Null };
        settings.always("Cmd", self.cmd.clone().map_or(no_cmd, Value::from));
        if let Some(health_check) = &self.health_check {
            settings.always("Healthcheck", health_check.to_value());
        }
        let [args_escaped, mac_address, stop_timeout] = rest;
        settings.unless_empty(args_escaped, given(args_escaped, Value::Null));
        settings.always(image, given(image, json!("")));
        settings.always("Volumes", set(&self.volumes));
        settings.always("WorkingDir", self.workdir.as_str());
        settings.always("Entrypoint", self.entrypoint.clone());
        settings.unless_empty(mac_address, given(mac_address, Value::Null));
        settings.always("OnBuild", self.on_build.clone());
        settings.always("Labels", self.labels());
        settings.unless_empty("StopSignal", self.stop_signal.as_str());
        settings.unless_empty(stop_timeout, given(stop_timeout, Value::Null));
        settings.unless_empty("Shell", self.shell.clone());
        settings.0
    }

    fn labels(&self) -> Map<String, Value> {
        self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
    }

    fn copy_other(&self, image: &mut Object, names: &[&str]) {
        for name in names {
            image.unless_empty(name, self.other_fields.get(*name).cloned().unwrap_or_default());
        }
    }
}

/// A set as Go writes a map to empty structs.
fn set<'a>(names: impl IntoIterator<Item = &'a String>) -> Map<String, Value> {
    names.into_iter().map(|name| (name.clone(), json!({}))).collect()
}
