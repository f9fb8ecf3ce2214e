//! One look for each part of the set-up. A look judges by the newest complete values.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::finding::{Finding, Verdict};
use super::view::{Pbx, View};
use super::{push, sources};
use crate::api::{Actor, ManagerSpec, Reason};
use crate::domain::AccountKey;
use crate::plan::snapshot::{
    Activity, Consent, ConsentState, Entitlement, GotoAccess, Invitation, InvitationState, Job, JobState, Manager,
    Permission, Service, Tick, Verification, VerificationState,
};

/// A directory import takes this long and no longer [guide].
pub(super) const IMPORT_WINDOW: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn credentials_valid(view: &View, _: &[Pbx]) -> Verdict {
    let problem = view.observed.credentials.as_ref().filter(|it| sources::is_about_credentials(it.reason));
    if let Some(problem) = problem {
        return Verdict::unmet(problem.reason, problem.message.clone());
    }
    if let Some((name, failure)) = sources::failed_for(view, sources::is_about_credentials) {
        return Verdict::unmet(failure.reason, format!("{name}: {}.", failure.cause));
    }
    match view.snapshot.goto_access.known() {
        None => Verdict::Unread,
        Some(access) => goto_access(view, access),
    }
}

fn goto_access(view: &View, access: &GotoAccess) -> Verdict {
    let Ok(key) = view.observed.spec.goto.account_key.parse::<AccountKey>() else {
        return Verdict::unmet(Reason::InvalidSpec, "spec.goto.accountKey is no account key.");
    };
    if !access.accounts.contains(&key) {
        return Verdict::unmet(
            Reason::TenantMismatch,
            format!("The GoTo credentials do not administer the account {key}."),
        );
    }
    Verdict::require(access.super_admin != Some(false), Reason::NotSuperAdministrator, || {
        Reason::NotSuperAdministrator.info().cause.to_owned()
    })
}

pub(super) fn permissions_granted(view: &View, _: &[Pbx]) -> Verdict {
    Verdict::all([graph_permissions(view), goto_scopes(view)])
}

fn graph_permissions(view: &View) -> Verdict {
    let problem = view.observed.credentials.as_ref().filter(|it| it.reason == Reason::PermissionMissing);
    if let Some(problem) = problem {
        return Verdict::unmet(problem.reason, problem.message.clone());
    }
    if let Some((name, failure)) = sources::failed_for(view, |reason| reason == Reason::PermissionMissing) {
        let detail = format!("{name}: {}.", failure.cause);
        return Verdict::Unmet(Finding { reason: failure.reason, detail, actor: Some(sources::who_permits(name)) });
    }
    let Some(permissions) = view.snapshot.graph_permissions.known() else { return Verdict::Unread };
    lacking(permissions, |it| !it.set_up)
        .map_or(Verdict::Holds, |detail| Verdict::unmet(Reason::PermissionMissing, detail))
}

/// What the operator's app registration lacks among the permissions that are wanted.
pub(super) fn lacking(permissions: &[Permission], wanted: fn(&Permission) -> bool) -> Option<String> {
    let missing: Vec<_> =
        permissions.iter().filter(|it| wanted(it) && !it.granted).map(|it| it.name.as_str()).collect();
    (!missing.is_empty()).then(|| format!("The operator's app registration lacks {}.", missing.join(", ")))
}

fn goto_scopes(view: &View) -> Verdict {
    let Some(access) = view.snapshot.goto_access.known() else { return Verdict::Unread };
    if access.missing_scopes.is_empty() {
        return Verdict::Holds;
    }
    Verdict::Unmet(Finding {
        reason: Reason::PermissionMissing,
        detail: format!("The GoTo credentials lack the scopes {}.", access.missing_scopes.join(", ")),
        actor: Some(Actor::GoToSuperAdministrator),
    })
}

pub(super) fn entitled(view: &View, pbxs: &[Pbx]) -> Verdict {
    if view.pbxs.len() < view.observed.spec.pbxs.len() {
        return Verdict::unmet(Reason::InvalidSpec, "An organizationId in spec.pbxs is no GUID.");
    }
    Verdict::all(pbxs.iter().map(|pbx| entitlement(view, pbx)))
}

