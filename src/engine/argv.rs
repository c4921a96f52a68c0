//! Argument lists of the engines, as pure functions.
//!
//! buildah and podman take the same flags for what we ask of them; where they differ, the difference is
//! here with the version it was seen in.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::commit::Import;
use super::{EngineKind, ImageRequest, StepCall};
use super::{steering, temporary};
use crate::image::ImageId;
use crate::process::Invocation;

/// `--name=value` as one token.
pub fn flag(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut token = OsString::from(format!("--{name}="));
    token.push(value);
    token
}

/// One step: always without the engine's own cache, and never pulling.
///
/// Values of ARGs travel in the environment, but for those whose names steer the engine: they stand in `arg_file` where the
/// engine can read one, else on the command line.
pub fn build_step(
    kind: EngineKind,
    invocation: Invocation,
    call: &StepCall,
    arg_file: Option<&Path>,
) -> Invocation {
    let mut args: Vec<OsString> = vec!["build".into()];
    // The user's flags first: what we must hold stands behind them and wins.
    args.extend(call.flags.iter().cloned());
    args.extend(["--no-cache", "--pull=never"].map(OsString::from));
    for (name, keeps) in [("rm", call.kept.of_all), ("force-rm", call.kept.of_last)] {
        args.push(flag(name, if keeps { "false" } else { "true" }));
    }
    // podman takes no `--layers`, not even a false one, beside `--squash`, which means the same (4.3).
    if kind == EngineKind::Buildah || !call.flags.iter().any(squashes) {
        args.push(flag("layers", if call.layers { "true" } else { "false" }));
    }
    args.push(flag("iidfile", &call.iidfile));
    args.push(marked(&call.mark));
    if let Some(file) = &call.ignore_file {
        args.push(flag("ignorefile", file));
    }
    for (name, value) in &call.build_contexts {
        args.push(flag("build-context", format!("{name}={value}")));
    }
    let mut env = invocation.env.clone();
    env.extend(call.temporary.iter().map(|folder| ("TMPDIR".into(), folder.clone().into_os_string())));
    if let Some(file) = arg_file {
        args.push(flag("build-arg-file", file));
    }
    for (name, value) in &call.build_args {
        if steering::steers(name) {
            if arg_file.is_none() || !steering::fits_in_file(name, value) {
                args.push(flag("build-arg", format!("{name}={value}")));
            }
        } else {
            args.push(flag("build-arg", name));
            env.push((name.into(), value.into()));
        }
    }
    for name in &call.names {
        args.push(flag("tag", name));
    }
    args.push(flag("file", &call.containerfile));
    args.push(call.context.clone().into_os_string());
    Invocation { env, ..invocation.args(args) }
}

fn squashes(flag: &OsString) -> bool {
    flag.to_str().is_some_and(|flag| flag == "--squash" || flag.starts_with("--squash="))
}

/// The bytes of an ignore file that a call has to name although the engine would have found it: podman takes the lines of
/// a file that is named as they stand, and those of one that it finds without the slashes around them (4.3).
pub fn ignore_file_to_name(kind: EngineKind, bytes: Vec<u8>) -> Vec<u8> {
    if kind == EngineKind::Buildah {
        return bytes;
    }
    let mut lines = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let start = line.iter().take_while(|byte| **byte == b'/').count();
        let end = line.iter().rposition(|byte| *byte != b'/').map_or(start, |last| last + 1);
        lines.extend_from_slice(&line[start..end.max(start)]);
        lines.push(b'\n');
    }
    lines
}

/// A mark that no other call has.
pub fn new_mark() -> String {
    format!("stagecache-{}", uuid::Uuid::now_v7())
}

/// Marks a call's working container: a secret that no instruction mounts changes nothing, and stands in the
/// container's `buildah.json` (1.28).
pub fn marked(mark: &str) -> OsString {
    flag("secret", format!("id={mark},src=/dev/null"))
}

/// Takes in what was written for the engine, under a policy of its own; the flag is hidden, and all versions have it.
pub fn take_in(invocation: Invocation, import: &Import) -> Invocation {
    let policy = flag("signature-policy", import.policy());
    let mut invocation = invocation.args(["pull", "--quiet"]).arg(policy).arg(import.source());
    if temporary::can_lie_elsewhere(false) {
        invocation.env.push(("TMPDIR".into(), import.temporary().into()));
    }
    invocation
}

