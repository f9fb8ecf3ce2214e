//! From the wire to domain words. A field that a vendor renames stops here.

use crate::api::RegistrationState;
use crate::clients::connector::wire as connector;
use crate::clients::goto::wire as goto;
use crate::clients::graph::wire as graph;
use crate::domain::{Address, E164};
use crate::plan::snapshot as plan;

/// Mail domain of the pseudo-users that desk telephones appear as [goto.md, 11].
const PSEUDO_USER_DOMAIN: &str = "devices.logmein.com";

/// Service plans of Phone System [graph.md, 5].
const PHONE_SYSTEM_PLANS: [&str; 3] = [
    "4828c8ec-dc2e-4779-b502-87ac9ce28ab7",
    "db23fce2-a974-42ef-9002-d78dd42a0f22",
    "ed777b71-af04-42ca-9798-84344c66f7c6",
];
/// Service plan of Teams.
const TEAMS_PLANS: [&str; 1] = ["57ff2da0-773e-42df-b2af-ffb7a2317929"];
/// Products with Teams that are for a room and not for a person [graph.md, 5].
const ROOM_PRODUCTS: [&str; 3] = ["Microsoft_Teams_Rooms_Pro", "Microsoft_Teams_Rooms_Basic", "MEETING_ROOM"];
/// A plan in one of these states can be used.
const USABLE: [&str; 2] = ["Enabled", "Warning"];

/// `None`: a pseudo-user of a desk telephone.
pub(super) fn goto_user(user: goto::AdminUser) -> Option<plan::GotoUser> {
    let address: Option<Address> = user.email.as_deref().and_then(|email| email.parse().ok());
    if address.as_ref().is_some_and(|address| address.domain() == PSEUDO_USER_DOMAIN) {
        return None;
    }
    let name = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(plan::GotoUser { key: user.key, email: user.email, address, name })
}

pub(super) fn user_lines(user: goto::UserLines) -> plan::UserLines {
    let mut lines: Vec<_> = user
        .lines
        .into_iter()
        .map(|line| plan::Line {
            organization: line.organization.id,
            extension: line.number,
            primary: line.primary.unwrap_or(false),
        })
        .collect();
    lines.sort_by_key(|line| !line.primary);
    plan::UserLines { key: user.user_key, lines }
}

pub(super) fn extension(extension: goto::Extension) -> plan::PbxExtension {
    plan::PbxExtension { id: extension.id, organization: extension.organization_id, number: extension.number }
}

pub(super) fn number(number: goto::PhoneNumber) -> plan::PbxNumber {
    let extension_id = number.route_to.filter(|route| route.kind == "EXTENSION").map(|route| route.id);
    plan::PbxNumber { organization: number.organization_id, number: number.number.parse().ok(), extension_id }
}

pub(super) fn teams_user(user: &graph::User) -> Option<plan::TeamsUser> {
    let upn = user.user_principal_name.clone()?;
    let plans = user.assigned_plans.as_deref().unwrap_or_default();
    Some(plan::TeamsUser {
        id: user.id,
        upn_address: upn.parse().ok(),
        upn,
        mail_address: user.mail.as_deref().and_then(|mail| mail.parse().ok()),
        enabled: user.account_enabled.unwrap_or(true),
        guest: user.user_type.as_deref() == Some("Guest"),
        has_teams: has_plan(plans, &TEAMS_PLANS),
        has_phone_system: has_plan(plans, &PHONE_SYSTEM_PLANS),
    })
}

fn has_plan(plans: &[graph::AssignedPlan], wanted: &[&str]) -> bool {
    plans.iter().any(|plan| {
        USABLE.contains(&plan.capability_status.as_str()) && wanted.contains(&plan.service_plan_id.to_string().as_str())
    })
}

pub(super) fn seats(skus: &[graph::SubscribedSku]) -> plan::Seats {
    let phone = skus.iter().filter(|sku| {
        USABLE.contains(&sku.capability_status.as_str())
            && sku
                .service_plans
                .iter()
                .any(|plan| PHONE_SYSTEM_PLANS.contains(&plan.service_plan_id.to_string().as_str()))
    });
    let (total, used) = phone.fold((0, 0), |(total, used), sku| {
        (total + sku.prepaid_units.enabled + sku.prepaid_units.warning, used + sku.consumed_units)
    });
    let spare = skus.iter().filter_map(spare_seats).collect();
    plan::Seats { phone_system_total: count(total), phone_system_in_use: count(used), spare }
}

