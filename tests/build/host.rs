//! Steps that write into folders of this machine which later steps read: they are decided in the order of the file, each
//! from the world as the ones before have left it.

use std::fs;

use crate::support::{BOTH, Built, Kind, Scenario};

/// A stage that writes into the context, and one that copies from there what it wrote.
const WRITER: &str = "\
FROM docker.io/library/busybox AS writer
ARG N
RUN echo $N >/v/gen
FROM docker.io/library/busybox
COPY gen /gen
RUN cat /gen >/out
";

/// `text` with the context mounted writable, at `/v`.
fn scenario(kind: Kind, text: &str) -> (Scenario, String) {
    let scenario = Scenario::on(kind, text);
    let volume = format!("--volume={}:/v", scenario.context().display());
    (scenario, volume)
}

/// What a file of the built image says.
fn says(scenario: &Scenario, built: &Built, path: &str) -> String {
    let image = scenario.image(&built.image());
    let files = scenario.files(&image);
    let what = files.get(path).unwrap_or_else(|| panic!("no {path} in {files:?}"));
    what.splitn(4, ' ').nth(3).unwrap_or_default().trim().to_owned()
}

#[test]
fn a_copy_takes_what_a_step_of_another_stage_has_just_written() {
    for kind in BOTH {
        for layers in ["--layers=true", "--layers=false"] {
            let (scenario, volume) = scenario(kind, WRITER);
            // All stages: nothing but the context leads from the one to the other.
            let build = |n: &str| {
                let flags = ["--skip-unused-stages=false", layers, &volume, &format!("--build-arg=N={n}")];
                let built = scenario.build(&flags).ok();
                assert_eq!(says(&scenario, &built, "out"), n, "{kind:?} {layers}");
                built
            };
            build("1");
            assert_eq!(build("1").builds(), 0, "{kind:?} {layers}: the same again");
            build("2");
            assert_eq!(build("2").builds(), 0, "{kind:?} {layers}: the same again");
            scenario.remove("gen");
            build("2");
            assert_eq!(
                build("1").builds(),
                1,
                "{kind:?} {layers}: what it wrote is not there, the rest is known"
            );
            assert_eq!(build("1").builds(), 0);
            scenario.write("gen", "edited\n");
            build("1");
            scenario.assert_clean();
        }
    }
}

