//! What is to be written for the account. Every value is chosen; every step can be repeated.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::finding::{Verdict, problem};
use super::push::{self, Push};
use super::report::StepProblem;
use super::view::{Pbx, View, is_current};
use super::{domain, gates, graph, pending, setup};
use crate::api::{AdministratorSpec, Reason, StepFailure};
use crate::domain::{EntraObjectId, OrganizationId};
use crate::plan::observed::PolicyDemand;
use crate::plan::snapshot::{Activity, Job, JobState, Manager, Tick, VerificationState};

/// One write for the account.
///
/// A key is the `Idempotency-Key` of the call: the same for the same intent, so that a repeated call starts nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// Enters the managing user at card 1, or corrects it before the invitation was accepted (guide step 11).
    PutRecord {
        /// The managing user of the spec.
        manager: Manager,
    },
    /// Sends the invitation to the managing user (guide step 12).
    SendInvitation {
        /// Idempotency key.
        key: String,
    },
    /// Binds a PBX of the spec to the connector (guide step 9).
    BindPbx {
        /// The PBX.
        pbx: OrganizationId,
    },
    /// Unbinds a PBX that was taken from the spec and that nobody uses.
    UnbindPbx {
        /// The PBX.
        pbx: OrganizationId,
    },
    /// Adds a further administrator, or changes the role; no mail is sent (guide step 14).
    PutAdministrator {
        /// The administrator of the spec.
        administrator: AdministratorSpec,
    },
    /// Sends the invitation to a further administrator.
    InviteAdministrator {
        /// Address as the connector writes it.
        email: String,
        /// Idempotency key.
        key: String,
    },
    /// Removes an administrator whom the spec does not list.
    RemoveAdministrator {
        /// Address as the connector writes it.
        email: String,
    },
    /// Enable Sync of a PBX (guide step 17).
    EnableSync {
        /// The PBX.
        pbx: OrganizationId,
    },
    /// Enable Service of a PBX, once Enable Sync was read back (guide step 17).
    EnableService {
        /// The PBX.
        pbx: OrganizationId,
    },
    /// Adds a domain of the connector to the tenant.
    AddDomain {
        /// Fully qualified name.
        name: String,
    },
    /// Lets the connector publish the text by which Microsoft recognises the tenant as owner.
    PublishDomainText {
        /// Fully qualified name.
        name: String,
        /// Text of the TXT record.
        text: String,
    },
    /// Asks Microsoft to look for the text.
    VerifyDomain {
        /// Fully qualified name.
        name: String,
    },
    /// Makes the temporary user of a domain (guide step 7).
    CreateTemporaryUser {
        /// The verified domain.
        domain: String,
        /// Country, ISO 3166-1 alpha-2.
        usage_location: String,
    },
    /// Gives the temporary user a spare license (guide step 6).
    AssignLicense {
        /// The user.
        user: EntraObjectId,
        /// The product.
        sku: EntraObjectId,
    },
    /// Takes the license back from the temporary user once the domain is activated.
    RemoveLicenses {
        /// The user.
        user: EntraObjectId,
        /// The products.
        skus: Vec<EntraObjectId>,
    },
    /// Deletes the temporary user.
    DeleteTemporaryUser {
        /// The user.
        user: EntraObjectId,
    },
    /// Asks for links at which the Global Administrator grants the connector's permissions (guide step 18).
    RequestConsents {
        /// Idempotency key.
        key: String,
    },
    /// Verify connection (guide step 20).
    StartVerification {
        /// The PBX.
        pbx: OrganizationId,
        /// Idempotency key.
        key: String,
    },
    /// Starts a directory import, so that the connector knows the users of a run (guide step 19).
    StartDirectoryImport {
        /// The PBX that it is asked for.
        pbx: OrganizationId,
        /// Idempotency key.
        key: String,
    },
    /// Asks for a link at which the Global Administrator signs in (guide step 30).
    RequestPushAuthorization {
        /// Idempotency key.
        key: String,
    },
    /// Sync Now (guide step 30).
    StartPush {
        /// Idempotency key.
        key: String,
    },
}

