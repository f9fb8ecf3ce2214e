//! Sources of Microsoft.

use super::reading::{Part, Reader};
use super::translate;
use super::users::TenantUsers;
use crate::clients::graph::NEEDED_PERMISSIONS;
use crate::controllers::error::incomplete;
use crate::plan::snapshot::{Permission, Snapshot};

/// Permissions, users and seats.
pub(super) async fn directory(reader: &Reader<'_>, old: &Snapshot, tenant: &mut TenantUsers) -> Part {
    let graph = &reader.session.graph;
    let granted = graph.own_permissions(&reader.session.app_id).await;
    let permissions = granted.map_err(|error| incomplete(&error)).map(|granted| {
        let all = NEEDED_PERMISSIONS.iter();
        all.map(|permission| Permission {
            name: permission.name.to_owned(),
            reason: permission.reason.to_owned(),
            granted: granted.has(permission),
        })
        .collect()
    });
    let users = tenant.read(graph, &reader.session.app_id, reader.began).await;
    let skus = graph.subscribed_skus().await;
    let permissions = reader.source("permissions", &old.graph_permissions, permissions);
    let users = reader.source("teamsUsers", &old.teams_users, users.map_err(|error| incomplete(&error)));
    let seats = skus.map(|skus| translate::seats(skus.items())).map_err(|error| incomplete(&error));
    let seats = reader.source("seats", &old.seats, seats);
    Box::new(move |snapshot| {
        snapshot.graph_permissions = permissions;
        snapshot.teams_users = users;
        snapshot.seats = seats;
    })
}

/// Numbers and voice state.
pub(super) async fn voice(reader: &Reader<'_>, old: &Snapshot) -> Part {
    let graph = &reader.session.graph;
    let numbers = graph.number_assignments(|number| translate::number_assignment(&number)).await;
    let voice = graph.user_configurations(|configuration| Some(translate::voice_state(&configuration))).await;
    let numbers = reader.list("numberAssignments", &old.number_assignments, numbers);
    let voice = reader.list("voice", &old.voice, voice);
    Box::new(move |snapshot| {
        snapshot.number_assignments = numbers;
        snapshot.voice = voice;
    })
}
