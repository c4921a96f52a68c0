//! What goes before builds on a storage, and behind them: what killed ones left, and what has become too much.

use std::collections::BTreeSet;

use anyhow::bail;

use super::BuildResult;
use crate::image::ImageId;
use crate::process;
use crate::record::{StageRecord, StageStatus};
use crate::report::say;
use crate::report::steps::counted;
use crate::report::table;
use crate::request::BuildRequest;
use crate::session::Session;
use crate::upkeep;

/// Removes what killed builds have left; one that cannot be cleaned up behind keeps no other from building.
pub(super) fn sweep(session: &Session, request: &BuildRequest) {
    match upkeep::sweep(session.engine.as_ref(), &session.store) {
        Ok(swept) if swept > 0 && !request.quiet => {
            say(&format!("removed what killed builds left: {}", counted(swept, "build")));
        }
        Ok(_) => {}
        Err(error) => {
            say(&format!("warning: what a killed build has left is still there: {error:#}"));
        }
    }
}

/// Removes what the builds have no use for any more, and holds the cache below its bound where something was built.
pub(super) fn keep_small(
    session: &Session,
    request: &BuildRequest,
    results: &[BuildResult],
) -> anyhow::Result<()> {
    if process::interrupted() {
        return Ok(());
    }
    let stages = || results.iter().flat_map(|result| &result.record.stages);
    let in_use: BTreeSet<&ImageId> = stages().flat_map(StageRecord::images).collect();
    for result in results {
        if let Err(error) =
            upkeep::clear_away(session.engine.as_ref(), &session.store, &result.leftovers, &in_use)
        {
            say(&format!("warning: images of earlier builds are not removed: {error:#}"));
        }
    }
    if !stages().any(|stage| stage.status == StageStatus::Built) {
        return Ok(());
    }
    let own: Vec<String> = stages().filter_map(|stage| stage.image_name.clone()).collect();
    match upkeep::enforce(session.engine.as_ref(), &session.store, request.keep_storage, &own) {
        // The build is done and its image is there: what is too much is removed another time.
        Err(error) => say(&format!("warning: the cache is not kept small: {error:#}")),
        Ok(Some(removal)) if !request.quiet => {
            let freed = table::bytes(removal.bytes);
            say(&format!(
                "removed {} stage images, {freed}, to keep the cache small (--keep-storage)",
                removal.names.len()
            ));
        }
        Ok(_) => {}
    }
    if let Err(error) = upkeep::tidy(session.engine.as_ref(), &session.store) {
        say(&format!("warning: the state folder is not kept small: {error:#}"));
    }
    Ok(())
}

/// Sees to it that what was built is there when success is said. A prune that looked at the storage before an image had its
/// name takes it a moment later.
///
/// # Errors
/// When an image that was given a name has neither; one without a name is anybody's to prune.
pub(super) fn are_there(session: &Session, results: &[BuildResult]) -> anyhow::Result<()> {
    let built = |result: &&BuildResult| result.record.stages.iter().any(|s| s.status == StageStatus::Built);
    let mut listing = None;
    for result in results.iter().filter(built) {
        let names = result.record.result.iter().flat_map(|result| &result.names);
        for name in names {
            let listing = match &listing {
                Some(listing) => listing,
                None => listing.insert(session.engine.list()?),
            };
            if !listing.contains(&result.image) && listing.named(name).is_none() {
                bail!(
                    "image {} ({name}) was built, and went from the storage at once: something prunes images there; build again, \
                     most of it is cached",
                    result.image.short()
                );
            }
        }
    }
    Ok(())
}
