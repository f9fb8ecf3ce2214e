//! Directory imports, pushes and their ticks.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::translate;
use crate::clients::connector::ConnectorClient;
use crate::clients::connector::wire::{SyncKind, SyncOutcome};
use crate::controllers::error::{incomplete, source_failure};
use crate::domain::UserKey;
use crate::plan::snapshot::{Activity, Job, JobState, SourceFailure};

/// Older imports and pushes say nothing that the ticks do not.
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What the connector did and does, newest first.
pub(super) async fn read(connector: &ConnectorClient, now: Timestamp) -> Result<Activity, SourceFailure> {
    let ticks = connector.sync_state().await.map_err(|error| source_failure(&error))?;
    let since = now.checked_sub(HISTORY).unwrap_or(now);
    let listed = connector.syncs(since).await.map_err(|error| incomplete(&error))?.into_items();
    let failed: BTreeMap<String, u64> = listed.iter().map(|job| (job.id.clone(), job.counts.failed)).collect();
    let (imports, pushes): (Vec<_>, Vec<_>) = listed.into_iter().partition(|job| job.kind == SyncKind::Directory);
    let (imports, pushes) = (newest_first(imports), newest_first(pushes));
    let newest = pushes.iter().find(|push| push.state == JobState::Done);
    let push_failures = match newest.filter(|push| failed.get(&push.id).is_some_and(|failed| *failed > 0)) {
        Some(push) => failures(connector, &push.id).await?,
        None => BTreeMap::new(),
    };
    Ok(Activity {
        directory_tick: translate::tick(ticks.directory.state),
        push_tick: translate::tick(ticks.push.state),
        push_changes_since: ticks.push.changes_since,
        imports,
        pushes,
        push_failures,
    })
}

fn newest_first(jobs: Vec<crate::clients::connector::wire::Sync>) -> Vec<Job> {
    let mut jobs: Vec<_> = jobs.into_iter().map(translate::job).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.started_at));
    jobs
}

async fn failures(connector: &ConnectorClient, push: &str) -> Result<BTreeMap<UserKey, String>, SourceFailure> {
    let failed = connector.sync_results(push, |result| {
        (result.outcome == SyncOutcome::Failed)
            .then(|| (result.goto_user_key, result.error_code.unwrap_or_else(|| "Failed".to_owned())))
    });
    Ok(failed.await.map_err(|error| incomplete(&error))?.into_items().into_iter().collect())
}
