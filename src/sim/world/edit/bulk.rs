//! One change for many users, so that a test with 41 leavers of 400 is one call.

use k8s_openapi::jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index;
use serde::{Deserialize, Serialize};

use super::WorldEdit;
use crate::domain::{EntraObjectId, OrganizationId, UserKey};
use crate::sim::world::{Refusal, World};

/// Which users. Administrators of the account are never drawn and are no part of "all": the operator acts as one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Who {
    /// The PBX; absent: the first one.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// These, by key or address; absent: all of `among`.
    #[serde(default)]
    pub users: Option<Vec<String>>,
    /// Only so many of them, chosen by the seed of the world and the one given here.
    #[serde(default)]
    pub drawn: Option<u32>,
    /// Whom "all" means.
    #[serde(default)]
    pub among: Among,
    /// Another seed draws others.
    #[serde(default)]
    pub seed: u64,
}

/// Whom "all" means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Among {
    /// The users of the PBX.
    #[default]
    Members,
    /// Those of them who are connected, and pairs whose user has left the PBX.
    Connected,
}

/// What happens to each of them: the edit of that name for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "each is described where it is an edit of its own")]
pub enum Change {
    DeleteGotoUser,
    /// The new key is the old one with another first digit: 7, or 8 if it was 7.
    RecreateGotoUser,
    RemoveLine,
    MoveToPbx {
        organization: OrganizationId,
    },
    SetSecureCalling {
        on: bool,
    },
    /// Of the paired user of the tenant, else of the one whose UPN is the GoTo address; the same for those that follow.
    DeleteTeamsUser,
    RestoreTeamsUser,
    SetAccountEnabled {
        enabled: bool,
    },
    SetPlan {
        plan: String,
        status: Option<String>,
    },
    /// With the user of the tenant whose UPN is the GoTo address.
    AddPair,
    SetPairEnabled {
        enabled: bool,
    },
    RemovePair,
}

impl World {
    /// The users whom [`WorldEdit::Each`] is for, in the order of their keys.
    pub fn chosen(&self, who: &Who) -> Result<Vec<UserKey>, Refusal> {
        let (account, organization) = self.pbx_or_first(who.organization)?;
        let goto = self.goto.accounts.get(&account).ok_or(Refusal::NotFound("account"))?;
        let pairs = &self.pbx(&account, organization)?.users;
        let mut all: Vec<UserKey> = match (&who.users, who.among) {
            (Some(users), _) => users.iter().map(|name| self.key_of(name)).collect::<Result<_, _>>()?,
            (None, Among::Members) => goto.members(organization).map(|(key, _)| key.clone()).collect(),
            (None, Among::Connected) => pairs.keys().cloned().collect(),
        };
        if who.users.is_none() {
            all.retain(|key| goto.users.get(key).is_none_or(|user| user.admin_roles.is_empty()));
        }
        let Some(amount) = who.drawn else { return Ok(all) };
        let amount = usize::try_from(amount).unwrap_or(usize::MAX);
        if amount > all.len() {
            return Err(Refusal::InvalidValue("there are not so many users"));
        }
        let mut random = StdRng::seed_from_u64(self.settings.seed.rotate_left(32) ^ who.seed);
        let mut drawn: Vec<_> = index::sample(&mut random, all.len(), amount).into_iter().collect();
        drawn.sort_unstable();
        Ok(drawn.into_iter().filter_map(|position| all.get(position).cloned()).collect())
    }

    pub(super) fn each(&mut self, who: &Who, change: &Change, now: Timestamp) -> Result<(), Refusal> {
        for key in self.chosen(who)? {
            let edit = self.edit_of(&key, who.organization, change)?;
            self.edit(edit, now)?;
        }
        Ok(())
    }

    /// The key of a GoTo user, also of one whom only a pair remembers.
    fn key_of(&self, name: &str) -> Result<UserKey, Refusal> {
        self.find_goto_user(name).or_else(|_| name.parse().map_err(|_| Refusal::NotFound("GoTo user")))
    }

    fn edit_of(
        &self,
        key: &UserKey,
        organization: Option<OrganizationId>,
        change: &Change,
    ) -> Result<WorldEdit, Refusal> {
        let user = key.to_string();
        Ok(match change.clone() {
            Change::DeleteGotoUser => WorldEdit::DeleteGotoUser { user },
            Change::RecreateGotoUser => {
                let key = successor(&user).ok_or(Refusal::InvalidValue("the key has no successor"))?;
                WorldEdit::RecreateGotoUser { user, key }
            }
            Change::RemoveLine => WorldEdit::RemoveLine { user },
            Change::MoveToPbx { organization } => WorldEdit::MoveToPbx { user, organization },
            Change::SetSecureCalling { on } => WorldEdit::SetSecureCalling { user, on },
            Change::AddPair => {
                let teams_user = self.counterpart(key)?;
                WorldEdit::AddPair { organization, user, teams_user, external_id: None, number: None }
            }
            Change::SetPairEnabled { enabled } => WorldEdit::SetPairEnabled { organization, user, enabled },
            Change::RemovePair => WorldEdit::RemovePair { organization, user },
            Change::DeleteTeamsUser => WorldEdit::DeleteTeamsUser { teams_user: self.counterpart(key)? },
            Change::RestoreTeamsUser => WorldEdit::RestoreTeamsUser { teams_user: self.counterpart(key)? },
            Change::SetAccountEnabled { enabled } => {
                WorldEdit::SetAccountEnabled { teams_user: self.counterpart(key)?, enabled }
            }
            Change::SetPlan { plan, status } => WorldEdit::SetPlan { teams_user: self.counterpart(key)?, plan, status },
        })
    }

    /// The user of the tenant: by the pair, else by the address.
    fn counterpart(&self, key: &UserKey) -> Result<String, Refusal> {
        let pbxs = self.connectors.values().flat_map(|connector| connector.pbxs.values());
        let paired: Option<EntraObjectId> = pbxs.filter_map(|pbx| pbx.users.get(key)).map(|it| it.teams_user).next();
        let users = self.goto.accounts.values().filter_map(|account| account.users.get(key));
        let address = users.map(|user| user.email.clone()).next();
        paired.map(|id| id.to_string()).or(address).ok_or(Refusal::NotFound("Teams user"))
    }
}

fn successor(key: &str) -> Option<UserKey> {
    let first = if key.starts_with('7') { '8' } else { '7' };
    format!("{first}{}", key.get(1..)?).parse().ok()
}
