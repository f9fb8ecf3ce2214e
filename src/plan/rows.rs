//! The rows of the manual process, resolved against one reading: which count, which do not, and why.
//!
//! **Architecture invariants**
//! - A row is resolved once: while a user's object has it, it means that user and the pin, whatever becomes of the addresses (R9).
//! - Nobody is guessed: of two rows for one user, or to one Microsoft user, none counts.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use super::counters::number;
use super::observed::KnownUser;
use super::reading::Presence;
use super::records::{self, Records};
use crate::api::{Mapping, MappingSource, MatchedBy, MatchingRow, Misfit, Rejection};
use crate::domain::{EntraObjectId, UserKey};

/// A status names so many rows at most.
const MAX_REJECTIONS: usize = 50;

/// What the rows say of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim<'a> {
    /// A valid row names this Microsoft user.
    Valid(EntraObjectId, &'a MatchingRow),
    /// There is a row for the user, and it does not count.
    Rejected,
    /// A row that does not count may mean the user.
    Perhaps,
}

/// The rows, resolved.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    claims: BTreeMap<UserKey, Claim<'a>>,
    targets: HashMap<EntraObjectId, Vec<UserKey>>,
    mapping: Option<Mapping>,
}

/// A row and whom it names.
struct Resolved<'a> {
    row: &'a MatchingRow,
    /// Everybody whom it may mean.
    users: Vec<UserKey>,
    target: Result<EntraObjectId, Misfit>,
    /// Who has the Microsoft user, where it names no one user: the row may be that user's, with a slip on the GoTo side.
    holder: Option<UserKey>,
}

impl<'a> Rows<'a> {
    /// Resolves the rows of the policy.
    pub(super) fn resolve(records: &Records<'a>, presence: &Presence<'_>) -> Self {
        let spec: &'a crate::api::UserSyncPolicySpec = records.observed.spec;
        let Some(manual) = &spec.matching.manual else { return Self::default() };
        let directory = Directory::new(records, presence);
        let resolved: Vec<_> = manual.entries.iter().map(|row| directory.row(row)).collect();
        let users = counted(resolved.iter().filter_map(|it| it.user().ok()));
        let targets = counted(resolved.iter().filter_map(|it| it.target.ok()));
        let mut rows = Self { mapping: Some(Mapping::default()), ..Self::default() };
        for (index, it) in resolved.iter().enumerate() {
            rows.add(index, it, it.judge(&users, &targets));
        }
        rows
    }

    fn add(&mut self, index: usize, it: &Resolved<'a>, judged: Result<(), Misfit>) {
        let (user, mapping) = (it.user().ok(), self.mapping.get_or_insert_default());
        if let (Some(user), Ok(target)) = (user, it.target) {
            self.targets.entry(target).or_default().push(user.clone());
        }
        match (judged, user, it.target) {
            (Ok(()), Some(user), Ok(target)) => {
                mapping.accepted += 1;
                self.claims.insert(user.clone(), Claim::Valid(target, it.row));
            }
            (judged, ..) => {
                mapping.rejected += 1;
                let (source, line) = (MappingSource::Entries, number(index + 1));
                let rejection = judged.err().map(|reason| Rejection { source, line, reason });
                mapping.rejections.extend(rejection.filter(|_| mapping.rejections.len() < MAX_REJECTIONS));
                let claim = if user.is_some() { Claim::Rejected } else { Claim::Perhaps };
                for user in it.users.iter().chain(&it.holder) {
                    let stored = self.claims.entry(user.clone()).or_insert(claim);
                    if *stored == Claim::Perhaps {
                        *stored = claim;
                    }
                }
            }
        }
    }

    /// For `status.mapping`.
    pub(super) fn mapping(&self) -> Option<Mapping> {
        self.mapping.clone()
    }

    /// What the rows say of the user; `None`: there is no row.
    pub(super) fn of(&self, key: &UserKey) -> Option<Claim<'a>> {
        self.claims.get(key).copied()
    }

    /// Whom the valid row of the user names.
    pub(super) fn target(&self, key: &UserKey) -> Option<EntraObjectId> {
        match self.of(key)? {
            Claim::Valid(target, _) => Some(target),
            Claim::Rejected | Claim::Perhaps => None,
        }
    }

    /// The valid rows.
    pub(super) fn valid(&self) -> impl Iterator<Item = (&UserKey, EntraObjectId)> + '_ {
        self.claims.keys().filter_map(|key| Some((key, self.target(key)?)))
    }

    /// Whether a row gives the Microsoft user to somebody else.
    pub(super) fn give_to_another(&self, id: EntraObjectId, key: &UserKey) -> bool {
        self.targets.get(&id).is_some_and(|users| users.iter().any(|user| user != key))
    }
}

