//! Guide steps 6 and 7: each domain of the connector is added to the tenant, verified by the TXT text that the connector publishes,
//! activated by a temporary user with a spare license, and the user is removed again.
//!
//! The temporary user has one fixed name in each domain, so a repeated call cannot make a second one (R21).

use k8s_openapi::jiff::SignedDuration;

use super::finding::{Finding, Verdict};
use super::next::machine_pause;
use super::parts::domain_since;
use super::steps::{AccountStep, may_for_one};
use super::view::{Pbx, View, is_current};
use super::{gates, graph};
use crate::api::{Actor, DomainManager, Reason};
use crate::domain::EntraObjectId;
use crate::plan::domains;
use crate::plan::snapshot::{Domain, DomainState, DomainUser, SpareSeats, TenantDomain, TenantDomainState};

/// Microsoft sees a published record within two days, or something is wrong with it.
const DNS_WINDOW: SignedDuration = SignedDuration::from_hours(48);
/// A domain that is not activated after this long never will be [peers].
const ACTIVATION_LIMIT: SignedDuration = SignedDuration::from_hours(36);

/// Whether the operator sets the domains up.
pub(super) fn is_ours(view: &View) -> bool {
    view.observed.spec.domain.activation.managed_by == DomainManager::Operator
}

/// Whether every domain is ready for calls.
pub(super) fn activated(view: &View, _: &[Pbx]) -> Verdict {
    let Some(domains) = view.snapshot.domains.known() else { return Verdict::Unread };
    if domains.is_empty() {
        return Verdict::unmet(Reason::DomainUnverified, "The connector has not allotted a domain yet.");
    }
    Verdict::all(domains.iter().map(|domain| one(view, domain)))
}

fn one(view: &View, domain: &Domain) -> Verdict {
    let name = &domain.name;
    if domain.state == DomainState::Activated {
        return Verdict::Holds;
    }
    if domain.state == DomainState::Failed {
        return Verdict::unmet(Reason::DomainActivationStuck, format!("{name} was refused."));
    }
    match is_ours(view).then(|| obstacle(view, domain)).flatten() {
        Some(obstacle) => Verdict::Unmet(obstacle),
        None => progress(view, domain),
    }
}

fn progress(view: &View, domain: &Domain) -> Verdict {
    let name = &domain.name;
    let age = domain_since(view, domain).map_or(SignedDuration::ZERO, |since| view.age(since));
    match domain.state {
        DomainState::Reserved | DomainState::Published if !is_ours(view) || age > DNS_WINDOW => {
            Verdict::unmet(Reason::DomainUnverified, format!("{name} is not verified in the tenant."))
        }
        DomainState::Reserved | DomainState::Published => Verdict::unmet(
            Reason::DomainVerificationPending,
            format!("{name} is being verified: Microsoft looks for the record that the connector publishes."),
        ),
        _ if age > ACTIVATION_LIMIT => {
            Verdict::unmet(Reason::DomainActivationStuck, format!("{name} is not activated after 36 hours."))
        }
        _ => Verdict::unmet(
            Reason::DomainActivationPending,
            format!("{name} is being activated; up to 24 hours are normal."),
        ),
    }
}

/// What keeps the operator from its next step for a domain.
fn obstacle(view: &View, domain: &Domain) -> Option<Finding> {
    lacks_permission(view).or_else(|| {
        let tenant = tenant_domain(view, domain).filter(|it| it.state == TenantDomainState::Verified)?;
        if tenant.user.as_ref().is_some_and(|user| !domains::is_ours(user)) {
            return Some(told(Reason::TemporaryUserConflict, format!("{}.", domain.name)));
        }
        if tenant.user.as_ref().is_some_and(is_licensed) {
            return None;
        }
        if view.observed.spec.domain.activation.usage_location.is_none() {
            let detail = "spec.domain.activation.usageLocation is needed to license the temporary user.";
            return Some(told(Reason::InvalidSpec, detail.to_owned()));
        }
        let seats = view.snapshot.seats.known()?;
        spare(view, &seats.spare).is_none().then(|| no_license(view))
    })
}

fn told(reason: Reason, detail: String) -> Finding {
    Finding { reason, detail, actor: None }
}

fn no_license(view: &View) -> Finding {
    let detail = match &view.observed.spec.domain.activation.sku_part_number {
        Some(product) => format!("The tenant has no free license of {product}."),
        None => Reason::NoSpareLicense.info().cause.to_owned(),
    };
    told(Reason::NoSpareLicense, detail)
}

/// The permissions of the set-up are asked for only while there is something to set up.
fn lacks_permission(view: &View) -> Option<Finding> {
    let detail = gates::lacking(view.snapshot.graph_permissions.known()?, |it| it.set_up)?;
    Some(Finding { reason: Reason::PermissionMissing, detail, actor: Some(Actor::GlobalAdministrator) })
}

