//! A process beside a build that outlives it: what was killed cannot clean up behind itself, so this does.
//!
//! It waits for the end of a pipe that the build's process alone holds open. When the build has come to its end by itself
//! there is nothing to do. It leads a group of its own, so that who kills the build's group does not kill it too; where it
//! is killed as well, the next build or `prune` does the same.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::{LOCK, Lease, sweep};
use crate::engine::Engine;
use crate::session::Session;

/// The word on the command line that starts it: engine, the lease's file and the engine's global flags follow.
pub const WATCHER: &str = "--watch-build";

/// How long the lock of a process that is being killed is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// The watcher's own work.
///
/// # Errors
/// When something of a killed build cannot be removed.
pub fn run(args: &[OsString]) -> anyhow::Result<()> {
    let [program, lease, globals @ ..] = args else { bail!("{WATCHER} is a build's own") };
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let (lease, since) = (Path::new(lease), Instant::now());
    while lease.exists() && since.elapsed() < PATIENCE {
        let session = Session::open(Some(program), globals.to_vec())?;
        let _lock = session.store.lock_shared(LOCK, || {})?;
        sweep(session.engine.as_ref(), &session.store)?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
