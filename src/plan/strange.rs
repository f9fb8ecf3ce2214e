//! Whether the connector that was read is the one where this policy's users are: a changed endpoint may lead elsewhere.

use std::collections::{HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;

use super::observed::{KnownRun, Problem};
use super::polling::LISTING_LAG;
use super::runs;
use super::snapshot::PbxReading;
use crate::api::{LastChange, Managed, Reason, TeamsConnectorUser, UserStage, UserState};

/// R16: nothing is written where most of those are missing who were connected. A person who knows better sets `requestedAt`, which
/// adds them again: those of an open run are not missed. Read from status, as it can only hold writes back.
#[must_use]
pub fn strange_connector<'a>(
    pbx: &PbxReading,
    users: impl IntoIterator<Item = &'a TeamsConnectorUser>,
    runs: &[KnownRun],
    now: Timestamp,
) -> Option<Problem> {
    let open = runs.iter().filter(|run| runs::is_open(run)).flat_map(|run| &run.spec.actions);
    let adding: HashSet<&str> = open.map(|action| action.user.as_str()).collect();
    let pairs = pbx.users.known()?;
    let pairs: HashMap<&str, String> =
        pairs.iter().map(|pair| (pair.key.as_str(), pair.teams_user.to_string())).collect();
    let (mut expected, mut missing) = (0_usize, 0_usize);
    for user in users.into_iter().filter(|user| was_there(user, now)) {
        if adding.contains(user.spec.goto_user_key.as_str()) {
            continue;
        }
        expected += 1;
        missing += usize::from(pairs.get(user.spec.goto_user_key.as_str()) != user.spec.teams_user_id.as_ref());
    }
    (missing * 2 > expected).then(|| Problem {
        reason: Reason::ConnectorStrange,
        message: format!(
            "{missing} of {expected} connected users are not there. {}",
            Reason::ConnectorStrange.message()
        ),
    })
}

/// Whether the connector has shown the user, or accepted him so long ago that it should; whom a run removed is not missed.
fn was_there(user: &TeamsConnectorUser, now: Timestamp) -> bool {
    let status = user.status.as_ref();
    let change = status.and_then(|status| status.last_change.as_ref());
    let is_old = |change: &LastChange| now.duration_since(change.at.0) >= LISTING_LAG;
    // Whom no reading has ever listed: that he is not there says nothing new of the connector.
    let unseen = status.is_some_and(|it| it.state == Some(UserState::Pending) && it.stage == Some(UserStage::Apply));
    let accepted = !unseen && change.is_some_and(|change| !change.action.removes() && is_old(change));
    let connected = change.is_none() && status.is_some_and(|status| status.state == Some(UserState::Connected));
    user.spec.managed != Managed::None && (accepted || connected)
}