/// Whether no temporary user is left in any domain.
pub(super) fn user_removed(view: &View, _: &[Pbx]) -> Verdict {
    let Some(domains) = view.snapshot.domains.known() else { return Verdict::Unread };
    Verdict::all(domains.iter().map(|domain| {
        let ours = tenant_domain(view, domain).and_then(|it| it.user.as_ref()).filter(|user| domains::is_ours(user));
        let name = &domain.name;
        match ours {
            Some(_) => lacks_permission(view).map_or_else(
                || Verdict::unmet(Reason::Progressing, format!("The temporary user in {name} is being removed.")),
                Verdict::Unmet,
            ),
            None => Verdict::require(domain.temporary_users.is_empty(), Reason::TemporaryUserLeftover, || {
                format!("A temporary user exists in {name}.")
            }),
        }
    }))
}

/// The next step of each domain.
pub(super) fn steps(view: &View) -> Vec<AccountStep> {
    let entitled = may_for_one(view, &[graph::ENTITLED]);
    let read = is_current(&view.snapshot.tenant_domains) && is_current(&view.snapshot.graph_permissions);
    let Some(domains) = view.snapshot.domains.current().filter(|_| is_ours(view) && entitled && read) else {
        return Vec::new();
    };
    if lacks_permission(view).is_some() {
        return Vec::new();
    }
    domains.iter().filter_map(|domain| step(view, domain)).collect()
}

fn step(view: &View, domain: &Domain) -> Option<AccountStep> {
    let tenant = tenant_domain(view, domain)?;
    let name = domain.name.clone();
    match (&tenant.state, domain.state) {
        (TenantDomainState::Verified, DomainState::Activated) => removal(tenant.user.as_ref()?),
        (_, DomainState::Activated | DomainState::Failed) => None,
        (TenantDomainState::Verified, _) => activation(view, name, tenant.user.as_ref()),
        (TenantDomainState::Absent, _) => Some(AccountStep::AddDomain { name }),
        (TenantDomainState::Unverified { .. }, _) if !is_due(view, domain) => None,
        (TenantDomainState::Unverified { text: Some(text) }, DomainState::Reserved) => {
            Some(AccountStep::PublishDomainText { name, text: text.clone() })
        }
        (TenantDomainState::Unverified { .. }, DomainState::Reserved) => None,
        (TenantDomainState::Unverified { .. }, _) => Some(AccountStep::VerifyDomain { name }),
    }
}

/// What was accepted and shows nothing yet is asked for again with growing distance.
fn is_due(view: &View, domain: &Domain) -> bool {
    let pause = domain_since(view, domain).map_or(SignedDuration::ZERO, |since| machine_pause(view.age(since)));
    view.observed.last_step.is_none_or(|at| view.age(at) >= pause)
}

fn activation(view: &View, domain: String, user: Option<&DomainUser>) -> Option<AccountStep> {
    let usage_location = view.observed.spec.domain.activation.usage_location.clone()?;
    let seats = view.snapshot.seats.current()?;
    match user {
        None => spare(view, &seats.spare).map(|_| AccountStep::CreateTemporaryUser { domain, usage_location }),
        Some(user) if !domains::is_ours(user) || is_licensed(user) => None,
        Some(user) => Some(AccountStep::AssignLicense { user: user.id, sku: spare(view, &seats.spare)? }),
    }
}

/// First the license, so that the seat is free at once; then the user.
fn removal(user: &DomainUser) -> Option<AccountStep> {
    if !domains::is_ours(user) {
        None
    } else if is_licensed(user) {
        Some(AccountStep::RemoveLicenses { user: user.id, skus: user.skus.clone() })
    } else {
        Some(AccountStep::DeleteTemporaryUser { user: user.id })
    }
}

fn is_licensed(user: &DomainUser) -> bool {
    !user.skus.is_empty()
}

/// The product with the most free seats, or the one that the spec names.
fn spare(view: &View, seats: &[SpareSeats]) -> Option<EntraObjectId> {
    let wanted = view.observed.spec.domain.activation.sku_part_number.as_ref();
    let fits = |it: &&SpareSeats| it.free > 0 && wanted.is_none_or(|wanted| *wanted == it.part_number);
    seats.iter().filter(fits).max_by_key(|it| (it.free, std::cmp::Reverse(&it.part_number))).map(|it| it.sku)
}

/// The domain as the tenant has it.
pub(super) fn tenant_domain<'a>(view: &'a View, domain: &Domain) -> Option<&'a TenantDomain> {
    view.snapshot.tenant_domains.known()?.iter().find(|it| it.name == domain.name)
}
