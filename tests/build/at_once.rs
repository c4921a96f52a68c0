//! Builds that run at the same time on one storage.

use std::process::Stdio;

use crate::support::{BOTH, Scenario};

#[test]
fn equal_builds_at_once_that_make_the_same_image_all_succeed() {
    let text = "FROM docker.io/library/busybox\nCOPY f /f\nRUN echo a >/a\nCMD a\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text).file("f", "f");
        let start = |_| {
            let mut command = scenario.build_command(&["--timestamp=1000"]);
            command.arg(scenario.context()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let builds: Vec<_> = (0..6).map(start).collect();
        let ended: Vec<_> = builds.into_iter().map(|build| build.wait_with_output().unwrap()).collect();
        for output in &ended {
            assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.stdout, ended[0].stdout, "{kind:?}");
        }
        scenario.assert_clean();
    }
}