fn count(seats: i64) -> u32 {
    u32::try_from(seats.max(0)).unwrap_or(u32::MAX)
}

/// `None`: the temporary user cannot have the product: it is without Teams, or for a room.
fn spare_seats(sku: &graph::SubscribedSku) -> Option<plan::SpareSeats> {
    let plans = |wanted: &str| sku.service_plans.iter().any(|plan| plan.service_plan_id.to_string() == wanted);
    let usable = USABLE.contains(&sku.capability_status.as_str());
    let free = sku.prepaid_units.enabled + sku.prepaid_units.warning - sku.consumed_units;
    let fits = usable && TEAMS_PLANS.into_iter().any(plans) && !ROOM_PRODUCTS.contains(&sku.sku_part_number.as_str());
    fits.then(|| plan::SpareSeats { sku: sku.sku_id, part_number: sku.sku_part_number.clone(), free: count(free) })
}

pub(super) fn domain_user(user: graph::SetUpUser) -> plan::DomainUser {
    let skus = user.assigned_licenses.into_iter().map(|license| license.sku_id).collect();
    plan::DomainUser { id: user.id, display_name: user.display_name.unwrap_or_default(), skus }
}

/// `None`: a number that is not in E.164 form cannot be one of the PBX.
pub(super) fn number_assignment(number: &graph::NumberAssignment) -> Option<plan::TeamsNumber> {
    let kind = match number.number_type.as_str() {
        "directRouting" => plan::TeamsNumberKind::DirectRouting,
        _ => plan::TeamsNumberKind::Other,
    };
    Some(plan::TeamsNumber {
        number: number.telephone_number.parse().ok()?,
        kind,
        target: number.assignment_target_id,
        on_premises: number.number_source.as_deref() == Some("onPremises"),
    })
}

pub(super) fn voice_state(configuration: &graph::UserConfiguration) -> plan::VoiceState {
    let account = match configuration.account_type.as_deref() {
        Some("user") => plan::VoiceAccount::User,
        Some("resourceAccount" | "guest" | "ineligibleUser") => plan::VoiceAccount::NotAPerson,
        Some("sfbOnPremUser") => plan::VoiceAccount::OnPremises,
        _ => plan::VoiceAccount::Unknown,
    };
    let primary = |category: Option<&str>| category.is_none_or(|category| category == "primary");
    let number = configuration
        .telephone_numbers
        .iter()
        .find(|number| primary(number.assignment_category.as_deref()))
        .and_then(|number| number.telephone_number.parse::<E164>().ok());
    let enterprise_voice = configuration.is_enterprise_voice_enabled.unwrap_or(false);
    plan::VoiceState { id: configuration.id, account, enterprise_voice, number }
}

pub(super) fn record(record: connector::AccountRecord) -> plan::AccountRecord {
    let connector::Manager { first_name, last_name, email } = record.manager;
    let connector::Invitation { state, sent_at, expires_at } = record.invitation;
    plan::AccountRecord {
        manager: plan::Manager { first_name, last_name, email },
        invitation: plan::Invitation { state: invitation_state(state), sent_at, expires_at },
        bound: record.pbxs.into_iter().map(|pbx| (pbx.organization_id, pbx.bound_at)).collect(),
    }
}

fn invitation_state(state: connector::InvitationState) -> plan::InvitationState {
    match state {
        connector::InvitationState::NotSent => plan::InvitationState::NotSent,
        connector::InvitationState::Sent => plan::InvitationState::Sent,
        connector::InvitationState::Accepted => plan::InvitationState::Accepted,
        connector::InvitationState::Expired => plan::InvitationState::Expired,
    }
}

pub(super) fn administrator(administrator: connector::Administrator) -> plan::Administrator {
    let connector::Administrator { email, role, state, expires_at, .. } = administrator;
    plan::Administrator { email, role, state: invitation_state(state), expires_at }
}

pub(super) fn consent(consent: connector::Consent) -> plan::Consent {
    let state = match consent.state {
        connector::ConsentState::NotRequested => plan::ConsentState::NotRequested,
        connector::ConsentState::Pending => plan::ConsentState::Pending,
        connector::ConsentState::Granted => plan::ConsentState::Granted,
        connector::ConsentState::Revoked => plan::ConsentState::Revoked,
    };
    plan::Consent {
        group: consent.group,
        state,
        permissions: consent.permissions.into_iter().map(permission).collect(),
        granted_by: consent.granted_by,
        granted_at: consent.granted_at,
        link: consent.link,
        link_expires_at: consent.link_expires_at,
    }
}