/// Pulls an image whether or not the storage has one of that name.
pub fn pull(kind: EngineKind, invocation: Invocation, request: &ImageRequest) -> Invocation {
    let mut invocation = invocation.args(["pull", "--quiet"]);
    if kind == EngineKind::Buildah {
        // podman 4.3 has no such flag and always pulls.
        invocation = invocation.arg("--policy=always");
    }
    if let Some(platform) = &request.platform {
        invocation = invocation.arg(flag("platform", platform));
    }
    invocation.args(&request.flags).arg(&request.name)
}

/// Asks which image a name stands for in the storage; prints its id.
pub fn resolve_local(kind: EngineKind, invocation: Invocation, name: &str) -> Invocation {
    match kind {
        EngineKind::Buildah => {
            invocation.args(["inspect", "--type", "image", "--format", "{{.FromImageID}}", name])
        }
        EngineKind::Podman => invocation.args(["image", "inspect", "--format", "{{.Id}}", name]),
    }
}

/// Gives an image further names; a name moves away from the image that had it.
pub fn tag(invocation: Invocation, id: &ImageId, names: &[String]) -> Invocation {
    invocation.arg("tag").arg(id.as_str()).args(names)
}

/// Removes names, or images.
///
/// Removing an image's only name removes the image and all its untagged ancestors (1.28): callers give an
/// image another name first, and a name that is told twice goes once: it is looked for before any goes, so that the second
/// time would take the last name that the image has left, and with that the image (1.28).
pub fn remove(kind: EngineKind, invocation: Invocation, names: &[String]) -> Invocation {
    let mut told = BTreeSet::new();
    let names = names.iter().filter(|name| told.insert(*name));
    match kind {
        EngineKind::Buildah => invocation.arg("rmi").args(names),
        EngineKind::Podman => invocation.args(["image", "rm"]).args(names),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KeptContainers, commit};
    use super::*;
    use crate::image::{ComposedImage, ImageFormat, scratch};

    fn call() -> StepCall {
        StepCall {
            containerfile: "/t/Containerfile".into(),
            context: "/ctx".into(),
            ignore_file: None,
            layers: false,
            names: vec!["localhost/stagecache/a:wip".into()],
            build_contexts: vec![("base".into(), "container-image://abc".into())],
            build_args: vec![("V".into(), "a b".into()), ("HOME".into(), "/h".into())],
            flags: vec!["--network=none".into(), "--pull=always".into()],
            iidfile: "/t/iid".into(),
            temporary: None,
            kept: KeptContainers::default(),
            mark: "stagecache-7".into(),
            stdin: None,
        }
    }

    #[test]
    fn a_step_is_one_call_without_the_engines_cache_and_values_travel_in_the_environment() {
        let buildah = Invocation::new("buildah").arg("--root=/r");
        let invocation = build_step(EngineKind::Buildah, buildah, &call(), None);
        let args: Vec<_> = invocation.args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        assert_eq!(
            args,
            [
                "--root=/r",
                "build",
                "--network=none",
                "--pull=always",
                "--no-cache",
                "--pull=never",
                "--rm=true",
                "--force-rm=true",
                "--layers=false",
                "--iidfile=/t/iid",
                "--secret=id=stagecache-7,src=/dev/null",
                "--build-context=base=container-image://abc",
                "--build-arg=V",
                "--build-arg=HOME=/h",
                "--tag=localhost/stagecache/a:wip",
                "--file=/t/Containerfile",
                "/ctx",
            ]
        );
        assert_eq!(invocation.env, [("V".into(), "a b".into())]);
    }

    #[test]
    fn a_value_whose_name_steers_the_engine_stands_in_a_file_where_there_may_be_one() {
        let build_args =
            [("HOME", "/h"), ("TZ", "a\nb"), ("V", "1")].map(|(n, v)| (n.into(), v.into())).to_vec();
        let call = StepCall { build_args, ..call() };
        let file = steering::arg_file(&call.build_args);
        assert_eq!(file.as_deref(), Some("HOME=/h\n"));
        let invocation =
            build_step(EngineKind::Buildah, Invocation::new("e"), &call, Some(Path::new("/t/args")));
        let args: Vec<_> = invocation.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let of_args: Vec<_> = args.iter().filter(|arg| arg.starts_with("--build-arg")).collect();
        assert_eq!(of_args, ["--build-arg-file=/t/args", "--build-arg=TZ=a\nb", "--build-arg=V"]);
        assert_eq!(invocation.env, [("V".into(), "1".into())]);
    }

    #[test]
    fn podman_is_not_told_of_layers_beside_squash() {
        let layers = |flag: &str| {
            let call = StepCall { flags: vec![flag.into()], ..call() };
            let invocation = build_step(EngineKind::Podman, Invocation::new("podman"), &call, None);
            invocation.args.iter().any(|arg| arg == "--layers=false")
        };
        assert_eq!((layers("--squash=true"), layers("--quiet")), (false, true));
    }

    #[test]
    fn containers_stay_where_the_user_asks_for_it() {
        let call = StepCall { kept: KeptContainers { of_all: true, of_last: false }, ..call() };
        let shown = build_step(EngineKind::Buildah, Invocation::new("e"), &call, None).shown();
        assert!(shown.contains("--rm=false --force-rm=true"), "{shown}");
    }

    #[test]
    fn podman_gets_an_ignore_file_without_the_slashes_that_it_would_not_see_either() {
        let bytes = b"/a\nb/\n!/c/d//\n//\n# /x/".to_vec();
        assert_eq!(ignore_file_to_name(EngineKind::Buildah, bytes.clone()), bytes);
        assert_eq!(ignore_file_to_name(EngineKind::Podman, bytes), b"a\nb\n!/c/d\n\n# /x\n");
    }

    #[test]
    fn buildah_needs_a_policy_to_pull_always_and_podman_has_none() {
        let request = ImageRequest {
            name: "alpine".into(),
            platform: Some("linux/arm64".into()),
            flags: vec!["--tls-verify=false".into()],
        };
        let line = |kind| pull(kind, Invocation::new("e"), &request).shown();
        assert_eq!(
            line(EngineKind::Buildah),
            "e pull --quiet --policy=always --platform=linux/arm64 --tls-verify=false alpine"
        );
        assert_eq!(
            line(EngineKind::Podman),
            "e pull --quiet --platform=linux/arm64 --tls-verify=false alpine"
        );
    }

    #[test]
    fn each_engine_has_its_own_words_for_images() {
        let id = ImageId::parse(&"a".repeat(64)).unwrap();
        let names = ["x:1".to_owned(), "y:1".to_owned(), "x:1".to_owned()];
        let lines = |kind| {
            let call = || Invocation::new("e");
            [resolve_local(kind, call(), "x"), tag(call(), &id, &names), remove(kind, call(), &names)]
                .map(|invocation| invocation.shown())
        };
        let tagged = format!("e tag {id} x:1 y:1 x:1");
        assert_eq!(
            lines(EngineKind::Buildah),
            ["e inspect --type image --format {{.FromImageID}} x", &tagged, "e rmi x:1 y:1"]
        );
        assert_eq!(
            lines(EngineKind::Podman),
            ["e image inspect --format {{.Id}} x", &tagged, "e image rm x:1 y:1"]
        );
    }

    #[test]
    fn a_config_is_committed_by_pulling_it_under_a_policy_that_allows_just_that() {
        let base = scratch(ImageFormat::Oci, ("linux", "amd64", None), "2026-01-01T00:00:00Z");
        let image = ComposedImage::new(&base, &base.config, serde_json::Map::new()).unwrap();
        let import = commit::archive(&image, "localhost/a:1").unwrap();
        let (source, policy) = (import.source().into_string().unwrap(), import.policy());
        let shown = take_in(Invocation::new("e"), &import).shown();
        assert_eq!(shown, format!("e pull --quiet --signature-policy={} {source}", policy.display()));
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&policy).unwrap()).unwrap();
        let path = std::fs::canonicalize(source.strip_prefix("oci-archive:").unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "default": [{"type": "reject"}],
                "transports": {
                    "oci-archive": {path.to_str().unwrap(): [{"type": "insecureAcceptAnything"}]},
                },
            })
        );
    }

    #[test]
    fn a_call_names_the_ignore_file_and_the_folder_for_temporary_files_where_there_are_some() {
        let call =
            StepCall { ignore_file: Some("/t/ignore".into()), temporary: Some("/t/tmp".into()), ..call() };
        let invocation = build_step(EngineKind::Podman, Invocation::new("e"), &call, None);
        assert!(invocation.args.contains(&"--ignorefile=/t/ignore".into()), "{}", invocation.shown());
        assert_eq!(invocation.env, [("TMPDIR".into(), "/t/tmp".into()), ("V".into(), "a b".into())]);
    }
}
