//! What is built, and what may be left of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Kind, Scenario};

/// Three stages, some of them slow, one that copies a larger file; `N` makes the middle one and what stands on it another
/// one, `LAST` only the last step.
const CONTAINERFILE: &str = "\
FROM docker.io/library/busybox AS base
RUN sleep 0.1; echo base >/base
FROM base AS one
ARG N
RUN sleep 0.1; echo one $N >/one
COPY big /big
RUN sleep 0.1; echo more $N >/more
ENV STAGE=one
FROM base AS two
ARG N
RUN sleep 0.2; echo two $N >/two
COPY --from=one /one /from-one
FROM base
ARG LAST
COPY --from=one /one /more /big /
COPY --from=two /two /from-one /
RUN sleep 0.1; echo $LAST >/last; test $LAST != fails
CMD [\"cat\", \"/last\"]
";

/// How many steps that are.
pub const STEPS: usize = 9;

/// The tag that all builds give.
pub const TAG: &str = "localhost/app:1";

/// A scenario of that.
pub fn scenario(kind: Kind) -> Scenario {
    let scenario = Scenario::on(kind, CONTAINERFILE);
    fs::write(scenario.context().join("big"), vec![b'x'; 4 << 20]).unwrap();
    scenario
}

/// The flags of a build.
pub fn flags(n: &str, last: &str) -> Vec<String> {
    vec![format!("--tag={TAG}"), format!("--build-arg=N={n}"), format!("--build-arg=LAST={last}")]
}

/// The build, to be started, with its streams in pipes.
pub fn build(scenario: &Scenario, flags: &[String]) -> Command {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut command = scenario.build_command(&flags);
    command.arg(scenario.context()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether the image has the files of a build with these arguments.
pub fn wrong_files(scenario: &Scenario, image: &str, n: &str, last: &str) -> Option<String> {
    let files = scenario.files(&scenario.image(image));
    let wanted = [
        ("base", "base".to_owned()),
        ("one", format!("one {n}")),
        ("more", format!("more {n}")),
        ("two", format!("two {n}")),
        ("from-one", format!("one {n}")),
        ("last", last.to_owned()),
    ];
    let wrong =
        wanted.iter().find(|(path, text)| files.get(*path) != Some(&format!("file 644 0:0 {text}\n")));
    wrong.map(|(path, text)| format!("{path}: {:?}, wanted {text}", files.get(*path)))
}

/// The processes that work in the scenario's folder, with their command lines.
pub fn processes(scenario: &Scenario) -> BTreeMap<i32, String> {
    let folder = scenario.folder().to_string_lossy().into_owned();
    let own = std::process::id().cast_signed();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != own && line.contains(&folder) {
            found.insert(pid, line);
        }
    }
    found
}

/// What is left of builds, in words: containers, temporary files, mounts, processes, records that say `running`.
pub fn left(scenario: &Scenario) -> Vec<String> {
    let mut left = scenario.left();
    let root = scenario.folder().join("root");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let inside = points.filter(|point| point.starts_with(&*root.to_string_lossy()));
    // The storage driver keeps one of its own.
    left.extend(
        inside.filter(|point| point.matches("/merged").count() > 0).map(|point| format!("mount {point}")),
    );
    left.extend(processes(scenario).into_values().map(|line| format!("process {line}")));
    left
}

/// Waits until no process works in the scenario's folder; what is there then.
pub fn quiet(scenario: &Scenario, limit: Duration) -> BTreeMap<i32, String> {
    let started = Instant::now();
    loop {
        let there = processes(scenario);
        if there.is_empty() || started.elapsed() > limit {
            return there;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Both streams of a build, to be shown where something is wrong.
pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
