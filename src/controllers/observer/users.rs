//! The users of the tenant: base and delta cursor live together in memory, and are dropped together.

use std::collections::HashMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::translate;
use crate::clients::error::Class;
use crate::clients::graph::{DeltaCursor, GraphClient};
use crate::clients::listing::Incomplete;
use crate::domain::EntraObjectId;
use crate::plan::snapshot::TeamsUser;

/// A full round is made at least this often.
const BASE_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Base and cursor of one tenant and one app registration.
#[derive(Default)]
pub(super) struct TenantUsers {
    base: Option<Base>,
}

struct Base {
    app_id: String,
    since: Timestamp,
    cursor: DeltaCursor,
    users: HashMap<EntraObjectId, TeamsUser>,
}

/// The users of the tenant after a round.
pub(super) struct Listed {
    /// In order of their ids.
    pub(super) users: Vec<TeamsUser>,
    /// Whether the round listed everybody; else it told of changes.
    pub(super) full: bool,
}

/// One entry of a delta round; the newest one of a user counts.
enum Change {
    Present(TeamsUser),
    Gone(EntraObjectId),
}

impl TenantUsers {
    /// The next round lists everybody.
    pub(super) fn list_again(&mut self) {
        self.base = None;
    }

    /// The users now: the changes since the last round, or all of them.
    pub(super) async fn read(
        &mut self,
        graph: &GraphClient,
        app_id: &str,
        now: Timestamp,
    ) -> Result<Listed, Incomplete> {
        self.base = self.base.take().filter(|base| base.app_id == app_id && now.duration_since(base.since) < BASE_LIFE);
        let mut full = self.base.is_none();
        match self.round(graph, app_id, now).await {
            Err(incomplete) if self.base.is_some() && incomplete.class() == Class::Resync => {
                self.base = None;
                full = true;
                self.round(graph, app_id, now).await?;
            }
            other => other?,
        }
        let mut users: Vec<_> = self.base.iter().flat_map(|base| base.users.values().cloned()).collect();
        users.sort_by_key(|user| user.id);
        Ok(Listed { users, full })
    }

    /// The new cursor is kept only together with all changes of its round.
    async fn round(&mut self, graph: &GraphClient, app_id: &str, now: Timestamp) -> Result<(), Incomplete> {
        let cursor = self.base.as_ref().map(|base| &base.cursor);
        let round = graph.users_delta(cursor, |user| {
            Some(match (&user.removed, translate::teams_user(&user)) {
                (None, Some(present)) => Change::Present(present),
                _ => Change::Gone(user.id),
            })
        });
        let round = round.await?;
        let (changes, cursor) = round.into_parts();
        let (mut users, since) =
            self.base.take().map_or_else(|| (HashMap::new(), now), |base| (base.users, base.since));
        for change in changes.into_items() {
            match change {
                Change::Present(user) => drop(users.insert(user.id, user)),
                Change::Gone(id) => drop(users.remove(&id)),
            }
        }
        self.base = Some(Base { app_id: app_id.to_owned(), since, cursor, users });
        Ok(())
    }
}
