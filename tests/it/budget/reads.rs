//! Which reads of the vendors a synchronization may make.

use std::collections::BTreeMap;

use k8s_openapi::jiff::SignedDuration;

use super::ledger::{Call, Ledger};

/// The call that each look at the connector begins with.
const LOOK: &str = "connector GET /accounts/{accountKey}";
/// What a reading of all sources asks of one route more than once: the application itself, and those whose permissions it has.
const TWICE: [&str; 1] = ["graph GET /v1.0/servicePrincipals(appId='{appId}')"];

/// Lists that are read by index: the journal numbers their pages as if all were full, so two that follow may share a number.
const BY_INDEX: [&str; 2] = [
    "goto-admin GET /admin/rest/v1/accounts/{accountKey}/users",
    "graph GET /v1.0/admin/teams/telephoneNumberManagement/numberAssignments",
];

/// P4: a list is read from its first page to its last, each page once, and no more often than there are readings; what is no
/// list is asked for once per reading.
pub(super) fn pages_once_per_reading(ledger: &Ledger) {
    // One more may be under way: a reading counts when it is made.
    let readings = ledger.readings.values().sum::<u64>() + 1;
    let mut by_name = BTreeMap::<String, Vec<&Call>>::new();
    for call in ledger.calls.iter().filter(|call| call.method == "GET" && call.is_true()) {
        by_name.entry(call.name()).or_default().push(call);
    }
    for (name, calls) in by_name {
        let rounds =
            if calls.iter().any(|call| call.page.is_some()) { rounds(&name, &calls) } else { calls.len() as u64 };
        let allowed = if TWICE.contains(&name.as_str()) { 2 * readings } else { readings };
        eprintln!("{:5} calls in {rounds:3} readings: {name}", calls.len());
        let when: Vec<_> = calls.iter().map(|call| (call.sequence, call.at.to_string(), call.status)).collect();
        assert!(rounds <= allowed, "{name}: read {rounds} times in {:?}: {when:?}", ledger.readings);
    }
}

/// How often a list was begun; a page that follows none, or comes twice, is one too many.
fn rounds(name: &str, calls: &[&Call]) -> u64 {
    let (mut rounds, mut last) = (0, None);
    for call in calls {
        let page = call.page.unwrap_or_default();
        let follows = last.map(|last| last + 1) == Some(page) || (BY_INDEX.contains(&name) && last == Some(page));
        assert!(page == 0 || follows, "{name}: page {page} after {last:?} in call {}", call.sequence);
        rounds += u64::from(page == 0);
        last = Some(page);
    }
    rounds
}

/// P4: whoever waits for an import, a push or a human looks again after 2 s at the earliest, and later with time. A look may
/// follow another one at once only after something was written.
pub(super) fn polls_are_apart(ledger: &Ledger) {
    let relevant = |call: &&Call| call.is_true() && (call.name() == LOOK || (call.wrote && !call.is_token()));
    let calls: Vec<_> = ledger.calls.iter().filter(relevant).collect();
    let stretches: Vec<_> = calls.split(|call| call.wrote).filter(|looks| looks.len() > 3).collect();
    for looks in &stretches {
        let took = looks.last().unwrap().at.duration_since(looks[0].at);
        let least = SignedDuration::from_secs(2) * i32::try_from(looks.len() - 3).unwrap();
        assert!(took >= least, "{} looks in {took:#}", looks.len());
    }
    let looks = calls.iter().filter(|call| !call.wrote).count();
    eprintln!("looks: {looks}, {} stretches of waiting", stretches.len());
    assert!(looks <= 80, "{looks} looks, however many users there are");
}