impl Resolved<'_> {
    /// The one whom it means.
    fn user(&self) -> Result<&UserKey, Misfit> {
        match self.users.as_slice() {
            [user] => Ok(user),
            [] => Err(Misfit::NoGotoUser),
            _ => Err(Misfit::AmbiguousGotoUser),
        }
    }

    fn judge(&self, users: &HashMap<&UserKey, usize>, targets: &HashMap<EntraObjectId, usize>) -> Result<(), Misfit> {
        let (user, target) = (self.user()?, self.target?);
        if users.get(user).is_some_and(|count| *count > 1) {
            return Err(Misfit::DuplicateUser);
        }
        if targets.get(&target).is_some_and(|count| *count > 1) {
            return Err(Misfit::DuplicateTarget);
        }
        Ok(())
    }
}

/// Whom rows can name.
struct Directory<'r, 'a> {
    records: &'r Records<'a>,
    presence: &'r Presence<'r>,
    /// Users by the row that their objects have.
    stored: HashMap<&'a str, &'r UserKey>,
    /// The same by the row's Microsoft side.
    holders: HashMap<&'a str, &'r UserKey>,
}

impl<'r, 'a> Directory<'r, 'a> {
    fn new(records: &'r Records<'a>, presence: &'r Presence<'r>) -> Self {
        let here = records.users.iter().filter(|(key, _)| presence.is_in_scope(key));
        let here: Vec<_> = here.filter_map(|(key, user)| Some((stored_row(user)?, key))).collect();
        let stored = here.iter().map(|(row, key)| (row.goto.as_str(), *key)).collect();
        let holders = here.iter().map(|(row, key)| (row.teams.as_str(), *key)).collect();
        Self { records, presence, stored, holders }
    }

    fn row(&self, row: &'a MatchingRow) -> Resolved<'a> {
        let users = self.users(row);
        let target = self.target(row, &users);
        let holder = (users.len() != 1).then(|| self.holder(row, target.ok())).flatten();
        Resolved { row, users, target, holder }
    }

    fn holder(&self, row: &MatchingRow, target: Option<EntraObjectId>) -> Option<UserKey> {
        let same = self.holders.get(row.teams.as_str()).copied();
        same.or_else(|| self.records.pinned_to(target?)).cloned()
    }

    fn users(&self, row: &MatchingRow) -> Vec<UserKey> {
        if let Some(key) = self.stored.get(row.goto.as_str()) {
            return vec![(*key).clone()];
        }
        let text = row.goto.trim();
        let named = self.presence.names.people(text).into_iter().cloned();
        let mut users: Vec<UserKey> = text.parse().into_iter().chain(named).collect();
        users.retain(|key| self.presence.is_in_scope(key));
        users.sort_unstable();
        users.dedup();
        users
    }

    fn target(&self, row: &MatchingRow, users: &[UserKey]) -> Result<EntraObjectId, Misfit> {
        let known = || self.records.users.get(users.first().filter(|_| users.len() == 1)?).copied();
        let same = known().filter(|user| stored_row(user).is_some_and(|stored| stored.teams == row.teams));
        let pin = same.and_then(records::matched_pin).filter(|id| self.presence.has_teams_user(*id));
        if let Some(id) = pin {
            return Ok(id);
        }
        match self.presence.names.teams_users(row.teams.trim()).as_slice() {
            [id] => Ok(*id),
            [] => Err(Misfit::NoTeamsUser),
            _ => Err(Misfit::AmbiguousTeamsUser),
        }
    }
}

/// The row that the pin came from.
fn stored_row(user: &KnownUser) -> Option<&MatchingRow> {
    let manual = user.spec.matched_by == Some(MatchedBy::Manual);
    user.spec.matched_row.as_ref().filter(|_| manual)
}

fn counted<T: Eq + Hash>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}
