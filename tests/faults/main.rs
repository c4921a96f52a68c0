//! Breaks builds on purpose, at random, on the installed engines: kills, builds beside prunes, damaged state, secrets that
//! must not be found again. `make test-faults` runs all of it; `KILLS=n ROUNDS=n CORRUPTIONS=n` says how much, `SEED=n` with
//! which numbers. What fails names its round and the seed.

mod beside;
mod canaries;
mod corruption;
mod kills;
#[path = "../model/random.rs"]
mod random;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use random::Random;

/// How often something is tried: what the environment asks for, or this.
fn count(name: &str, by_default: usize) -> usize {
    std::env::var(name).ok().map_or(by_default, |text| text.parse().expect(name))
}

/// Other numbers each time, or those of `SEED`; told, so that a failure can be had again.
fn numbers(what: &str) -> Random {
    let now = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let seed = std::env::var("SEED").map_or_else(|_| now(), |text| text.parse().expect("SEED"));
    println!("{what}: SEED={seed}");
    Random::new(seed)
}
