//! Sources of Microsoft.

use super::reading::{Part, Reader, listed};
use super::translate;
use super::users::{Listed, TenantUsers};
use crate::clients::graph::{NEEDED_PERMISSIONS, SET_UP_PERMISSIONS};
use crate::controllers::error::incomplete;
use crate::plan::snapshot::{Permission, Snapshot, Source, TeamsUser};

/// Permissions, users and seats.
pub(super) async fn directory(reader: &Reader<'_>, old: &Snapshot, tenant: &mut TenantUsers) -> Part {
    let graph = &reader.session.graph;
    let granted = graph.own_permissions(&reader.session.app_id).await;
    let permissions = granted.map_err(|error| incomplete(&error)).map(|granted| {
        let all = NEEDED_PERMISSIONS.iter().chain(SET_UP_PERMISSIONS.iter().filter(|_| reader.manages_domains));
        all.map(|permission| Permission {
            name: permission.name.to_owned(),
            reason: permission.reason.to_owned(),
            granted: granted.has(permission),
            set_up: SET_UP_PERMISSIONS.contains(permission),
        })
        .collect()
    });
    let users = users(reader, old, tenant).await;
    let skus = graph.subscribed_skus().await;
    let permissions =
        reader.confirmed(("permissions", None), &old.graph_permissions, permissions, |it: &Permission| {
            it.granted.then(|| it.name.clone())
        });
    let seats = skus.map(|skus| translate::seats(skus.items())).map_err(|error| incomplete(&error));
    let seats = reader.source("seats", &old.seats, seats);
    Box::new(move |snapshot| {
        snapshot.graph_permissions = permissions;
        snapshot.teams_users = users;
        snapshot.seats = seats;
    })
}

/// A full round may have lost somebody without a sign, so the first one is made again by the next reading; and a round that misses
/// somebody, full or of changes, is followed by a full one, so that two rounds agree before anybody is gone (R5).
async fn users(reader: &Reader<'_>, old: &Snapshot, tenant: &mut TenantUsers) -> Source<Vec<TeamsUser>> {
    let old = &old.teams_users;
    let read = tenant.read(&reader.session.graph, &reader.session.app_id, reader.began).await;
    let full = read.as_ref().is_ok_and(|listed| listed.full);
    let read = read.map(|Listed { users, .. }| users).map_err(|error| incomplete(&error));
    let listed = read.is_ok();
    let source = reader.confirmed(("teamsUsers", None), old, read, |user| Some(user.id));
    if full && old.known().is_none() || listed && source.failure.is_some() {
        tenant.list_again();
    }
    source
}

/// Numbers and voice state.
pub(super) async fn voice(reader: &Reader<'_>, old: &Snapshot) -> Part {
    let graph = &reader.session.graph;
    let numbers = graph.number_assignments(|number| translate::number_assignment(&number)).await;
    let voice = graph.user_configurations(|configuration| Some(translate::voice_state(&configuration))).await;
    let numbers = reader
        .confirmed(("numberAssignments", None), &old.number_assignments, listed(numbers), |it| Some(it.number.clone()));
    let voice = reader.confirmed(("voice", None), &old.voice, listed(voice), |it| Some(it.id));
    Box::new(move |snapshot| {
        snapshot.number_assignments = numbers;
        snapshot.voice = voice;
    })
}
