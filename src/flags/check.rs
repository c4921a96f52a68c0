//! Flags that the installed engine lacks are refused by name before anything runs.

use super::table::{Engines, FlagSpec, Version};
use super::{BuildFlags, EngineKind, UsageError};

/// Refuses the first flag that this engine does not have.
///
/// `buildah` is the version of buildah, also of the one inside podman: see
/// [`Version::of_buildah_in_podman`]. Flags of ours and those that we carry out ourselves pass.
pub fn check_engine(flags: &BuildFlags, engine: EngineKind, buildah: Version) -> Result<(), UsageError> {
    for given in flags.global_uses() {
        if let Some(spec) = given.spec {
            belongs(spec, engine)?;
            is_new_enough(spec, engine, buildah)?;
        }
    }
    for given in flags.uses() {
        // What only the installed engine's help knows is there, and what we do is there too.
        let Some(spec) = given.spec.filter(|spec| !spec.emulated) else {
            continue;
        };
        belongs(spec, engine)?;
        is_new_enough(spec, engine, buildah)?;
    }
    Ok(())
}

fn belongs(spec: &FlagSpec, engine: EngineKind) -> Result<(), UsageError> {
    let owner = match (spec.engines, engine) {
        (Engines::Buildah, EngineKind::Podman) => EngineKind::Buildah,
        (Engines::Podman, EngineKind::Buildah) => EngineKind::Podman,
        _ => return Ok(()),
    };
    let fault = format!("unknown flag: --{} is a flag of {owner}, and the engine is {engine}", spec.name);
    Err(UsageError::new(fault).with_way_out(format!("choose the other one with --engine={owner}")))
}

fn is_new_enough(spec: &FlagSpec, engine: EngineKind, buildah: Version) -> Result<(), UsageError> {
    if spec.since <= buildah {
        return Ok(());
    }
    let name = spec.name;
    let needed = match (engine, Version::of_podman_with_buildah(spec.since)) {
        (EngineKind::Podman, Some(podman)) => format!("podman {podman} (buildah {})", spec.since),
        _ => format!("buildah {}", spec.since),
    };
    let installed = match engine {
        EngineKind::Buildah => format!("buildah {buildah}"),
        EngineKind::Podman => format!("a podman with buildah {buildah}"),
    };
    let fault = format!("unknown flag: --{name} came with {needed}, installed is {installed}");
    Err(UsageError::new(fault).with_way_out(format!("leave --{name} out, or use a newer {engine}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{parse_build, parse_leading};

    fn verdict(args: &[&str], engine: EngineKind, minor: u32) -> String {
        let args: Vec<_> = args.iter().map(Into::into).collect();
        let flags =
            parse_build(&args, &|name| (name == "brand-new").then_some(crate::flags::UnknownKind::Bool));
        match check_engine(&flags.unwrap(), engine, Version::new(1, minor)) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_flag_that_came_later_is_refused_with_the_version_that_has_it() {
        assert_eq!(
            verdict(&["--layers", "--unsetlabel=a"], EngineKind::Buildah, 28),
            "unknown flag: --unsetlabel came with buildah 1.33, installed is buildah 1.28\n\
             leave --unsetlabel out, or use a newer buildah"
        );
        assert_eq!(
            verdict(&["--unsetlabel=a"], EngineKind::Podman, 28),
            "unknown flag: --unsetlabel came with podman 4.8 (buildah 1.33), installed is a podman with \
             buildah 1.28\nleave --unsetlabel out, or use a newer podman"
        );
        assert_eq!(verdict(&["--unsetlabel=a"], EngineKind::Podman, 33), "ok");
    }

    #[test]
    fn what_we_do_ourselves_works_with_every_engine() {
        let emulated = [
            "--build-arg-file=f",
            "--iidfile-raw=f",
            "--raw-iidfile=f",
            "--metadata-file=f",
            "--save-stages",
            "--stage-labels",
            "--squash-all",
            "--progress=plain",
            "--cache-repo=r",
            "--engine=podman",
            "--brand-new",
        ];
        assert_eq!(verdict(&emulated, EngineKind::Buildah, 28), "ok");
    }

    #[test]
    fn a_flag_of_the_other_engine_is_refused() {
        assert_eq!(
            verdict(&["--registries-conf-dir=/d"], EngineKind::Podman, 43),
            "unknown flag: --registries-conf-dir is a flag of buildah, and the engine is podman\n\
             choose the other one with --engine=buildah"
        );
        let leading = parse_leading(&["--remote".into()]).unwrap();
        let flags = BuildFlags::default().after(leading);
        assert!(check_engine(&flags, EngineKind::Buildah, Version::new(1, 43)).is_err());
        assert!(check_engine(&flags, EngineKind::Podman, Version::new(1, 28)).is_ok());
    }
}
