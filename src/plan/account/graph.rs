//! The set-up is a graph, not a line: a part waits only for those before its arrow.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::finding::{Finding, Verdict, problem};
use super::steps::AccountStep;
use super::view::{Pbx, View};
use super::{administrators, domain, dropped, gates};
use crate::api::Reason;
use crate::api::conditions::{Draft, find};
use crate::plan::observed::Problem;
use crate::plan::snapshot::SourceFailure;

/// The credentials of GoTo, Microsoft and the connector were accepted and belong to whom the spec names.
pub const CREDENTIALS_VALID: &str = "CredentialsValid";
/// The operator's own app and token have every permission they need.
pub const PERMISSIONS_GRANTED: &str = "PermissionsGranted";
/// The integration is active for each PBX and has licenses (guide steps 1 and 10).
pub const ENTITLED: &str = "Entitled";
/// Each PBX of the spec is bound (guide step 9).
pub const PBXS_BOUND: &str = "PbxsBound";
/// The managing user of the spec accepted the invitation (guide steps 11 to 13).
pub const MANAGER_ONBOARDED: &str = "ManagerOnboarded";
/// Every administrator of the spec has the role and accepted the invitation (guide step 14).
pub const ADMINISTRATORS_READY: &str = "AdministratorsReady";
/// Enable Sync and Enable Service are on (guide step 17).
pub const SERVICE_ENABLED: &str = "ServiceEnabled";
/// The Global Administrator granted the connector's permissions (guide step 18).
pub const CONSENT_GRANTED: &str = "ConsentGranted";
/// A directory import has succeeded (guide step 19).
pub const DIRECTORY_IMPORTED: &str = "DirectoryImported";
/// The connection was verified after the newest consent and binding (guide step 20).
pub const CONNECTION_VERIFIED: &str = "ConnectionVerified";
/// Every Direct Routing domain is ready for calls.
pub const DOMAIN_ACTIVATED: &str = "DomainActivated";
/// The temporary user of the set-up is gone (guide step 7).
pub const TEMPORARY_USER_REMOVED: &str = "TemporaryUserRemoved";
/// No change waits for a push to Teams (guide step 30).
pub const TENANT_PUSHED: &str = "TenantPushed";

/// One part of the set-up.
pub(super) struct Gate {
    pub(super) kind: &'static str,
    /// Those before its arrow.
    after: &'static [&'static str],
    /// Whether policies write only while it holds.
    gates_writes: bool,
    /// What is said while it holds.
    holds: &'static str,
    look: fn(&View, &[Pbx]) -> Verdict,
}

/// All parts, in an order in which none comes before what it waits for.
const GATES: [Gate; 13] = [
    gate(CREDENTIALS_VALID, &[], true, "The credentials were accepted.", gates::credentials_valid),
    gate(PERMISSIONS_GRANTED, &[], true, "Every permission is given.", gates::permissions_granted),
    gate(
        ENTITLED,
        &[CREDENTIALS_VALID, PERMISSIONS_GRANTED],
        true,
        "The integration is active and has licenses.",
        gates::entitled,
    ),
    gate(PBXS_BOUND, &[ENTITLED], true, "Every PBX of the spec is bound.", gates::pbxs_bound),
    gate(MANAGER_ONBOARDED, &[ENTITLED], true, "The managing user accepted the invitation.", gates::manager_onboarded),
    gate(
        ADMINISTRATORS_READY,
        &[MANAGER_ONBOARDED],
        false,
        "Every administrator of the spec is active.",
        administrators::ready,
    ),
    gate(SERVICE_ENABLED, &[PBXS_BOUND], true, "Enable Sync and Enable Service are on.", gates::service_enabled),
    gate(CONSENT_GRANTED, &[SERVICE_ENABLED], true, "Every group of permissions is granted.", gates::consent_granted),
    gate(
        DIRECTORY_IMPORTED,
        &[CONSENT_GRANTED],
        true,
        "The tenant's directory was imported.",
        gates::directory_imported,
    ),
    gate(DOMAIN_ACTIVATED, &[CONSENT_GRANTED], true, "Every domain is activated.", domain::activated),
    gate(
        CONNECTION_VERIFIED,
        &[DIRECTORY_IMPORTED, DOMAIN_ACTIVATED],
        true,
        "The connection is verified.",
        gates::connection_verified,
    ),
    gate(TEMPORARY_USER_REMOVED, &[DOMAIN_ACTIVATED], false, "No temporary user exists.", domain::user_removed),
    gate(TENANT_PUSHED, &[CONSENT_GRANTED], false, "No change waits for a push to Teams.", gates::tenant_pushed),
];

impl Gate {
    /// Those before its arrow: the operator sets a domain up beside the consents, a connector after them.
    fn after(&self, view: &View) -> &'static [&'static str] {
        if self.kind == DOMAIN_ACTIVATED && domain::is_ours(view) { &[ENTITLED] } else { self.after }
    }
}

const fn gate(
    kind: &'static str,
    after: &'static [&'static str],
    gates_writes: bool,
    holds: &'static str,
    look: fn(&View, &[Pbx]) -> Verdict,
) -> Gate {
    Gate { kind, after, gates_writes, holds, look }
}

/// A part of the set-up, judged.
pub(super) struct Judged {
    pub(super) draft: Draft,
    pub(super) basis: Basis,
}

/// What a condition was made from.
pub(super) enum Basis {
    /// From what was read; what was found unless it holds.
    Read(Option<Finding>),
    /// As it was before: it could not be read yet, or what would change it waits for its next attempt.
    Kept,
    /// Something before its arrow does not hold.
    Waits,
}

