//! ARGs that bear the names of variables which steer an engine: commands see them, and the engine does not.

use podman_stagecache::engine::steering;

use crate::support::{BOTH, Scenario};

/// What no engine could work with, were it to heed it.
const NONSENSE: &str = "/nonexistent/for-the-engine";

#[test]
fn an_arg_that_bears_the_name_of_an_engines_variable_is_for_commands_alone() {
    let of_families = ["BUILDAH_FORMAT", "BUILDAH_RUNTIME", "LD_LIBRARY_PATH", "GIT_DIR", "LC_ALL", "PLAIN"];
    let names: Vec<&str> = steering::names().chain(of_families).filter(|name| *name != "PATH").collect();
    for kind in BOTH {
        let declared: String = names.iter().map(|name| format!("ARG {name}\n")).collect();
        let run = "RUN env | grep -v ^HOSTNAME= | sort >/env; echo $TMPDIR $http_proxy $PLAIN >/three";
        let scenario = Scenario::on(kind, &format!("FROM docker.io/library/busybox\n{declared}{run}\n"));
        let flags: Vec<String> = names.iter().map(|name| format!("--build-arg={name}={NONSENSE}")).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let native = scenario.native(&flags);
        let built = scenario.build(&flags).ok();
        let ours = scenario.image(&built.image());
        let (ours, native) = (scenario.files(&ours), scenario.files(&native));
        assert_eq!(ours["env"], native["env"], "{kind:?}");
        assert!(ours["three"].contains(&[NONSENSE; 3].join(" ")), "{kind:?} {}", ours["three"]);
        // A change of a value is seen whichever way it goes.
        let other: Vec<String> = flags.iter().map(|flag| flag.replace("GODEBUG=/", "GODEBUG=//")).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        scenario.build(&other).expect("0 m");
    }
}
