//! The end state of a world as one short text.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::World;
use super::connector::Pair;
use crate::domain::{AccountKey, EntraObjectId, OrganizationId, UserKey};

/// What outlives the way to it: no times, no counters, no ids of runs, and not who added a pair but whether that is noted.
struct EndState<'a> {
    pbxs: BTreeMap<(&'a AccountKey, &'a OrganizationId), PbxState<'a>>,
    numbers: BTreeMap<&'a str, Option<EntraObjectId>>,
    voice: BTreeMap<&'a EntraObjectId, (bool, Vec<&'a str>)>,
}

#[derive(Serialize)]
struct PbxState<'a> {
    licenses_total: Option<u32>,
    bound: bool,
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
    let state = EndState { pbxs: pbxs.collect(), numbers: numbers.collect(), voice: voice.collect() };
    let mut digest = Sha256::new();
    for part in [
        serde_json::to_vec(&state.pbxs.iter().collect::<Vec<_>>()),
        serde_json::to_vec(&state.numbers),
        serde_json::to_vec(&state.voice),
    ] {
        digest.update(part.unwrap_or_default());
    }
    hex::encode(digest.finalize())
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
