//! The temporary user of a Direct Routing domain: its name, its mark, and when it is looked for.

use super::snapshot::{Domain, DomainState, DomainUser, Snapshot};

/// Local part of the UPN: one in each domain, so that there can never be two.
pub const TEMPORARY_USER: &str = "teams-connector-activation";
/// The name by which a user is recognised as the operator's own.
pub const TEMPORARY_NAME: &str = "Teams Connector activation (temporary)";

/// UPN of the temporary user of a domain.
#[must_use]
pub fn temporary_upn(domain: &str) -> String {
    format!("{TEMPORARY_USER}@{domain}")
}

/// Whether the operator made the user; a user of the same name that somebody else made is never touched.
#[must_use]
pub fn is_ours(user: &DomainUser) -> bool {
    user.display_name == TEMPORARY_NAME
}

/// Whether the tenant's side of the domain is of interest: it is not activated, or a temporary user may be left.
#[must_use]
pub fn wants_look(snapshot: &Snapshot, domain: &Domain) -> bool {
    let upn = temporary_upn(&domain.name);
    let listed = || snapshot.teams_users.known().is_some_and(|all| all.iter().any(|user| user.upn == upn));
    let seen = || {
        let known = snapshot.tenant_domains.known();
        known.is_some_and(|all| all.iter().any(|it| it.name == domain.name && it.user.is_some()))
    };
    domain.state != DomainState::Activated || !domain.temporary_users.is_empty() || seen() || listed()
}
