//! `build` end to end, on the installed engines: what it leaves, what a second run does, and what becomes of a failure.

#[path = "../support/schema.rs"]
mod schema;
#[path = "../support/mod.rs"]
mod support;

mod again;
mod at_once;
mod bad_input;
mod caches;
mod containers;
mod corruption;
mod destinations;
mod failure;
mod files;
mod host;
mod images;
mod interrupts;
mod keys;
mod lines;
mod other_machine;
mod outputs;
mod patch;
mod policies;
mod prune;
mod remote;
mod shown;
mod state;
mod steering;
mod unwritable;
mod upkeep;

use support::{Kind, Scenario};

/// Three stages: the second stands on the first, the last takes a file from the second.
const THREE_STAGES: &str = "\
FROM docker.io/library/busybox AS base
ENV LEVEL=1
COPY common /common
RUN echo base >/base
FROM base AS build
COPY src /src
RUN cat /src /common >/out
FROM base
COPY --from=build /out /app
CMD [\"/app\"]
";

fn three_stages(kind: Kind) -> Scenario {
    Scenario::on(kind, THREE_STAGES).file("common", "c\n").file("src", "s\n")
}