fn entitlement(view: &View, pbx: &Pbx) -> Verdict {
    let name = pbx.name;
    match pbx.reading.entitlement.known() {
        Some(Some(Entitlement { active: false, .. })) => {
            Verdict::unmet(Reason::NotEntitled, format!("{name}: the integration is not active."))
        }
        Some(Some(Entitlement { licenses_total: 0, .. })) => {
            Verdict::unmet(Reason::NotEntitled, format!("{name}: no connector license was bought."))
        }
        Some(Some(_)) => Verdict::Holds,
        _ if is_unknown_to_goto(view, pbx) => {
            Verdict::unmet(Reason::PbxNotFound, format!("{name}: the GoTo account has no such PBX."))
        }
        Some(None) => Verdict::unmet(Reason::NotEntitled, format!("{name}: the integration is not visible.")),
        None => Verdict::Unread,
    }
}

/// GoTo also answers 404 for "no permission", so a PBX is missing only if no line, extension or number is in it.
fn is_unknown_to_goto(view: &View, pbx: &Pbx) -> bool {
    let snapshot = view.snapshot;
    let (Some(lines), Some(extensions), Some(numbers)) =
        (snapshot.lines.current(), snapshot.extensions.current(), snapshot.numbers.current())
    else {
        return false;
    };
    !lines.iter().any(|user| user.lines.iter().any(|line| line.organization == pbx.id))
        && !extensions.iter().any(|extension| extension.organization == pbx.id)
        && !numbers.iter().any(|number| number.organization == pbx.id)
}

pub(super) fn pbxs_bound(view: &View, pbxs: &[Pbx]) -> Verdict {
    match view.snapshot.record.known() {
        None => Verdict::Unread,
        Some(None) => Verdict::unmet(Reason::WaitingForPrerequisite, "The connector has no account record yet."),
        Some(Some(record)) => Verdict::all(pbxs.iter().map(|pbx| {
            Verdict::require(record.bound.contains_key(&pbx.id), Reason::Progressing, || {
                format!("{}: the PBX is being bound.", pbx.name)
            })
        })),
    }
}

/// The managing user of the spec, if the address is one.
pub(super) fn manager(view: &View) -> Option<Manager> {
    let ManagerSpec { first_name, last_name, email } = view.observed.spec.manager.clone();
    Some(Manager { first_name, last_name, email }).filter(|manager| manager.address().is_some())
}

pub(super) fn manager_onboarded(view: &View, _: &[Pbx]) -> Verdict {
    let Some(wanted) = manager(view) else {
        return Verdict::unmet(Reason::InvalidSpec, "spec.manager.email is no e-mail address.");
    };
    match view.snapshot.record.known() {
        None => Verdict::Unread,
        Some(None) => Verdict::unmet(Reason::Progressing, "The managing user is being entered at card 1."),
        Some(Some(record)) if record.manager.address() == wanted.address() => accepted(view, &record.invitation),
        Some(Some(record)) if record.is_accepted() => {
            Verdict::unmet(Reason::ManagerMismatch, Reason::ManagerMismatch.info().cause)
        }
        Some(Some(_)) => Verdict::unmet(Reason::Progressing, "The managing user is being corrected at card 1."),
    }
}

fn accepted(view: &View, invitation: &Invitation) -> Verdict {
    let told = |reason: Reason| Verdict::unmet(reason, reason.info().cause);
    match invitation.state_at(view.now) {
        InvitationState::Accepted => Verdict::Holds,
        InvitationState::Sent => told(Reason::InvitationPending),
        InvitationState::Expired => told(Reason::InvitationExpired),
        InvitationState::NotSent => Verdict::unmet(Reason::Progressing, "The invitation is being sent."),
    }
}

pub(super) fn service_enabled(_: &View, pbxs: &[Pbx]) -> Verdict {
    Verdict::all(pbxs.iter().map(|pbx| match pbx.reading.service.known() {
        None => Verdict::Unread,
        Some(None) => switches(pbx, Service { user_import_enabled: false, enabled: false }),
        Some(Some(service)) => switches(pbx, *service),
    }))
}

fn switches(pbx: &Pbx, service: Service) -> Verdict {
    let off = match service {
        Service { user_import_enabled: false, enabled: false } => "Enable Sync and Enable Service are off",
        Service { user_import_enabled: false, .. } => "Enable Sync is off",
        Service { enabled: false, .. } => "Enable Service is off",
        Service { .. } => return Verdict::Holds,
    };
    Verdict::unmet(Reason::ServiceDisabled, format!("{}: {off}.", pbx.name))
}

