//! Cause and effect, rule by rule.

mod bulk;
mod edits;
mod files;
mod leaving;
mod licenses;
mod pushes;
mod setup;
mod users;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::demo::{account_key, organization_id, teams_user_id, user_key};
use super::test_credentials::START;
use super::{Put, Refusal, World, WorldEdit};
use crate::clients::connector::wire::{ConnectorUser, PutUser, Sync, SyncKind};

pub(super) const ANN: u32 = 1;
pub(super) const JOAO: u32 = 2;
pub(super) const KOFI: u32 = 3;
pub(super) const LENA: u32 = 4;
pub(super) const MARIA: u32 = 5;
pub(super) const OMAR: u32 = 6;

/// The demo world and its time.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { world: World::demo().unwrap(), now: START }
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.world.settle(self.now);
    }

    pub(super) fn edit(&mut self, edit: WorldEdit) {
        self.world.edit(edit, self.now).unwrap();
    }

    /// Adds the GoTo user with the first ordinal as the Teams user with the second.
    pub(super) fn pair(&mut self, goto: u32, teams: u32) -> Result<Put, Refusal> {
        let put = PutUser { teams_user_id: teams_user_id(teams), external_id: "ours".to_owned(), phone_number: None };
        self.world.put_user(&account_key(), organization_id(), &user_key(goto), &put, self.now)
    }

    pub(super) fn add(&mut self, person: u32) -> Result<Put, Refusal> {
        self.pair(person, person)
    }

    pub(super) fn enable(&mut self, person: u32, enabled: bool) -> Result<(), Refusal> {
        self.world.set_user_enabled(&account_key(), organization_id(), &user_key(person), enabled, self.now)
    }

    pub(super) fn remove(&mut self, person: u32) -> Result<(), Refusal> {
        self.world.delete_user(&account_key(), organization_id(), &user_key(person), self.now)
    }

    pub(super) fn user(&self, person: u32) -> ConnectorUser {
        self.world.connector_user(&account_key(), organization_id(), &user_key(person), self.now).unwrap()
    }

    /// Signs in for pushes, unless an earlier sign-in still holds.
    pub(super) fn sign_in(&mut self) {
        if self.world.connectors[&account_key()].push_authorization.allows(self.now) {
            return;
        }
        self.world.request_push_authorization(&account_key(), self.now).unwrap();
        self.world.human(&account_key(), &super::HumanAction::SignInForPush {}, self.now).unwrap();
    }

    pub(super) fn start(&mut self, kind: SyncKind) -> Result<Sync, Refusal> {
        let pbx = (kind == SyncKind::Directory).then(organization_id);
        self.world.start_run(&account_key(), kind, pbx, self.now)
    }

    /// A push from sign-in to end.
    pub(super) fn push(&mut self) -> String {
        self.sign_in();
        let id = self.start(SyncKind::Push).unwrap().id;
        self.pass(40);
        id
    }

    pub(super) fn in_use(&self) -> u32 {
        self.world.entitlement(&account_key(), organization_id(), self.now).unwrap().licenses_in_use
    }

    /// Who has the number of the person, and whether the person has enterprise voice.
    pub(super) fn calls(&self, person: u32) -> (Option<crate::domain::EntraObjectId>, bool) {
        let number = format!("+1555{:07}", 5_550_100 + person);
        let target = self.world.tenant.numbers.get(&number).and_then(|it| *it.target.truth());
        (target, self.world.tenant.users[&teams_user_id(person)].voice.truth().enabled)
    }
}
