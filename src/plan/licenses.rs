//! Who gets the connector licenses that are left.

use std::collections::{BTreeMap, HashSet};

use super::exchange;
use super::reading::Reading;
use super::records::Records;
use super::snapshot::{ConnectorUser, Entitlement};
use super::subjects::{Attempt, Finding, Subject, is_transient};
use crate::api::{Reason, UserStage, UserState};
use crate::domain::{E164, UserKey};

/// Licenses that nobody uses; never below zero.
pub(super) fn available(entitlement: Option<Entitlement>) -> u32 {
    entitlement.map_or(0, |it| it.licenses_total.saturating_sub(it.licenses_in_use))
}

/// Admits wanted users while licenses last: those for whom a pair was removed, those an open run has promised it to, then those whom a
/// row names, then who has been known longest, then by address. The others wait, named; so does the second of two users with one number.
///
/// Returns the admitted in that order.
pub(super) fn admit(
    records: &Records<'_>,
    reading: &Reading<'_>,
    subjects: &mut BTreeMap<UserKey, Subject<'_>>,
) -> Vec<UserKey> {
    let mut left = unpromised(reading, subjects).saturating_sub(kept_free(records, subjects));
    let mut numbers = HashSet::new();
    let mut admitted = Vec::new();
    for (key, attempt) in in_order(records, subjects) {
        let Some(subject) = subjects.get_mut(&key) else { continue };
        let is_free = |number: &E164| !records.is_being_freed(number.as_str(), &key);
        let unique = subject.number.is_ok_and(|number| is_free(number) && numbers.insert(number));
        subject.finding = if !unique {
            stopped(UserStage::Preflight, Reason::NumberInUse)
        } else if left == 0 {
            stopped(UserStage::License, Reason::ConnectorLicenseExhausted)
        } else {
            left -= 1;
            admitted.push(key);
            Finding::Admitted(attempt)
        };
    }
    admitted
}

fn stopped(stage: UserStage, reason: Reason) -> Finding {
    Finding::Stopped { stage, reason, message: None }
}

/// Licenses that may be promised. Users who were accepted but are not listed yet have one, whether or not the entitlement
/// counts them already; users about whom nothing is concluded keep theirs.
pub(super) fn unpromised(reading: &Reading<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> usize {
    let kept = subjects.values().filter(|it| it.finding == Finding::Keep && keeps_promise(it)).count();
    free(reading, subjects).saturating_sub(kept)
}

/// Licenses that nobody has, whoever they are promised to.
pub(super) fn free(reading: &Reading<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> usize {
    bought(reading).saturating_sub(in_use(reading, unlisted(subjects)))
}

/// Whether the license that the pair frees, or else one more, is one that was bought.
pub(super) fn are_bought(reading: &Reading<'_>, unlisted: usize, pair: &ConnectorUser) -> bool {
    bought(reading) + usize::from(pair.licensed) > in_use(reading, unlisted)
}

/// Users who were accepted and are not listed yet.
pub(super) fn unlisted(subjects: &BTreeMap<UserKey, Subject<'_>>) -> usize {
    subjects.values().filter(|it| it.finding == Finding::Unlisted).count()
}

fn bought(reading: &Reading<'_>) -> usize {
    reading.entitlement.filter(|it| it.active).map_or(0, |it| it.licenses_total as usize)
}

fn in_use(reading: &Reading<'_>, unlisted: usize) -> usize {
    let licensed = reading.pairs.values().filter(|pair| pair.licensed).count();
    reading.entitlement.map_or(0, |it| it.licenses_in_use as usize).max(licensed + unlisted)
}

/// Licenses that removed pairs freed for new keys, or for the same with another Microsoft user, which are not put yet. Whoever is wanted
/// takes it in his turn, and who misses what does not come by itself keeps it from nobody.
fn kept_free(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> usize {
    let waits = |(old, new): &(UserKey, UserKey)| {
        let is_removed = subjects.get(old).is_none_or(|old| old.pair.is_none());
        is_removed && subjects.get(new).is_some_and(|new| new.pair.is_none() && is_awaited(new))
    };
    let exchanged =
        subjects.values().filter(|it| it.pair.is_none() && exchange::goes_on(records, it) && is_awaited(it));
    records.replacements().filter(waits).count() + exchanged.count()
}

fn is_awaited(new: &Subject<'_>) -> bool {
    match &new.finding {
        Finding::Replacing | Finding::Leaving => true,
        Finding::Keep => !keeps_promise(new),
        Finding::Stopped { reason, .. } => is_transient(*reason),
        _ => false,
    }
}

fn keeps_promise(subject: &Subject<'_>) -> bool {
    let stage = subject.known.and_then(|known| known.status.stage);
    let on_the_way = subject.stored_state() == Some(UserState::Pending)
        && matches!(stage, Some(UserStage::Apply | UserStage::Verify));
    on_the_way && subject.pair.is_none_or(|pair| !pair.licensed)
}

fn in_order(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Vec<(UserKey, Attempt)> {
    let wanted = subjects.values().filter_map(|subject| match subject.finding {
        Finding::Wanted(attempt) => Some((subject, attempt)),
        _ => None,
    });
    let mut ranked: Vec<_> = wanted
        .map(|(subject, attempt)| {
            let promised = records.action(&subject.key).is_some();
            let address = subject.person.and_then(|person| person.user.address.as_ref());
            let automatic = subject.row.is_none();
            let follows = exchange::follows(records, &subject.key, subject.teams.map(|teams| teams.id));
            ((!follows, !promised, automatic, records.first_seen(subject), address, &subject.key), attempt)
        })
        .collect();
    ranked.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    ranked.into_iter().map(|((.., key), attempt)| (key.clone(), attempt)).collect()
}
