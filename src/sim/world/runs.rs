//! Directory imports and pushes: started, listed, and the ticks that they leave.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Run};
use super::page::{Cut, Listed};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire;
use crate::clients::connector::wire::{
    ConsentState, SyncCounts, SyncKind, SyncOutcome, SyncResult, SyncSide, SyncState, SyncStatus, SyncTick,
};
use crate::domain::{AccountKey, OrganizationId};

impl World {
    /// `POST A/syncs`: returns the run as it was accepted.
    pub fn start_run(
        &mut self,
        account: &AccountKey,
        kind: SyncKind,
        organization: Option<OrganizationId>,
        now: Timestamp,
    ) -> Result<wire::Sync, Refusal> {
        self.may_start(account, kind, organization, now)?;
        let length = match kind {
            SyncKind::Directory => self.settings.directory_import_seconds,
            SyncKind::Push => self.settings.push_seconds,
        };
        let works_at = after(now, self.settings.queue_seconds.min(length));
        let connector = self.connector_mut(account)?;
        connector.run_count += 1;
        let run = Run {
            id: format!("run-{:06}", connector.run_count),
            kind,
            organization,
            accepted_at: now,
            works_at,
            ends_at: after(now, length),
            end: None,
            revision: connector.revision,
            users: 0,
            results: BTreeMap::new(),
        };
        let view = run.view(now);
        connector.runs.push(run);
        Ok(view)
    }

    fn may_start(
        &self,
        account: &AccountKey,
        kind: SyncKind,
        organization: Option<OrganizationId>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let connector = self.connector(account)?;
        match (kind, organization) {
            (SyncKind::Directory, None) => return Err(Refusal::InvalidValue("organizationId is required")),
            (SyncKind::Push, Some(_)) => return Err(Refusal::InvalidValue("a push is of the whole account")),
            (SyncKind::Directory, Some(pbx)) if self.pbx(account, pbx)?.bound_at.is_none() => {
                return Err(Refusal::PbxRequired);
            }
            _ => {}
        }
        if !connector.consented(kind) {
            return Err(Refusal::ConsentRequired);
        }
        if kind == SyncKind::Push && !connector.push_authorization.allows(now) {
            return Err(Refusal::SignInRequired);
        }
        match connector.last_run(kind).filter(|run| run.end.is_none()) {
            Some(run) => Err(Refusal::SyncRunning { id: run.id.clone() }),
            None => Ok(()),
        }
    }

    /// `GET A/syncs?since=`: newest first.
    pub fn runs(
        &self,
        account: &AccountKey,
        since: Option<Timestamp>,
        cut: Cut<'_>,
        now: Timestamp,
    ) -> Result<Listed<wire::Sync>, Refusal> {
        let runs = &self.connector(account)?.runs;
        let wanted = || runs.iter().rev().filter(|run| since.is_none_or(|since| since <= run.accepted_at));
        Ok(cut.descending(wanted().count(), wanted().map(|run| (run.id.as_str(), run)), |run| run.view(now)))
    }

    /// `GET A/syncs/{id}`.
    pub fn run(&self, account: &AccountKey, id: &str, now: Timestamp) -> Result<wire::Sync, Refusal> {
        Ok(self.connector(account)?.run(id)?.view(now))
    }

    /// `GET A/syncs/{id}/results`.
    pub fn run_results(&self, account: &AccountKey, id: &str, cut: Cut<'_>) -> Result<Listed<SyncResult>, Refusal> {
        let results = &self.connector(account)?.run(id)?.results;
        let entries = results.iter().map(|(user, outcome)| (user.as_str(), (user, outcome)));
        Ok(cut.ascending(results.len(), entries, |(user, outcome)| SyncResult {
            goto_user_key: user.clone(),
            outcome: outcome.outcome,
            error_code: outcome.error_code.clone(),
            message: outcome.error_code.as_deref().map(|code| format!("the tenant refused: {code}")),
        }))
    }

    /// `GET A/sync-state`.
    pub fn ticks(&self, account: &AccountKey) -> Result<SyncState, Refusal> {
        let connector = self.connector(account)?;
        Ok(SyncState { directory: self.import_tick(connector), push: connector.push_tick() })
    }

    fn import_tick(&self, connector: &Connector) -> SyncSide {
        let last = connector.last_run(SyncKind::Directory);
        let queued = connector.imported_version < self.tenant.version || connector.imported.is_empty();
        let unseen = self.tenant.users.values().filter(|user| user.version > connector.imported_version);
        side(last, queued, unseen.filter_map(|user| user.visible_since).min())
    }
}

/// The tick of one side: whether changes wait, and since when if that is known.
fn side(last: Option<&Run>, queued: bool, changes_since: Option<Timestamp>) -> SyncSide {
    let state = match last {
        Some(run) if run.end.is_none() => SyncTick::Syncing,
        Some(run) if run.end == Some(SyncStatus::Failed) => SyncTick::Failed,
        _ if queued => SyncTick::ChangesQueued,
        Some(run) if run.end == Some(SyncStatus::Warning) => SyncTick::Warning,
        _ => SyncTick::UpToDate,
    };
    SyncSide { state, changes_since }
}

impl Connector {
    /// The newest run of a kind.
    pub fn last_run(&self, kind: SyncKind) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.kind == kind)
    }

    /// The first group allows imports; a push needs every group.
    pub fn consented(&self, kind: SyncKind) -> bool {
        let needed = match kind {
            SyncKind::Directory => 1,
            SyncKind::Push => self.consents.len().max(1),
        };
        let granted = |count: usize| self.consents.iter().take(count).all(|it| it.state == ConsentState::Granted);
        self.consents.len() >= needed && granted(needed)
    }

    fn run(&self, id: &str) -> Result<&Run, Refusal> {
        self.runs.iter().find(|run| run.id == id).ok_or(Refusal::NotFound("run"))
    }

    fn push_tick(&self) -> SyncSide {
        let last = self.last_run(SyncKind::Push);
        let carried = last.filter(|run| run.end != Some(SyncStatus::Failed)).map_or(0, |run| run.revision);
        let pairs = self.pbxs.values().flat_map(|pbx| pbx.users.values());
        let changed = pairs.filter(|pair| pair.revision > carried).map(|pair| pair.updated_at);
        let removed = self.removed.iter().filter(|pair| pair.revision > carried).map(|pair| pair.removed_at);
        let since = changed.chain(removed).min();
        side(last, since.is_some(), since)
    }
}

impl Run {
    /// The run as the contract shows it at `now`.
    pub fn view(&self, now: Timestamp) -> wire::Sync {
        let failed = self.results.values().filter(|it| it.outcome == SyncOutcome::Failed).count();
        let state = match self.end {
            Some(end) => end,
            None if now < self.works_at => SyncStatus::Queued,
            None => SyncStatus::Running,
        };
        wire::Sync {
            id: self.id.clone(),
            kind: self.kind,
            state,
            started_at: self.accepted_at,
            finished_at: self.end.map(|_| self.ends_at),
            counts: SyncCounts { users: self.users, failed: u64::try_from(failed).unwrap_or(u64::MAX) },
        }
    }
}