impl AccountStep {
    /// The condition that the step works on.
    #[must_use]
    pub fn gate(&self) -> &'static str {
        match self {
            Self::PutRecord { .. } | Self::SendInvitation { .. } => graph::MANAGER_ONBOARDED,
            Self::BindPbx { .. } | Self::UnbindPbx { .. } => graph::PBXS_BOUND,
            Self::PutAdministrator { .. } | Self::InviteAdministrator { .. } | Self::RemoveAdministrator { .. } => {
                graph::ADMINISTRATORS_READY
            }
            Self::EnableSync { .. } | Self::EnableService { .. } => graph::SERVICE_ENABLED,
            Self::RequestConsents { .. } => graph::CONSENT_GRANTED,
            Self::AddDomain { .. }
            | Self::PublishDomainText { .. }
            | Self::VerifyDomain { .. }
            | Self::CreateTemporaryUser { .. }
            | Self::AssignLicense { .. } => graph::DOMAIN_ACTIVATED,
            Self::RemoveLicenses { .. } | Self::DeleteTemporaryUser { .. } => graph::TEMPORARY_USER_REMOVED,
            Self::StartVerification { .. } => graph::CONNECTION_VERIFIED,
            Self::StartDirectoryImport { .. } => graph::DIRECTORY_IMPORTED,
            Self::RequestPushAuthorization { .. } | Self::StartPush { .. } => graph::TENANT_PUSHED,
        }
    }
}

/// Everything that is to be written now, were there no back-off.
pub(super) fn wanted(view: &View) -> Vec<AccountStep> {
    if view.observed.suspended || view.observed.policies.iter().any(|policy| policy.strange.is_some()) {
        return Vec::new();
    }
    let verifications = view.pbxs.iter().filter_map(|pbx| verification(view, pbx));
    setup::wanted(view)
        .chain(domain::steps(view))
        .chain(verifications)
        .chain(directory_import(view))
        .chain(tenant_push(view))
        .collect()
}

/// Whether nothing was read yet since a step was taken that would show this one.
pub(super) fn awaits_reading(view: &View, step: &AccountStep) -> bool {
    let reading = |id: &OrganizationId| view.pbxs.iter().find(|pbx| pbx.id == *id).map(|pbx| pbx.reading);
    let read_at = match step {
        AccountStep::PutRecord { .. }
        | AccountStep::SendInvitation { .. }
        | AccountStep::BindPbx { .. }
        | AccountStep::UnbindPbx { .. } => view.snapshot.record.read_at,
        AccountStep::PutAdministrator { .. }
        | AccountStep::InviteAdministrator { .. }
        | AccountStep::RemoveAdministrator { .. } => view.snapshot.administrators.read_at,
        AccountStep::EnableSync { pbx } | AccountStep::EnableService { pbx } => {
            reading(pbx).and_then(|reading| reading.service.read_at)
        }
        AccountStep::RequestConsents { .. } => view.snapshot.consents.read_at,
        AccountStep::PublishDomainText { .. } => view.snapshot.domains.read_at,
        AccountStep::AddDomain { .. }
        | AccountStep::VerifyDomain { .. }
        | AccountStep::CreateTemporaryUser { .. }
        | AccountStep::AssignLicense { .. }
        | AccountStep::RemoveLicenses { .. }
        | AccountStep::DeleteTemporaryUser { .. } => view.snapshot.tenant_domains.read_at,
        AccountStep::StartVerification { pbx, .. } => reading(pbx).and_then(|reading| reading.verification.read_at),
        AccountStep::StartDirectoryImport { .. } | AccountStep::StartPush { .. } => view.snapshot.activity.read_at,
        AccountStep::RequestPushAuthorization { .. } => view.snapshot.push_authorization.read_at,
    };
    view.observed.last_step.is_some_and(|taken| read_at.is_none_or(|at| at < taken))
}

/// Whether the step was taken a moment ago: whether it had an effect is still to be seen.
pub(super) fn is_fresh(view: &View, step: &AccountStep) -> bool {
    matches!(step, AccountStep::StartPush { .. }) && push::starting(view).is_some()
}

