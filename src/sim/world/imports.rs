//! A directory import: tenant to connector (guide step 19).

use k8s_openapi::jiff::Timestamp;

use super::connector::ImportedUser;
use super::{Tenant, World};
use crate::clients::connector::wire::{SyncKind, SyncStatus};
use crate::domain::{AccountKey, EntraObjectId};

impl World {
    /// The import has seen everybody whom the directory shows at its end; it fails when the consent was taken back meanwhile.
    pub(crate) fn end_import(&mut self, account: &AccountKey, index: usize, at: Timestamp) {
        let Self { tenant, connectors, .. } = self;
        let Some(connector) = connectors.get_mut(account) else { return };
        let consented = connector.consented(SyncKind::Directory);
        if consented {
            connector.imported = seen(tenant, at).collect();
            connector.imported_version = tenant.visible_version(at);
        }
        let users = u64::try_from(connector.imported.len()).unwrap_or(u64::MAX);
        if let Some(run) = connector.runs.get_mut(index) {
            run.users = users;
            run.end = Some(if consented { SyncStatus::Succeeded } else { SyncStatus::Failed });
        }
    }
}

/// Members of the tenant as the directory shows them at `at`; guests are no candidates.
pub(crate) fn seen(tenant: &Tenant, at: Timestamp) -> impl Iterator<Item = (EntraObjectId, ImportedUser)> {
    tenant.users_at(at).filter(|(_, user)| user.user_type != "Guest").map(|(id, user)| {
        let user_principal_name = user.user_principal_name.clone();
        (*id, ImportedUser { user_principal_name, mail: user.mail.clone() })
    })
}