impl Judged {
    pub(super) fn into_draft(self) -> Draft {
        self.draft
    }
}

/// Every part, in order.
pub(super) fn judge(view: &View) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::with_capacity(GATES.len());
    for gate in &GATES {
        let unmet = gate.after(view).iter().find(|kind| !holds(&judged, kind));
        let one = match unmet {
            Some(earlier) => waiting(view, gate, earlier),
            None => read(view, gate),
        };
        judged.push(one);
    }
    judged
}

fn holds(judged: &[Judged], kind: &str) -> bool {
    judged.iter().any(|one| one.draft.kind == kind && one.draft.status == Some(true))
}

/// Once evaluated a condition keeps its last status when an earlier one is lost.
fn waiting(view: &View, gate: &Gate, earlier: &str) -> Judged {
    let draft = judged_before(view, gate.kind).unwrap_or_else(|| {
        Draft::unknown(gate.kind, Reason::WaitingForPrerequisite).with_message(format!("Waits for {earlier}."))
    });
    Judged { draft, basis: Basis::Waits }
}

fn read(view: &View, gate: &Gate) -> Judged {
    match (gate.look)(view, &view.pbxs) {
        Verdict::Holds => Judged { draft: holding(view, gate), basis: Basis::Read(None) },
        Verdict::Unmet(finding) => {
            let Problem { reason, message } = finding.problem();
            let draft = Draft::no(gate.kind, reason).with_message(message);
            Judged { draft, basis: Basis::Read(Some(finding)) }
        }
        Verdict::Unread => {
            let draft = judged_before(view, gate.kind).unwrap_or_else(|| {
                Draft::unknown(gate.kind, Reason::Progressing).with_message("Not read completely yet.")
            });
            Judged { draft, basis: Basis::Kept }
        }
    }
}

/// What holds, and what is to be said of it all the same.
fn holding(view: &View, gate: &Gate) -> Draft {
    let remark = if gate.kind == PBXS_BOUND { dropped::in_use(view) } else { None };
    match remark.map(|finding| finding.problem()) {
        Some(Problem { reason, message }) => Draft::yes(gate.kind, reason).with_message(message),
        None => Draft::yes(gate.kind, Reason::Succeeded).with_message(gate.holds),
    }
}

/// The condition as it was, if it had been evaluated.
pub(super) fn previous(conditions: &[Condition], kind: &'static str) -> Option<Draft> {
    let old = find(conditions, kind)?;
    let status = match old.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => return None,
    };
    Some(Draft { kind, status, reason: Reason::parse(&old.reason)?, message: old.message.clone() })
}

/// The condition as it was, if it was judged for the spec as it is now: what held for another spec says nothing of this one.
pub(super) fn judged_before(view: &View, kind: &'static str) -> Option<Draft> {
    let conditions = &view.observed.status.conditions;
    let generation = find(conditions, kind)?.observed_generation;
    previous(conditions, kind).filter(|_| generation == Some(view.observed.generation))
}

/// While a failed step waits for its next attempt, its condition goes on telling why it failed.
pub(super) fn keep_held(judged: &mut [Judged], held_back: &[AccountStep], conditions: &[Condition]) {
    for one in judged.iter_mut().filter(|one| one.draft.status != Some(true)) {
        let held = held_back.iter().any(|step| step.gate() == one.draft.kind);
        let old = previous(conditions, one.draft.kind).filter(|old| old.status != Some(true));
        if let (true, Some(old)) = (held, old) {
            *one = Judged { draft: old, basis: Basis::Kept };
        }
    }
}

/// The first part that keeps the policies of these PBXs from writing, by the newest complete values alone.
pub(super) fn write_gate(view: &View, pbxs: &[Pbx], stale: Option<&Problem>) -> Option<Problem> {
    if view.observed.suspended {
        return Some(problem(Reason::Suspended, "The account is suspended.", None));
    }
    unmet(view, pbxs, |gate| gate.gates_writes).or_else(|| stale.cloned()).or_else(|| doubted(view))
}

/// What a listing lacked in the newest reading may have been taken away: that changes no condition before a second reading agrees,
/// but nobody is written on the strength of the reading before.
fn doubted(view: &View) -> Option<Problem> {
    let snapshot = view.snapshot;
    let listings = [
        (PERMISSIONS_GRANTED, &snapshot.graph_permissions.failure),
        (CONSENT_GRANTED, &snapshot.consents.failure),
        (DOMAIN_ACTIVATED, &snapshot.domains.failure),
    ];
    let doubt = |failure: &&Option<SourceFailure>| {
        failure.as_ref().is_some_and(|failure| failure.reason == Reason::SourceIncomplete)
    };
    let (kind, _) = listings.into_iter().find(|(_, failure)| doubt(failure))?;
    Some(problem(Reason::SourceIncomplete, &format!("{kind} was not read completely this time."), None))
}

/// The first of the named parts that does not hold for these PBXs.
pub(super) fn first_unmet(view: &View, pbxs: &[Pbx], kinds: &[&str]) -> Option<Problem> {
    unmet(view, pbxs, |gate| kinds.contains(&gate.kind))
}

fn unmet(view: &View, pbxs: &[Pbx], among: impl Fn(&Gate) -> bool) -> Option<Problem> {
    GATES.iter().filter(|gate| among(gate)).find_map(|gate| match (gate.look)(view, pbxs) {
        Verdict::Holds => None,
        Verdict::Unmet(finding) => Some(finding.problem()),
        Verdict::Unread => Some(unread(gate)),
    })
}

fn unread(gate: &Gate) -> Problem {
    problem(Reason::SourceIncomplete, &format!("{} could not be read completely yet.", gate.kind), None)
}