/// The step, if it was taken before and had no effect.
pub(super) fn without_effect(view: &View, step: &AccountStep) -> Option<StepProblem> {
    let is_repeated = matches!(step, AccountStep::StartPush { .. }) && push::unshown(view).is_some();
    let problem = || problem(Reason::AcceptedWithoutEffect, Reason::AcceptedWithoutEffect.info().cause, None);
    is_repeated.then(|| StepProblem { step: step.clone(), problem: problem() })
}

/// Whether a step for the same condition failed lately and nobody asked for another try. Those for other conditions do not wait for it.
pub(super) fn backs_off(view: &View, step: &AccountStep) -> bool {
    let waits = |failure: &StepFailure| view.now < failure.next_attempt_time.0 && is_of(failure, step);
    view.observed.status.failure.as_ref().is_some_and(waits) && !view.requested()
}

/// Whether a step for the same condition failed.
pub(super) fn is_of(failure: &StepFailure, step: &AccountStep) -> bool {
    failure.conditions.iter().any(|kind| kind == step.gate())
}

/// Whether a PBX may be written for: the operator has what it needs, and the named parts hold for this PBX.
pub(super) fn may(view: &View, pbx: &Pbx, also: &[&str]) -> bool {
    let kinds = [&[graph::CREDENTIALS_VALID, graph::PERMISSIONS_GRANTED], also].concat();
    graph::first_unmet(view, std::slice::from_ref(pbx), &kinds).is_none()
}

/// The same for at least one PBX.
pub(super) fn may_for_one(view: &View, also: &[&str]) -> bool {
    view.pbxs.iter().any(|pbx| may(view, pbx, also))
}

/// What must hold before a connection can be verified: a domain that is not ready for calls fails every verification.
const BEFORE_VERIFICATION: [&str; 6] = [
    graph::ENTITLED,
    graph::PBXS_BOUND,
    graph::SERVICE_ENABLED,
    graph::CONSENT_GRANTED,
    graph::DIRECTORY_IMPORTED,
    graph::DOMAIN_ACTIVATED,
];

fn verification(view: &View, pbx: &Pbx) -> Option<AccountStep> {
    let known = pbx.reading.verification.current()?.as_ref();
    let read = is_current(&view.snapshot.record) && is_current(&view.snapshot.consents);
    let since = gates::must_be_verified_after(view, pbx)?;
    let request = || view.observed.requested_at.unwrap_or_default();
    let token = match known.map(|it| (it.state, it.verified_at)) {
        None => format!("{since}"),
        Some((VerificationState::Verified, Some(at))) if at < since => format!("{since}/{at}"),
        Some((VerificationState::Failed, _)) if view.requested() => format!("{since}/{}", request()),
        Some(_) => return None,
    };
    let key = key(view, "StartVerification", &format!("{}/{token}", pbx.id));
    (read && may(view, pbx, &BEFORE_VERIFICATION)).then_some(AccountStep::StartVerification { pbx: pbx.id, key })
}

/// What must hold before an import is started for a run: all that lets the run write, but the import itself.
const BEFORE_IMPORT: [&str; 7] = [
    graph::ENTITLED,
    graph::PBXS_BOUND,
    graph::MANAGER_ONBOARDED,
    graph::SERVICE_ENABLED,
    graph::CONSENT_GRANTED,
    graph::CONNECTION_VERIFIED,
    graph::DOMAIN_ACTIVATED,
];

/// What must hold before the first import (guide step 19).
const BEFORE_FIRST_IMPORT: [&str; 4] =
    [graph::ENTITLED, graph::PBXS_BOUND, graph::SERVICE_ENABLED, graph::CONSENT_GRANTED];

/// An import is started when there was none, and when a run has users that no import can have seen.
fn directory_import(view: &View) -> Option<AccountStep> {
    let activity = view.snapshot.activity.current()?;
    let may_try = import_retry_at(activity).is_none_or(|at| at <= view.now) || view.requested();
    if open_import(activity).is_some() || activity.directory_tick == Tick::Working || !may_try {
        return None;
    }
    let (pbx, demand) = wanted_import(view, activity)?;
    let newest = activity.imports.iter().max_by_key(|job| job.started_at).map_or("none", |job| job.id.as_str());
    let key = key(view, "StartDirectoryImport", &format!("{demand}/{newest}"));
    Some(AccountStep::StartDirectoryImport { pbx: pbx.id, key })
}

