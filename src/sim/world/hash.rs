//! The end state of a world as one short text.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::World;
use super::connector::{Connector, Pair, Sent};
use crate::clients::connector::wire::{ConsentState, DomainState};
use crate::domain::{AccountKey, EntraObjectId, OrganizationId, UserKey};

/// What outlives the way to it: no times, no counters, no ids of runs, and not who added a pair but whether that is noted.
struct EndState<'a> {
    set_ups: BTreeMap<&'a AccountKey, SetUp<'a>>,
    domains: BTreeMap<&'a str, bool>,
    pbxs: BTreeMap<(&'a AccountKey, &'a OrganizationId), PbxState<'a>>,
    numbers: BTreeMap<&'a str, Option<EntraObjectId>>,
    voice: BTreeMap<&'a EntraObjectId, (bool, Vec<&'a str>)>,
}

/// What the cards before the users hold.
#[derive(Serialize)]
struct SetUp<'a> {
    manager: Option<&'a str>,
    accepted: bool,
    administrators: BTreeMap<&'a str, (&'a str, bool)>,
    consents: BTreeMap<&'a str, ConsentState>,
    domains: BTreeMap<&'a str, DomainState>,
}

#[derive(Serialize)]
struct PbxState<'a> {
    licenses_total: Option<u32>,
    bound: bool,
    services: (bool, bool),
    pairs: BTreeMap<&'a UserKey, PairState<'a>>,
}

#[derive(Serialize)]
struct PairState<'a> {
    teams_user: EntraObjectId,
    ours: bool,
    number: Option<&'a str>,
    enabled: bool,
    provisioned: Option<&'a str>,
}

/// SHA-256 of the end state: equal for worlds that differ only in how they came there.
pub fn state_hash(world: &World) -> String {
    let pbxs = world.connectors.iter().flat_map(|(account, connector)| {
        connector.pbxs.iter().map(move |(id, pbx)| {
            let state = PbxState {
                licenses_total: pbx.entitlement.as_ref().map(|it| it.licenses_total),
                bound: pbx.bound_at.is_some(),
                services: (pbx.sync_enabled, pbx.service_enabled),
                pairs: pbx.users.iter().map(|(key, pair)| (key, PairState::of(pair))).collect(),
            };
            ((account, id), state)
        })
    });
    let numbers = world.tenant.numbers.iter().map(|(number, it)| (number.as_str(), *it.target.truth()));
    let voice = world.tenant.users.iter().map(|(id, user)| {
        let voice = user.voice.truth();
        (id, (voice.enabled, voice.numbers.iter().map(String::as_str).collect()))
    });
    let domains = world.tenant.domains.iter().map(|(name, domain)| (name.as_str(), *domain.verified.truth()));
    let state = EndState {
        set_ups: world.connectors.iter().map(|(account, connector)| (account, SetUp::of(connector))).collect(),
        domains: domains.collect(),
        pbxs: pbxs.collect(),
        numbers: numbers.collect(),
        voice: voice.collect(),
    };
    let mut digest = Sha256::new();
    for part in [
        serde_json::to_vec(&state.set_ups),
        serde_json::to_vec(&state.domains),
        serde_json::to_vec(&state.pbxs.iter().collect::<Vec<_>>()),
        serde_json::to_vec(&state.numbers),
        serde_json::to_vec(&state.voice),
    ] {
        digest.update(part.unwrap_or_default());
    }
    hex::encode(digest.finalize())
}

impl<'a> SetUp<'a> {
    fn of(connector: &'a Connector) -> Self {
        let accepted = |sent: &Option<Sent>| sent.as_ref().is_some_and(|sent| sent.accepted_at.is_some());
        let administrators = connector.administrators.iter();
        Self {
            manager: connector.record.as_ref().map(|record| record.manager.email.as_str()),
            accepted: connector.record.as_ref().is_some_and(|record| accepted(&record.invitation)),
            administrators: administrators
                .map(|(email, it)| (email.as_str(), (it.role.as_str(), accepted(&it.invitation))))
                .collect(),
            consents: connector.consents.iter().map(|it| (it.group.as_str(), it.state)).collect(),
            domains: connector.domains.iter().map(|(name, domain)| (name.as_str(), domain.state)).collect(),
        }
    }
}

impl<'a> PairState<'a> {
    fn of(pair: &'a Pair) -> Self {
        Self {
            teams_user: pair.teams_user,
            ours: pair.external_id.is_some(),
            number: pair.phone_number.as_deref(),
            enabled: pair.enabled,
            provisioned: pair.provisioned.as_deref(),
        }
    }
}
