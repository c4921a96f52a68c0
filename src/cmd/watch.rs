//! The process beside a build that cleans up behind it where it is killed: see `upkeep::watch`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::session::Session;
use crate::upkeep::{self, LOCK, WATCHER};

/// How long the lock of a process that is being killed is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for the end of the build.
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
        upkeep::sweep(session.engine.as_ref(), &session.store)?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