fn wanted_import<'v, 'a>(view: &'v View<'a>, activity: &Activity) -> Option<(&'v Pbx<'a>, String)> {
    if gates::directory_imported(view, &view.pbxs) != Verdict::Holds {
        let pbx = view.pbxs.iter().find(|pbx| may(view, pbx, &BEFORE_FIRST_IMPORT))?;
        return Some((pbx, "first".to_owned()));
    }
    let (pbx, demand) = import_demand(view, activity)?;
    may(view, pbx, &BEFORE_IMPORT).then(|| (pbx, demand.to_string()))
}

/// The newest moment that a policy's import must follow, unless one did.
pub(super) fn import_demand<'v, 'a>(view: &'v View<'a>, activity: &Activity) -> Option<(&'v Pbx<'a>, Timestamp)> {
    let (policy, demand) =
        view.observed.policies.iter().filter_map(|it| Some((it, it.needs_import_after?))).max_by_key(|(_, at)| *at)?;
    let met = |job: &Job| job.state == JobState::Done && job.started_at >= demand;
    let pbx = view.pbxs.iter().find(|pbx| pbx.id == policy.pbx)?;
    (!activity.imports.iter().any(met)).then_some((pbx, demand))
}

pub(super) fn open_import(activity: &Activity) -> Option<&Job> {
    activity.imports.iter().find(|job| job.state == JobState::Open)
}

/// After failed imports the next try comes with growing distance, counted from the end of the newest.
pub(super) fn import_retry_at(activity: &Activity) -> Option<Timestamp> {
    let mut imports: Vec<_> = activity.imports.iter().filter(|job| job.state != JobState::Open).collect();
    imports.sort_by_key(|job| std::cmp::Reverse(job.started_at));
    let failed = imports.iter().take_while(|job| job.state == JobState::Failed).count();
    let newest = imports.first().filter(|_| failed > 0)?;
    let pause = doubling(SignedDuration::from_mins(1), SignedDuration::from_hours(1), failed);
    Some(newest.finished_at.unwrap_or(newest.started_at) + pause)
}

/// `first`, doubled with each further failure, at most `limit`.
pub(super) fn doubling(first: SignedDuration, limit: SignedDuration, failures: usize) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(20);
    first.checked_mul(1 << doublings).unwrap_or(limit).min(limit)
}

fn tenant_push(view: &View) -> Option<AccountStep> {
    let ready = graph::first_unmet(view, &view.pbxs, &BEFORE_PUSH).is_none();
    if !ready || !push::is_read(view) {
        return None;
    }
    match push::state(view)? {
        Push::Due => Some(AccountStep::StartPush { key: key(view, "StartPush", &push::token(view)) }),
        Push::NeedsSignIn => push_authorization(view),
        Push::Idle | Push::Running(_) | Push::Failed | Push::Collecting(_) => None,
    }
}

const BEFORE_PUSH: [&str; 3] = [graph::CREDENTIALS_VALID, graph::PERMISSIONS_GRANTED, graph::CONSENT_GRANTED];

/// A link that stopped working looks like the one before it, so its expiry and the hour tell one request from the next.
fn push_authorization(view: &View) -> Option<AccountStep> {
    let authorization = view.snapshot.push_authorization.current()?;
    if !push::needs_link(authorization, view.now) {
        return None;
    }
    let known = authorization.valid_until.map(|at| at.to_string()).unwrap_or_default();
    let shown = pending::known(view, pending::SIGN_IN_FOR_PUSH).and_then(|action| action.expires_at.as_ref());
    let shown = shown.map(|at| at.0.to_string()).unwrap_or_default();
    let hour = view.now.as_second().div_euclid(3600);
    let token = format!("{:?}/{known}/{shown}/{hour}", authorization.state);
    Some(AccountStep::RequestPushAuthorization { key: key(view, "RequestPushAuthorization", &token) })
}

pub(super) fn key(view: &View, intent: &str, token: &str) -> String {
    hex::encode(Sha256::digest(format!("{}/{intent}/{token}", view.observed.uid)))
}

/// Whether a run of this policy still writes.
pub(super) fn is_writing(policy: &PolicyDemand) -> bool {
    policy.needs_import_after.is_some() || policy.disconnects
}