#[test]
fn a_step_that_was_told_to_run_writes_again() {
    let (scenario, volume) = scenario(Kind::Buildah, WRITER);
    let flags =
        |n: &str| vec!["--skip-unused-stages=false".to_owned(), volume.clone(), format!("--build-arg=N={n}")];
    let build = |more: &str, n: &str| {
        let mut flags = flags(n);
        flags.push(more.to_owned());
        let built = scenario.build(&flags.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        assert_eq!(says(&scenario, &built, "out"), n);
        built
    };
    build("--layers", "1");
    let all = build("--no-cache", "1");
    assert_eq!(all.verdicts(), "writer m, 1 mm");
    let filtered = build("--no-cache-filter=writer", "1");
    assert_eq!(filtered.verdicts(), "writer m, 1 hh");
}

#[test]
fn what_nobody_writes_is_told_before_anything_runs() {
    let (scenario, volume) =
        scenario(Kind::Buildah, "FROM docker.io/library/busybox\nRUN true\nCOPY gone /gone\n");
    let without = scenario.build(&[]).fails(125);
    assert_eq!(without.builds(), 0);
    assert!(without.error().contains("no files match \"gone\" in the context"), "{}", without.stderr);
    // Here the RUN may have written it: it is an error of the COPY.
    let with = scenario.build(&[&volume]).fails(125);
    assert_eq!((with.builds(), with.verdicts().as_str()), (1, "0 mm"));
    assert!(with.error().contains("Containerfile:3") && with.error().contains("\"gone\""), "{}", with.stderr);
    let read_only = scenario.build(&[&format!("{volume}:ro")]).fails(125);
    assert_eq!(read_only.builds(), 0);
}

#[test]
fn a_step_of_the_same_stage_is_read_as_well() {
    let text = "FROM docker.io/library/busybox\nARG N\nRUN echo $N >/v/gen\nCOPY gen /gen\nCOPY gen* /all/\n";
    for kind in BOTH {
        let (scenario, volume) = scenario(kind, text);
        for n in ["1", "2", "1"] {
            let arg = format!("--build-arg=N={n}");
            let built = scenario.build(&[&volume, &arg]).ok();
            assert_eq!(says(&scenario, &built, "gen"), n);
            assert_eq!(says(&scenario, &built, "all/gen"), n);
            assert_eq!(scenario.build(&[&volume, &arg]).ok().builds(), 0, "{kind:?}");
        }
        // In one call nobody can tell what it will read: it runs each time.
        for n in ["1", "2", "2"] {
            let built = scenario.build(&["--layers=false", &volume, &format!("--build-arg=N={n}")]).ok();
            assert_eq!(says(&scenario, &built, "gen"), n, "{kind:?} squashed");
        }
        scenario.remove("gen");
        let built = scenario.build(&["--layers=false", &volume, "--build-arg=N=3"]).ok();
        assert_eq!(says(&scenario, &built, "gen"), "3", "{kind:?} squashed");
    }
}

#[test]
fn who_reads_before_reads_the_old() {
    let text = "\
FROM docker.io/library/busybox AS reader
RUN sleep 1
COPY gen /gen
FROM docker.io/library/busybox AS writer
ARG N
RUN echo $N >/v/gen
FROM docker.io/library/busybox
COPY --from=reader /gen /before
COPY gen /after
COPY --from=writer /bin/true /x
";
    let (scenario, volume) = scenario(Kind::Buildah, text);
    scenario.write("gen", "0\n");
    let mut before = "0".to_owned();
    for n in ["1", "2", "1"] {
        let built = scenario.build(&["--jobs=4", &volume, &format!("--build-arg=N={n}")]).ok();
        assert_eq!(says(&scenario, &built, "before"), before);
        assert_eq!(says(&scenario, &built, "after"), n);
        before = n.to_owned();
    }
}

#[test]
fn a_folder_of_the_context_that_a_step_writes_to_does_not_make_others_run() {
    let text = "\
FROM docker.io/library/busybox AS tools
RUN date >/c/stamp
FROM docker.io/library/busybox
COPY . /src
COPY --from=tools /bin/true /x
";
    let scenario = Scenario::new(text).file("main", "1\n").file(".containerignore", "cache\n");
    fs::create_dir(scenario.context().join("cache")).unwrap();
    let volume = format!("--volume={}/cache:/c", scenario.context().display());
    scenario.build(&[&volume]).ok();
    assert_eq!(scenario.build(&[&volume]).ok().builds(), 0);
    scenario.write("main", "2\n");
    let edited = scenario.build(&[&volume]).expect("tools h, 1 mm");
    assert!(!edited.stderr.contains("may write"), "{}", edited.stderr);
}

#[test]
fn a_named_context_that_a_step_makes_is_read_when_it_is_there() {
    let text = "\
FROM docker.io/library/busybox AS maker
ARG N
RUN mkdir -p /v/out && echo $N >/v/out/f
FROM docker.io/library/busybox
COPY --from=made f /f
COPY --from=maker /bin/true /x
";
    for kind in BOTH {
        let (scenario, volume) = scenario(kind, text);
        let made = format!("--build-context=made={}/out", scenario.context().display());
        for n in ["1", "2"] {
            let flags = [&*volume, &*made, &format!("--build-arg=N={n}")];
            let built = scenario.build(&flags).ok();
            assert_eq!(says(&scenario, &built, "f"), n, "{kind:?}");
            assert_eq!(scenario.build(&flags).ok().builds(), 0, "{kind:?}");
        }
    }
}

#[test]
fn a_base_in_a_folder_that_a_step_makes_is_read_when_it_is_there() {
    // The step copies one of two layouts to where the last stage's base is read.
    let text = "\
FROM docker.io/library/busybox AS maker
ARG N
RUN rm -rf /v/out && cp -r /v/layout$N /v/out
FROM oci:out
RUN cat /which >/out
COPY --from=maker /bin/true /x
";
    for kind in BOTH {
        let (scenario, volume) = scenario(kind, text);
        for n in ["1", "2"] {
            let folder = scenario.folder().join(format!("base{n}"));
            fs::create_dir(&folder).unwrap();
            let from = format!("FROM docker.io/library/busybox\nCOPY which /which\nENV WHICH={n}\n");
            fs::write(folder.join("Containerfile"), from).unwrap();
            fs::write(folder.join("which"), format!("{n}\n")).unwrap();
            let name = format!("localhost/base:{n}");
            scenario.engine(&["build", "--pull=never", "--quiet", "--tag", &name, folder.to_str().unwrap()]);
            let layout = format!("oci:{}/layout{n}", scenario.context().display());
            scenario.engine(&["push", "--quiet", &name, &layout]);
        }
        let mut plan = scenario.program(&[]);
        plan.args(scenario.globals())
            .arg("plan")
            .arg(format!("--engine={}", scenario.wrapper(kind).display()));
        plan.args(["--pull=missing", "--format=json", "--build-arg=N=1", &*volume, "."]);
        let planned = plan.current_dir(scenario.context()).output().unwrap();
        let planned: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
        assert_eq!(planned["later"][0]["name"], "1", "{planned}");
        for (n, again) in [("1", false), ("1", true), ("2", false), ("1", false), ("1", true)] {
            let arg = format!("--build-arg=N={n}");
            let mut command = scenario.build_command(&["--pull=missing", &volume, &arg]);
            // A relative path is one below where the build is started.
            command.current_dir(scenario.context()).arg(".");
            let built = scenario.ended(command).ok();
            assert_eq!(says(&scenario, &built, "out"), n, "{kind:?}");
            let image = scenario.image(&built.image());
            let env = image.config["config"]["Env"].to_string();
            assert!(env.contains(&format!("WHICH={n}")), "{env}");
            if again {
                assert_eq!(built.builds(), 0, "{kind:?}: the same again");
            }
        }
        // Nothing of it is left, as on another machine with this storage.
        scenario.remove("out");
        let mut command = scenario.build_command(&["--pull=missing", &volume, "--build-arg=N=1"]);
        command.current_dir(scenario.context()).arg(".");
        let built = scenario.ended(command).ok();
        assert_eq!((says(&scenario, &built, "out").as_str(), built.builds()), ("1", 1), "{kind:?}");
    }
}

#[test]
fn a_base_that_nothing_makes_is_an_error_that_names_it() {
    let text = "\
FROM docker.io/library/busybox AS maker
RUN true
FROM oci:nowhere
COPY --from=maker /bin/true /x
";
    let (scenario, volume) = scenario(Kind::Buildah, text);
    let built = scenario.build(&[&volume]).fails(125);
    assert!(built.error().contains("oci:nowhere"), "{}", built.stderr);
    let without = scenario.build(&[]).fails(125);
    assert_eq!(without.builds(), 0);
}

#[test]
fn a_mount_that_is_written_to_counts_where_the_engine_lets_it() {
    let text = "\
FROM docker.io/library/busybox AS writer
ARG N
RUN --mount=type=bind,rw,source=.,target=/m echo $N >/m/gen
FROM docker.io/library/busybox
COPY gen /gen
COPY --from=writer /bin/true /x
";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text).file("gen", "0\n");
        for n in ["1", "2", "2", "1"] {
            let built = scenario.build(&[&format!("--build-arg=N={n}")]).ok();
            let on_the_disk = fs::read_to_string(scenario.context().join("gen")).unwrap();
            assert_eq!(says(&scenario, &built, "gen"), on_the_disk.trim(), "{kind:?}");
            // 1.28 writes through, later engines throw it away.
            let expected =
                if scenario.engine(&["--version"]).contains("1.28") { n } else { on_the_disk.trim() };
            assert!(kind == Kind::Podman || on_the_disk.trim() == expected, "{kind:?}: {on_the_disk}");
        }
    }
}