fn permission(permission: connector::ConsentPermission) -> plan::Permission {
    plan::Permission { name: permission.name, reason: permission.reason, granted: permission.granted, set_up: false }
}

pub(super) fn domain(domain: connector::Domain) -> plan::Domain {
    let state = match domain.state {
        connector::DomainState::Reserved => plan::DomainState::Reserved,
        connector::DomainState::Published => plan::DomainState::Published,
        connector::DomainState::Verified => plan::DomainState::Verified,
        connector::DomainState::Activating => plan::DomainState::Activating,
        connector::DomainState::Activated => plan::DomainState::Activated,
        connector::DomainState::Failed => plan::DomainState::Failed,
    };
    plan::Domain { name: domain.name, state, temporary_users: domain.temporary_users }
}

pub(super) fn tick(tick: connector::SyncTick) -> plan::Tick {
    match tick {
        connector::SyncTick::UpToDate => plan::Tick::UpToDate,
        connector::SyncTick::ChangesQueued => plan::Tick::ChangesQueued,
        connector::SyncTick::Syncing => plan::Tick::Working,
        connector::SyncTick::Warning => plan::Tick::Warning,
        connector::SyncTick::Failed => plan::Tick::Failed,
    }
}

pub(super) fn job(job: connector::Sync) -> plan::Job {
    let state = match job.state {
        connector::SyncStatus::Queued | connector::SyncStatus::Running => plan::JobState::Open,
        connector::SyncStatus::Succeeded | connector::SyncStatus::Warning => plan::JobState::Done,
        connector::SyncStatus::Failed => plan::JobState::Failed,
    };
    plan::Job { id: job.id, state, started_at: job.started_at, finished_at: job.finished_at, users: job.counts.users }
}

pub(super) fn push_authorization(authorization: connector::PushAuthorization) -> plan::PushAuthorization {
    let state = match authorization.state {
        connector::PushAuthorizationState::NotRequired => plan::PushAuthorizationState::NotRequired,
        connector::PushAuthorizationState::NotRequested => plan::PushAuthorizationState::NotRequested,
        connector::PushAuthorizationState::Pending => plan::PushAuthorizationState::Pending,
        connector::PushAuthorizationState::Granted => plan::PushAuthorizationState::Granted,
        connector::PushAuthorizationState::Expired => plan::PushAuthorizationState::Expired,
    };
    plan::PushAuthorization { state, link: authorization.link, valid_until: authorization.valid_until }
}

pub(super) fn entitlement(entitlement: &connector::Entitlement) -> plan::Entitlement {
    plan::Entitlement {
        active: entitlement.active,
        licenses_total: entitlement.licenses_total,
        licenses_in_use: entitlement.licenses_in_use,
    }
}

pub(super) fn service(service: &connector::TeamsService) -> plan::Service {
    plan::Service { user_import_enabled: service.sync_enabled, enabled: service.enabled }
}

pub(super) fn verification(verification: connector::Verification) -> plan::Verification {
    let state = match verification.state {
        connector::VerificationState::Running => plan::VerificationState::Running,
        connector::VerificationState::Verified => plan::VerificationState::Verified,
        connector::VerificationState::Failed => plan::VerificationState::Failed,
    };
    let failed = verification.checks.into_iter().filter(|check| !check.passed);
    plan::Verification {
        state,
        verified_at: verification.verified_at,
        failed_checks: failed.map(|check| check.name).collect(),
    }
}

pub(super) fn candidate(candidate: connector::Candidate) -> plan::Candidate {
    plan::Candidate { key: candidate.goto_user_key, secure_calling: candidate.secure_calling }
}

pub(super) fn connector_user(user: connector::ConnectorUser) -> plan::ConnectorUser {
    let registration = match user.registration {
        connector::Registration::Registered => RegistrationState::Registered,
        connector::Registration::Failed => RegistrationState::Failed,
        connector::Registration::Disabled => RegistrationState::Disabled,
        connector::Registration::Pending => RegistrationState::Pending,
        connector::Registration::Expired => RegistrationState::Expired,
        connector::Registration::Unknown => RegistrationState::Unknown,
    };
    plan::ConnectorUser {
        key: user.goto_user_key,
        teams_user: user.teams_user_id,
        external_id: user.external_id,
        number: user.phone_number.and_then(|number| number.parse().ok()),
        enabled: user.enabled,
        licensed: user.licensed,
        registration,
        updated_at: user.updated_at,
        etag: user.etag,
    }
}
