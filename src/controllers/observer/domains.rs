//! The connector's domains as the tenant has them: read only while there is something to set up or to take away again.

use super::reading::Reader;
use super::translate;
use crate::clients::error::ApiError;
use crate::clients::graph::GraphClient;
use crate::controllers::error::source_failure;
use crate::plan::domains::{temporary_upn, wants_look};
use crate::plan::snapshot::{Domain, Snapshot, Source, TenantDomain, TenantDomainState};

/// The tenant's side of every domain that is not finished.
pub(super) async fn read(reader: &Reader<'_>, snapshot: &Snapshot) -> Source<Vec<TenantDomain>> {
    let domains = snapshot.domains.known().filter(|_| reader.manages_domains);
    let unfinished = domains.into_iter().flatten().filter(|domain| wants_look(snapshot, domain));
    let read = tenant_domains(&reader.session.graph, unfinished).await;
    reader.source("tenantDomains", &snapshot.tenant_domains, read.map_err(|error| source_failure(&error)))
}

async fn tenant_domains(
    graph: &GraphClient,
    domains: impl Iterator<Item = &Domain>,
) -> Result<Vec<TenantDomain>, ApiError> {
    let mut all = Vec::new();
    for domain in domains {
        all.push(tenant_domain(graph, &domain.name).await?);
    }
    Ok(all)
}

async fn tenant_domain(graph: &GraphClient, name: &str) -> Result<TenantDomain, ApiError> {
    let state = match graph.domain(name).await? {
        None => TenantDomainState::Absent,
        Some(domain) if domain.is_verified => TenantDomainState::Verified,
        Some(_) => TenantDomainState::Unverified { text: graph.verification_text(name).await? },
    };
    let user = match state {
        TenantDomainState::Verified => graph.set_up_user(&temporary_upn(name)).await?.map(translate::domain_user),
        _ => None,
    };
    Ok(TenantDomain { name: name.to_owned(), state, user })
}
