//! The parts of the status that repeat what was read; a part that was not read yet stays as it was.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::view::{Pbx, View};
use super::{administrators, domain, dropped, gates};
use crate::api::{
    AdministratorSpec, AdministratorStatus, ConsentStatus, DirectoryImportStatus, DomainStatus, InvitationStatus,
    MicrosoftLicenses, PbxStatus, PermissionStatus, TenantPushStatus, VerificationStatus,
};
use crate::plan::snapshot::{
    Activity, Administrator, ConsentState, Domain, DomainState, InvitationState, JobState, Permission,
    PushAuthorizationState, Tick, Verification, VerificationState,
};

/// Those of the spec, and after them those that were taken from it and are still bound.
pub(super) fn pbxs(view: &View) -> Vec<PbxStatus> {
    view.pbxs.iter().map(|pbx| pbx_status(view, pbx)).chain(dropped::statuses(view)).collect()
}

fn pbx_status(view: &View, pbx: &Pbx) -> PbxStatus {
    let id = pbx.id.to_string();
    let before = view.observed.status.pbxs.iter().find(|old| old.organization_id == id);
    let record = view.snapshot.record.known();
    let bound = record.map(|record| record.as_ref().is_some_and(|record| record.bound.contains_key(&pbx.id)));
    let licenses = pbx.reading.entitlement.known();
    let total = licenses.map(|it| it.map(|it| it.licenses_total));
    let in_use = licenses.map(|it| it.map(|it| it.licenses_in_use));
    let users = pbx.reading.users.known().map(|users| u32::try_from(users.len()).unwrap_or(u32::MAX));
    let verification = pbx.reading.verification.known();
    PbxStatus {
        bound: bound.unwrap_or_else(|| before.is_some_and(|old| old.bound)),
        policy: view.observed.policies.iter().find(|policy| policy.pbx == pbx.id).map(|policy| policy.name.clone()),
        licenses_total: total.unwrap_or_else(|| before.and_then(|old| old.licenses_total)),
        licenses_in_use: in_use.unwrap_or_else(|| before.and_then(|old| old.licenses_in_use)),
        users: users.or_else(|| before.and_then(|old| old.users)),
        verification: match verification {
            Some(known) => known.as_ref().map(|it| verification_status(view, pbx, it)),
            None => before.and_then(|old| old.verification.clone()),
        },
        organization_id: id,
    }
}

fn verification_status(view: &View, pbx: &Pbx, verification: &Verification) -> VerificationStatus {
    let outdated = |at: Timestamp| gates::must_be_verified_after(view, pbx).is_some_and(|since| at < since);
    let state = match verification.state {
        VerificationState::Running => "Running",
        VerificationState::Failed => "Failed",
        VerificationState::Verified if verification.verified_at.is_none_or(outdated) => "Outdated",
        VerificationState::Verified => "Verified",
    };
    VerificationStatus { state: state.to_owned(), verified_at: verification.verified_at.map(Time) }
}

/// Connector licenses in use / bought, over all PBXs.
pub(super) fn licenses(pbxs: &[PbxStatus]) -> Option<String> {
    let total: u32 = pbxs.iter().filter_map(|pbx| pbx.licenses_total).sum();
    let in_use: u32 = pbxs.iter().filter_map(|pbx| pbx.licenses_in_use).sum();
    pbxs.iter().any(|pbx| pbx.licenses_total.is_some()).then(|| format!("{in_use}/{total}"))
}

pub(super) fn invitation(view: &View) -> Option<InvitationStatus> {
    let Some(record) = view.snapshot.record.known() else { return view.observed.status.invitation.clone() };
    let invitation = &record.as_ref()?.invitation;
    let state = match invitation.state_at(view.now) {
        InvitationState::NotSent => "NotSent",
        InvitationState::Sent => "Sent",
        InvitationState::Accepted => "Accepted",
        InvitationState::Expired => "Expired",
    };
    let (sent_at, expires_at) = (invitation.sent_at.map(Time), invitation.expires_at.map(Time));
    Some(InvitationStatus { state: state.to_owned(), sent_at, expires_at })
}

/// Only those of the spec: nobody else's address is repeated.
pub(super) fn administrators(view: &View) -> Vec<AdministratorStatus> {
    let Some(known) = view.snapshot.administrators.known() else {
        return view.observed.status.administrators.clone();
    };
    let of_spec = view.observed.spec.administrators.iter();
    of_spec.map(|wanted| administrator(view, administrators::find(known, &wanted.email), wanted)).collect()
}

fn administrator(view: &View, known: Option<&Administrator>, wanted: &AdministratorSpec) -> AdministratorStatus {
    let state = match known.map(|known| administrators::state(view, known)) {
        None | Some(InvitationState::NotSent) => "NotInvited",
        Some(InvitationState::Sent) => "Invited",
        Some(InvitationState::Accepted) => "Active",
        Some(InvitationState::Expired) => "Expired",
    };
    let role = known.map(|known| known.role.clone());
    AdministratorStatus { email: wanted.email.clone(), role, state: state.to_owned() }
}

pub(super) fn permissions(view: &View) -> Vec<PermissionStatus> {
    let known = view.snapshot.graph_permissions.known();
    known.map_or_else(|| view.observed.status.permissions.clone(), |known| known.iter().map(permission).collect())
}