pub(super) fn consent_granted(view: &View, _: &[Pbx]) -> Verdict {
    let Some(consents) = view.snapshot.consents.known() else { return Verdict::Unread };
    let named = |wanted: fn(&Consent) -> bool| {
        let groups: Vec<_> = consents.iter().filter(|it| wanted(it)).map(|it| it.group.as_str()).collect();
        groups.join(", ")
    };
    let revoked = named(Consent::is_revoked);
    if !revoked.is_empty() {
        return Verdict::unmet(Reason::ConsentRevoked, format!("The consent was taken back: {revoked}."));
    }
    let missing = named(|consent| consent.state != ConsentState::Granted);
    if consents.is_empty() {
        return Verdict::unmet(Reason::Progressing, "The connector has not named its permissions yet.");
    }
    Verdict::require(missing.is_empty(), Reason::AwaitingConsent, || format!("Not granted yet: {missing}."))
}

/// A user is in the connector only if an import has seen that user, so one user proves an import.
pub(super) fn directory_imported(view: &View, _: &[Pbx]) -> Verdict {
    let Some(activity) = view.snapshot.activity.known() else { return Verdict::Unread };
    let has_users = |pbx: &Pbx| pbx.reading.users.known().is_some_and(|users| !users.is_empty());
    let imported = activity.imports.iter().any(|job| job.state == JobState::Done)
        || matches!(activity.directory_tick, Tick::UpToDate | Tick::Warning)
        || view.pbxs.iter().any(has_users);
    if imported { Verdict::Holds } else { first_import(view, activity) }
}

fn first_import(view: &View, activity: &Activity) -> Verdict {
    match activity.imports.first() {
        Some(Job { state: JobState::Open, started_at, .. }) if view.age(*started_at) > IMPORT_WINDOW => {
            Verdict::unmet(Reason::ImportOverdue, "The directory import takes longer than 15 minutes.")
        }
        Some(Job { state: JobState::Open, .. }) => {
            Verdict::unmet(Reason::Progressing, "The first directory import is running; up to 15 minutes are normal.")
        }
        Some(_) => Verdict::unmet(Reason::ImportOverdue, "The directory import failed."),
        None if activity.directory_tick == Tick::Working => {
            Verdict::unmet(Reason::Progressing, "The first directory import is running; up to 15 minutes are normal.")
        }
        None => Verdict::unmet(Reason::Progressing, "The first directory import is being started."),
    }
}

pub(super) fn connection_verified(view: &View, pbxs: &[Pbx]) -> Verdict {
    Verdict::all(pbxs.iter().map(|pbx| {
        let (Some(known), Some(since)) = (pbx.reading.verification.known(), must_be_verified_after(view, pbx)) else {
            return Verdict::Unread;
        };
        known.as_ref().map_or_else(|| never_verified(pbx), |it| verified(pbx, it, since))
    }))
}

fn never_verified(pbx: &Pbx) -> Verdict {
    Verdict::unmet(Reason::VerificationRunning, format!("{}: the first verification is started.", pbx.name))
}

fn verified(pbx: &Pbx, verification: &Verification, since: Timestamp) -> Verdict {
    let name = pbx.name;
    match (verification.state, verification.verified_at) {
        (VerificationState::Verified, Some(at)) if at >= since => Verdict::Holds,
        (VerificationState::Verified, Some(_)) => Verdict::unmet(
            Reason::VerificationRunning,
            format!("{name}: the verification is older than the consent or the binding and is started again."),
        ),
        (VerificationState::Verified, None) => Verdict::unmet(
            Reason::VerificationFailed,
            format!("{name}: the connector does not tell when the connection was verified."),
        ),
        (VerificationState::Running, _) => {
            Verdict::unmet(Reason::VerificationRunning, format!("{name}: the verification is running."))
        }
        (VerificationState::Failed, _) => Verdict::unmet(
            Reason::VerificationFailed,
            format!("{name}: the verification failed: {}.", verification.failed_checks.join(", ")),
        ),
    }
}

/// A verification holds while it is not older than the newest consent and the binding; `None`: not read.
pub(super) fn must_be_verified_after(view: &View, pbx: &Pbx) -> Option<Timestamp> {
    let consents = view.snapshot.consents.known()?;
    let bound = view.snapshot.record.known()?.as_ref().and_then(|record| record.bound.get(&pbx.id)).copied();
    let newest: fn(&Consent) -> Option<Timestamp> = |consent| consent.granted_at;
    consents.iter().filter_map(newest).chain(bound).max().or(Some(Timestamp::MIN))
}

pub(super) fn tenant_pushed(view: &View, _: &[Pbx]) -> Verdict {
    push::verdict(view)
}
