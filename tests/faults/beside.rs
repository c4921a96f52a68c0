//! Builds at once, while others remove what they can.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Kind, Scenario};
use crate::{count, numbers, world};

/// What goes on beside the builds.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    OurPrune,
    PodmanPrune,
    Removals,
}

#[test]
#[ignore = "minutes long: make test-faults"]
fn builds_at_once_are_right_whatever_goes_on_beside_them() {
    let (rounds, mut random) = (count("ROUNDS", 200), numbers("builds at once"));
    let mut wrong = Vec::new();
    for round in 0..rounds {
        let kind = [Kind::Buildah, Kind::Podman][round % 2];
        let beside =
            [Beside::Nothing, Beside::OurPrune, Beside::PodmanPrune, Beside::Removals][round / 2 % 4];
        let scenario = world::scenario(kind);
        // All alike, or each of its own.
        let alike = random.percent(50);
        if let Err(problem) = one(&scenario, round, alike, beside) {
            let label = format!("{kind:?} {round}, alike: {alike}, beside {beside:?}");
            println!("WRONG {label}: {problem}");
            wrong.push(label);
        }
    }
    println!("{rounds} rounds of 8 builds, {} wrong", wrong.len());
    assert_eq!(wrong, [""; 0]);
}

#[test]
#[ignore = "minutes long: make test-faults"]
fn sixty_builds_beside_a_loop_of_podman_image_prune_succeed() {
    let builds = count("BUILDS", 60);
    let mut failed = Vec::new();
    for kind in [Kind::Buildah, Kind::Podman] {
        let scenario = world::scenario(kind);
        meanwhile(&scenario, Beside::PodmanPrune, || {
            for n in 0..builds.div_ceil(2) {
                let output = world::build(&scenario, &world::flags(&n.to_string(), "1")).output().unwrap();
                let right = output.status.success()
                    && world::wrong_files(&scenario, world::TAG, &n.to_string(), "1").is_none();
                if !right {
                    println!("WRONG {kind:?} {n}: {}", world::told(&output));
                    failed.push(n);
                }
            }
        });
    }
    println!("{builds} builds beside a loop of prunes, {} wrong", failed.len());
    assert_eq!(failed, [0; 0]);
}

fn one(scenario: &Scenario, round: usize, alike: bool, beside: Beside) -> Result<(), String> {
    let args = |build: usize| if alike { format!("r{round}") } else { format!("r{round}b{build}") };
    let tag = |build: usize| format!("localhost/app:b{build}");
    let start = |build: usize| -> Child {
        let mut flags = world::flags(&args(build), "1");
        flags[0] = format!("--tag={}", tag(build));
        world::build(scenario, &flags).spawn().unwrap()
    };
    let ended = meanwhile(scenario, beside, || {
        let children: Vec<Child> = (0..8).map(start).collect();
        let wait = |child: Child| thread::spawn(move || child.wait_with_output().unwrap());
        let waiting: Vec<_> = children.into_iter().map(wait).collect();
        waiting.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    for (build, output) in ended.iter().enumerate() {
        if !output.status.success() {
            return Err(format!("build {build}: {}", world::told(output)));
        }
        if !scenario.listed().iter().any(|image| image.names.contains(&tag(build))) {
            return Err(format!("build {build} ended with 0 and there is no image\n{}", world::told(output)));
        }
        if let Some(wrong) = world::wrong_files(scenario, &tag(build), &args(build), "1") {
            return Err(format!("build {build}: {wrong}"));
        }
    }
    if alike && matches!(beside, Beside::Nothing) {
        let runs: usize = scenario.records().iter().map(steps_that_ran).sum();
        if runs != world::STEPS {
            return Err(format!("{runs} runs of {} steps", world::STEPS));
        }
    }
    let left = world::left(scenario);
    if left.is_empty() { Ok(()) } else { Err(format!("left: {left:#?}")) }
}

fn steps_that_ran(record: &serde_json::Value) -> usize {
    let stages = record["stages"].as_array().into_iter().flatten();
    let steps = stages.flat_map(|stage| stage["steps"].as_array().into_iter().flatten());
    steps.filter(|step| step["verdict"]["verdict"] == "miss").count()
}

/// Does something while the other goes on.
fn meanwhile<T>(scenario: &Scenario, beside: Beside, what: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) && !matches!(beside, Beside::Nothing) {
                disturb(scenario, beside);
            }
        });
        let result = what();
        stop.store(true, Ordering::SeqCst);
        other.join().unwrap();
        result
    })
}

fn disturb(scenario: &Scenario, beside: Beside) {
    match beside {
        Beside::Nothing => {}
        Beside::OurPrune => {
            let _ = scenario.program(&[]).args(scenario.globals()).args(["prune", "--all"]).output();
        }
        Beside::PodmanPrune => drop(scenario.engine_output(Kind::Podman, &["image", "prune", "-f"])),
        Beside::Removals => {
            // Whatever of ours has a name just now; the results stay.
            let names = scenario.listed().into_iter().flat_map(|image| image.names);
            if let Some(name) = names.into_iter().find(|name| name.starts_with("localhost/stagecache/")) {
                scenario.engine_output(Kind::Buildah, &["rmi", "-f", &name]);
            }
            // Builds of which something is taken all the time come to no end, and should not.
            thread::sleep(std::time::Duration::from_secs(3));
        }
    }
}
