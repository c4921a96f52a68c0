//! Builds that are ended from outside, in the middle of whatever they do.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Kind, Scenario};
use crate::{count, numbers, world};

/// Within this time a build ends that is told to.
const LIMIT: Duration = Duration::from_secs(3);

/// Whom the signal goes to.
#[derive(Clone, Copy, Debug)]
enum Whom {
    Process,
    Group,
    Tree,
}

/// What is built.
#[derive(Clone, Copy, Debug)]
enum What {
    Cold,
    Warm,
    Failing,
}

#[test]
#[ignore = "minutes long: make test-faults"]
fn a_killed_build_loses_nothing_that_was_done_and_leaves_nothing() {
    let (kills, mut random) = (count("KILLS", 300), numbers("kills"));
    let mut wrong = Vec::new();
    let mut slowest = Duration::ZERO;
    for kind in [Kind::Buildah, Kind::Podman] {
        let mut scenario = world::scenario(kind);
        let time = time_of(&scenario);
        for round in 0..kills.div_ceil(2) {
            let signal = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL][round % 3];
            let whom = [Whom::Process, Whom::Group, Whom::Tree][round / 3 % 3];
            let what = [What::Cold, What::Warm, What::Failing][round / 9 % 3];
            let after = time.mul_f64(f64::from(u32::try_from(random.below(1000)).unwrap()) / 900.0);
            let label =
                format!("{kind:?} {round}: {signal} to {whom:?} after {} ms of {what:?}", after.as_millis());
            let result = one(&scenario, round, (signal, whom, what), after, &mut slowest);
            if let Err(problem) = result {
                println!("WRONG {label}: {problem}");
                wrong.push(label);
                // What is left counts once.
                scenario = world::scenario(kind);
                time_of(&scenario);
            }
        }
    }
    println!("{kills} kills, {} wrong; the slowest end took {} ms", wrong.len(), slowest.as_millis());
    assert_eq!(wrong, [""; 0]);
}

/// How long a build takes in which everything runs.
fn time_of(scenario: &Scenario) -> Duration {
    let started = Instant::now();
    let output = world::build(scenario, &world::flags("0", "0")).output().unwrap();
    assert!(output.status.success(), "{}", world::told(&output));
    started.elapsed()
}

fn one(
    scenario: &Scenario,
    round: usize,
    (signal, whom, what): (Signal, Whom, What),
    after: Duration,
    slowest: &mut Duration,
) -> Result<(), String> {
    let (n, last) = match what {
        What::Cold => (format!("n{round}"), format!("l{round}")),
        What::Warm => ("0".to_owned(), format!("l{round}")),
        What::Failing => (format!("n{round}"), "fails".to_owned()),
    };
    let flags = world::flags(&n, &last);
    let mut child = world::build(scenario, &flags).process_group(0).spawn().unwrap();
    thread::sleep(after);
    let sent = Instant::now();
    let over = child.try_wait().unwrap().is_some();
    let pid = Pid::from_raw(child.id().cast_signed());
    // Who is over by now does not mind.
    let _ = match whom {
        _ if over => Ok(()),
        Whom::Process => kill(pid, signal),
        Whom::Group => killpg(pid, signal),
        Whom::Tree => {
            let tree = world::processes(scenario).into_keys();
            tree.map(|pid| kill(Pid::from_raw(pid), signal)).fold(Ok(()), Result::and)
        }
    };
    let output = child.wait_with_output().unwrap();
    let took = sent.elapsed();
    judge_end(&output, signal, what, over, took)?;
    let killed = scenario.records().pop().unwrap_or_default();
    if signal == Signal::SIGKILL {
        let there = world::quiet(scenario, LIMIT);
        if !there.is_empty() {
            return Err(format!("engines run on: {there:?}"));
        }
        // The next build or a prune sweeps.
        if round % 2 == 0 {
            let pruned = scenario
                .program(&[])
                .args(scenario.globals())
                .args(["prune", "--keep-storage=100GB"])
                .output();
            let pruned = pruned.unwrap();
            if !pruned.status.success() {
                return Err(format!("prune: {}", world::told(&pruned)));
            }
            clean(scenario, "behind prune")?;
        }
    } else {
        *slowest = took.max(*slowest);
        clean(scenario, "at once")?;
    }
    let again = world::build(scenario, &flags).output().unwrap();
    let wanted = if matches!(what, What::Failing) { 1 } else { 0 };
    if again.status.code() != Some(wanted) {
        return Err(format!("the next build: {:?}\n{}", again.status, world::told(&again)));
    }
    clean(scenario, "behind the next build")?;
    let next = scenario.records().pop().unwrap();
    if let Some(step) = ran_twice(&killed, &next) {
        return Err(format!("{step} was over and ran again\n{}", world::told(&again)));
    }
    let wrong = if wanted == 0 { world::wrong_files(scenario, world::TAG, &n, &last) } else { None };
    wrong.map_or(Ok(()), Err)
}

fn judge_end(output: &Output, signal: Signal, what: What, over: bool, took: Duration) -> Result<(), String> {
    let told = || format!("{:?} after {} ms\n{}", output.status, took.as_millis(), world::told(output));
    let by_itself = if matches!(what, What::Failing) { 1 } else { 0 };
    // It may be past the point where a signal makes a difference.
    let ended = output.status.code() == Some(by_itself);
    let by_signal = match signal {
        Signal::SIGKILL => output.status.signal() == Some(9),
        signal => output.status.code() == Some(128 + signal as i32),
    };
    if !(ended || by_signal && !over) {
        return Err(format!("another end: {}", told()));
    }
    if took > LIMIT && signal != Signal::SIGKILL {
        return Err(format!("too slow: {}", told()));
    }
    Ok(())
}

fn clean(scenario: &Scenario, when: &str) -> Result<(), String> {
    let left = world::left(scenario);
    if left.is_empty() { Ok(()) } else { Err(format!("left {when}: {left:#?}")) }
}

/// A step that the killed build had finished, and that the next one ran again.
fn ran_twice(killed: &Value, next: &Value) -> Option<String> {
    let steps = |record: &Value| -> Vec<(String, bool)> {
        let stages = record["stages"].as_array().into_iter().flatten();
        let of_stage = |stage: &Value| {
            let steps = stage["steps"].as_array().into_iter().flatten();
            let name = stage["name"].to_string();
            let step = |step: &Value| {
                let ran = step["verdict"]["verdict"] == "miss" && step["image"].is_string();
                (format!("{name} {}", step["key"]), ran)
            };
            steps.map(step).collect::<Vec<_>>()
        };
        stages.flat_map(of_stage).collect()
    };
    let again = steps(next);
    steps(killed).into_iter().find(|step| step.1 && again.contains(step)).map(|(step, _)| step)
}
