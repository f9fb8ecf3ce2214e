//! Sources of the connector.

use std::collections::BTreeMap;

use super::reading::{Part, Reader, listed};
use super::{activity, translate};
use crate::clients::error::present;
use crate::domain::OrganizationId;
use crate::plan::observed::ReadingKind;
use crate::plan::snapshot::{PbxReading, Snapshot};

/// What the connector says of itself and of each PBX.
pub(super) async fn read(
    reader: &Reader<'_>,
    kind: ReadingKind,
    old: &Snapshot,
    (pbxs, dropped): (&[OrganizationId], &[OrganizationId]),
) -> Part {
    let connector = &reader.session.connector;
    let record = present(connector.account().await).map(|record| record.map(translate::record));
    let administrators = connector.administrators().await;
    let consents = connector.consents().await;
    let domains = connector.domains().await;
    let activity = activity::read(connector, reader.began).await;
    let authorization = connector.push_authorization().await.map(translate::push_authorization);
    let record = reader.single("accountRecord", &old.record, record);
    let administrators = listed(administrators.map(|all| all.map(translate::administrator)));
    let administrators = reader.source("administrators", &old.administrators, administrators);
    let consents = listed(consents.map(|all| all.map(translate::consent)));
    let consents = reader.confirmed(("consents", None), &old.consents, consents, |it| Some(it.group.clone()));
    let domains = listed(domains.map(|all| all.map(translate::domain)));
    let domains = reader.confirmed(("domains", None), &old.domains, domains, |it| Some(it.name.clone()));
    let activity = reader.source("importsAndPushes", &old.activity, activity);
    let authorization = reader.single("pushAuthorization", &old.push_authorization, authorization);
    let mut readings = BTreeMap::new();
    for pbx in pbxs {
        let before = old.pbxs.get(pbx).cloned().unwrap_or_default();
        readings.insert(*pbx, pbx_reading(reader, kind, before, *pbx).await);
    }
    let mut users = BTreeMap::new();
    for pbx in dropped.iter().filter(|_| kind != ReadingKind::Account) {
        let before = old.dropped_pbxs.get(pbx).cloned().unwrap_or_default();
        let listing = listed(connector.users(*pbx, |_| Some(())).await);
        users.insert(*pbx, reader.confirmed(("droppedPbxUsers", Some(*pbx)), &before, listing, |()| Some(())));
    }
    Box::new(move |snapshot| {
        snapshot.dropped_pbxs.extend(users);
        snapshot.record = record;
        snapshot.administrators = administrators;
        snapshot.consents = consents;
        snapshot.domains = domains;
        snapshot.activity = activity;
        snapshot.push_authorization = authorization;
        snapshot.pbxs.extend(readings);
    })
}

async fn pbx_reading(reader: &Reader<'_>, kind: ReadingKind, old: PbxReading, pbx: OrganizationId) -> PbxReading {
    let connector = &reader.session.connector;
    let service = present(connector.services(pbx).await).map(|service| service.as_ref().map(translate::service));
    let verification = present(connector.latest_verification(pbx).await).map(|last| last.map(translate::verification));
    let mut reading = PbxReading {
        service: reader.single("services", &old.service, service),
        verification: reader.single("verifications", &old.verification, verification),
        ..old
    };
    if kind != ReadingKind::Account {
        let entitlement =
            present(connector.entitlement(pbx).await).map(|bought| bought.as_ref().map(translate::entitlement));
        reading.entitlement = reader.single("entitlements", &reading.entitlement, entitlement);
        let users = connector.users(pbx, |user| Some(translate::connector_user(user))).await;
        // Its total tells of a lost page; only a listing that lost everybody looks complete.
        reading.users = reader.confirmed(("connectorUsers", Some(pbx)), &reading.users, listed(users), |_| Some(()));
    }
    if kind == ReadingKind::Full {
        let candidates = connector.candidates(pbx, |candidate| Some(translate::candidate(candidate))).await;
        reading.candidates =
            reader.confirmed(("candidates", Some(pbx)), &reading.candidates, listed(candidates), |it| {
                Some(it.key.clone())
            });
    }
    reading
}
