//! The guide's five counters and the users by state, counted from what is published.
//!
//! The counters equal card 5 of the dashboard for a file with one row for each user object that is Connected, Retained, or
//! Pending at Apply or Verify: a row whose user has no license is one to add, and every licensed user stays.

use std::collections::BTreeMap;

use super::licenses;
use super::reading::Reading;
use super::user_plan::PlannedUser;
use crate::api::{BlockedReason, Counters, Managed, Reason, UserCounts, UserStage, UserState};

/// The five counters.
pub(super) fn counters(reading: &Reading<'_>, users: &[PlannedUser], to_remove: usize) -> Counters {
    let licensed = |user: &PlannedUser| reading.pairs.get(&user.key).is_some_and(|pair| pair.licensed);
    let users_to_add = number(users.iter().filter(|user| is_row(user) && !licensed(user)).count());
    let current = number(reading.pairs.values().filter(|pair| pair.licensed).count());
    let users_to_remove = number(to_remove);
    Counters {
        licenses_available: licenses::available(reading.entitlement),
        licenses_total: reading.entitlement.map_or(0, |it| it.licenses_total),
        users_to_add,
        users_to_remove,
        users_after_sync: (current + users_to_add).saturating_sub(users_to_remove),
    }
}

fn is_row(user: &PlannedUser) -> bool {
    match user.status.state {
        Some(UserState::Connected | UserState::Retained | UserState::Disabled) => true,
        Some(UserState::Pending) => matches!(user.status.stage, Some(UserStage::Apply | UserStage::Verify)),
        Some(UserState::Blocked | UserState::Waiting | UserState::Removing | UserState::Removed) | None => false,
    }
}

/// Users by state.
pub(super) fn counts(reading: &Reading<'_>, users: &[PlannedUser]) -> UserCounts {
    let mut counts = UserCounts::default();
    let mut ours = 0;
    for user in users {
        ours += u32::from(user.spec.managed != Managed::None && reading.pairs.contains_key(&user.key));
        *match user.status.state {
            Some(UserState::Connected) => &mut counts.connected,
            Some(UserState::Waiting) => &mut counts.waiting,
            Some(UserState::Retained | UserState::Disabled | UserState::Removing) => &mut counts.retained,
            Some(UserState::Removed) => continue,
            Some(UserState::Blocked) if is_unmatched(user) => &mut counts.unmatched,
            Some(UserState::Blocked) => &mut counts.blocked,
            Some(UserState::Pending) | None => &mut counts.pending,
        } += 1;
        counts.in_scope += 1;
    }
    counts.foreign = number(reading.pairs.len()).saturating_sub(ours);
    counts
}

/// Blocked users by reason, most frequent first, without those whom nobody matches.
pub(super) fn blocked(users: &[PlannedUser]) -> Vec<BlockedReason> {
    let mut by_reason: BTreeMap<&str, u32> = BTreeMap::new();
    let is_blocked = |user: &&PlannedUser| user.status.state == Some(UserState::Blocked) && !is_unmatched(user);
    for reason in users.iter().filter(is_blocked).filter_map(|user| user.status.reason.as_deref()) {
        *by_reason.entry(reason).or_insert(0) += 1;
    }
    let mut rows: Vec<_> =
        by_reason.into_iter().map(|(reason, users)| BlockedReason { reason: reason.to_owned(), users }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.users));
    rows
}

fn is_unmatched(user: &PlannedUser) -> bool {
    user.status.reason.as_deref() == Some(Reason::NoMatch.as_str())
}

pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