fn permission(Permission { name, reason, granted, set_up: _ }: &Permission) -> PermissionStatus {
    PermissionStatus { name: name.clone(), reason: reason.clone(), granted: *granted }
}

pub(super) fn consents(view: &View) -> Vec<ConsentStatus> {
    let Some(known) = view.snapshot.consents.known() else { return view.observed.status.consents.clone() };
    let consent = |consent: &crate::plan::snapshot::Consent| ConsentStatus {
        group: consent.group.clone(),
        state: match consent.state {
            ConsentState::NotRequested => "NotRequested",
            ConsentState::Pending => "Pending",
            ConsentState::Granted => "Granted",
            ConsentState::Revoked => "Revoked",
        }
        .to_owned(),
        permissions: consent.permissions.iter().map(permission).collect(),
        granted_by: consent.granted_by.clone(),
        granted_at: consent.granted_at.map(Time),
        link: consent.link.clone().filter(|_| consent.link_works(view.now)),
        link_expires_at: consent.link_expires_at.filter(|_| consent.link_works(view.now)).map(Time),
    };
    known.iter().map(consent).collect()
}

pub(super) fn domains(view: &View) -> Vec<DomainStatus> {
    let Some(known) = view.snapshot.domains.known() else { return view.observed.status.domains.clone() };
    let status = |domain: &Domain| DomainStatus {
        name: domain.name.clone(),
        state: domain_state(domain.state).to_owned(),
        since: Some(Time(domain_since(view, domain).unwrap_or(view.now))),
        temporary_user_id: domain::tenant_domain(view, domain)
            .and_then(|it| it.user.as_ref())
            .filter(|user| crate::plan::domains::is_ours(user))
            .map(|user| user.id.to_string()),
    };
    known.iter().map(status).collect()
}

/// Since when the domain has been in its state, as far as it was seen.
pub(super) fn domain_since(view: &View, domain: &Domain) -> Option<Timestamp> {
    let same = |old: &&DomainStatus| old.name == domain.name && old.state == domain_state(domain.state);
    let old = view.observed.status.domains.iter().find(same)?;
    Some(old.since.as_ref().map_or(view.now, |since| since.0))
}

fn domain_state(state: DomainState) -> &'static str {
    match state {
        DomainState::Reserved => "Reserved",
        DomainState::Published => "Published",
        DomainState::Verified => "Verified",
        DomainState::Activating => "Activating",
        DomainState::Activated => "Activated",
        DomainState::Failed => "Failed",
    }
}

pub(super) fn microsoft_licenses(view: &View) -> Option<MicrosoftLicenses> {
    let Some(seats) = view.snapshot.seats.known() else {
        return view.observed.status.microsoft_licenses.clone();
    };
    Some(MicrosoftLicenses {
        phone_system_total: seats.phone_system_total,
        phone_system_in_use: seats.phone_system_in_use,
        spare_seats: seats.spare.iter().map(|it| it.free).sum(),
    })
}

pub(super) fn directory_import(view: &View) -> Option<DirectoryImportStatus> {
    let before = view.observed.status.directory_import.as_ref();
    let Some(activity) = view.snapshot.activity.known() else { return before.cloned() };
    let newest = activity.imports.iter().filter(|job| job.state == JobState::Done).max_by_key(|job| job.started_at);
    Some(DirectoryImportStatus {
        state: tick(activity.directory_tick, super::steps::open_import(activity).is_some()).to_owned(),
        users_discovered: newest.map(|job| job.users).or_else(|| before.and_then(|old| old.users_discovered)),
    })
}

pub(super) fn tenant_push(view: &View) -> Option<TenantPushStatus> {
    let before = view.observed.status.tenant_push.as_ref();
    let Some(activity) = view.snapshot.activity.known() else { return before.cloned() };
    let authorization = view.snapshot.push_authorization.known().map(|it| authorization(it.state).to_owned());
    let authorization = authorization.or_else(|| before.and_then(|old| old.authorization.clone()));
    Some(TenantPushStatus {
        state: tick(activity.push_tick, is_pushing(activity)).to_owned(),
        changes_since: activity.push_changes_since.map(Time),
        // A sign-in that runs out while nobody needs it is no change.
        authorization: authorization.filter(|_| activity.push_changes_since.is_some()),
    })
}

fn is_pushing(activity: &Activity) -> bool {
    activity.pushes.iter().any(|job| job.state == JobState::Open)
}

fn authorization(state: PushAuthorizationState) -> &'static str {
    match state {
        PushAuthorizationState::NotRequired => "NotRequired",
        PushAuthorizationState::NotRequested => "NotRequested",
        PushAuthorizationState::Pending => "Pending",
        PushAuthorizationState::Granted => "Granted",
        PushAuthorizationState::Expired => "Expired",
    }
}

fn tick(tick: Tick, working: bool) -> &'static str {
    match tick {
        _ if working => "Syncing",
        Tick::Working => "Syncing",
        Tick::UpToDate => "UpToDate",
        Tick::ChangesQueued => "ChangesQueued",
        Tick::Warning => "Warning",
        Tick::Failed => "Failed",
    }
}
