//! A process beside a build that outlives it: what was killed cannot clean up behind itself, so this does.
//!
//! It (`cmd::watch`) waits for the end of a pipe that the build's process alone holds open. When the build has come to its end by itself
//! there is nothing to do. It leads a group of its own, so that who kills the build's group does not kill it too; where it
//! is killed as well, the next build or `prune` does the same.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Lease;
use crate::engine::Engine;

/// The word on the command line that starts it: engine, the lease's file and the engine's global flags follow.
pub const WATCHER: &str = "--watch-build";

static IS_ALLOWED: AtomicBool = AtomicBool::new(false);

/// Says that this program is the one that knows [`WATCHER`].
pub fn allow_watcher() {
    IS_ALLOWED.store(true, Ordering::Relaxed);
}

/// A watcher; it ends when dropped.
#[derive(Debug)]
pub struct Watcher(Child);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a watcher. Where that cannot be, the next build cleans up.
pub fn watch(engine: &dyn Engine, lease: &Lease) -> Option<Watcher> {
    let file = lease.path().filter(|_| IS_ALLOWED.load(Ordering::Relaxed))?;
    // The program as it runs, also where another one has taken its place.
    let mut command = Command::new("/proc/self/exe");
    command.arg(WATCHER).arg(&engine.probed().program).arg(file).args(engine.globals());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().ok().map(Watcher)
}
