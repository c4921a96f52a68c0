//! The working containers that a build leaves: none, unless the user asks for them.

use crate::support::{BOTH, Kind, Scenario};

const GOOD: &str =
    "FROM docker.io/library/busybox AS x\nRUN echo a >/a\nFROM x\nRUN echo b >/b\nENV A=1\nRUN echo c >/c\n";
const BAD: &str = "FROM docker.io/library/busybox AS x\nRUN echo a >/a\nFROM x\nRUN echo b >/b\nRUN false\n";

/// How many working containers a build leaves by us, and by the engine itself.
fn left(kind: Kind, file: &str, flags: &[&str]) -> (usize, usize) {
    let ours = Scenario::on(kind, file);
    ours.build(flags);
    let native = Scenario::on(kind, file);
    let context = native.context().display().to_string();
    native.engine_output(kind, &[&["build", "--pull=never", "--no-cache"], flags, &[&context]].concat());
    (ours.containers().len(), native.containers().len())
}

#[test]
fn with_rm_false_the_containers_of_steps_stay_as_with_the_engine() {
    for kind in BOTH {
        // podman's --force-rm is on by default: the last of each stage goes.
        let all = if kind == Kind::Buildah { 4 } else { 2 };
        assert_eq!(left(kind, GOOD, &["--layers=true", "--rm=false"]), (all, all), "{kind:?}");
        assert_eq!(left(kind, GOOD, &["--layers=true", "--rm=false", "--force-rm=true"]), (2, 2), "{kind:?}");
        assert_eq!(left(kind, GOOD, &["--layers=false", "--rm=false"]), (0, 0), "{kind:?}");
        assert_eq!(left(kind, GOOD, &["--layers=true"]), (0, 0), "{kind:?}");
    }
}

#[test]
fn with_force_rm_false_the_container_of_the_step_that_fails_stays() {
    for kind in BOTH {
        assert_eq!(left(kind, BAD, &["--layers=true", "--force-rm=false"]), (1, 1), "{kind:?}");
        assert_eq!(left(kind, BAD, &["--layers=false", "--force-rm=false"]), (0, 0), "{kind:?}");
        assert_eq!(left(kind, BAD, &["--layers=true", "--force-rm=true"]), (0, 0), "{kind:?}");
        // As always with us; buildah keeps it.
        assert_eq!(left(kind, BAD, &["--layers=true"]).0, 0, "{kind:?}");
    }
}

#[test]
fn a_build_that_keeps_its_containers_makes_what_another_one_makes() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, GOOD);
        let kept = scenario.build(&["--layers=true", "--rm=false", "--timestamp=0"]).ok();
        let other = Scenario::on(kind, GOOD);
        let built = other.build(&["--layers=true", "--timestamp=0"]).ok();
        let (kept, built) = (scenario.image(&kept.image()), other.image(&built.image()));
        assert_eq!(scenario.comparable(&kept), other.comparable(&built), "{kind:?}");
    }
}
