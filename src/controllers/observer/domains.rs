//! The connector's domains as the tenant has them: read only while there is something to set up or to take away again.

use super::reading::Reader;
use super::translate;
use crate::clients::error::ApiError;
use crate::clients::graph::GraphClient;
use crate::controllers::error::source_failure;
use crate::plan::domains::{temporary_upn, wants_look};
use crate::plan::snapshot::{Snapshot, Source, TenantDomain, TenantDomainState};

/// The tenant's side of every domain that is not finished.
pub(super) async fn read(reader: &Reader<'_>, snapshot: &Snapshot) -> Source<Vec<TenantDomain>> {
    let mut read = Ok(Vec::new());
    if reader.manages_domains {
        let domains = snapshot.domains.known().map(Vec::as_slice).unwrap_or_default();
        for domain in domains.iter().filter(|domain| wants_look(snapshot, domain)) {
            let one = tenant_domain(&reader.session.graph, &domain.name).await;
            read = read.and_then(|mut all: Vec<_>| {
                one.map(|one| {
                    all.push(one);
                    all
                })
            });
        }
    }
    reader.source("tenantDomains", &snapshot.tenant_domains, read.map_err(|error: ApiError| source_failure(&error)))
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
