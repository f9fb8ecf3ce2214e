//! The e-mail addresses of a run's users: on somebody's own terminal a key says too little.

use std::collections::{BTreeMap, BTreeSet};

use kube::Api;
use kube::api::ListParams;
use teams_connector_operator::api::{TeamsConnectorUser, UserSyncRun};

use super::runs::said;
use crate::cli::cluster::Cluster;

const PAGE: u32 = 500;

/// What is known of the users of a run.
#[derive(Default)]
pub(super) struct People {
    /// E-mail address in GoTo by `gotoUserKey`.
    pub(super) addresses: BTreeMap<String, String>,
    /// Why there are none. The run can be decided all the same: the objects are named.
    pub(super) unreadable: Option<String>,
}

/// Reads the users of the run's policy.
pub(super) async fn of(cluster: &Cluster, run: &UserSyncRun) -> People {
    match read(cluster, run).await {
        Ok(addresses) => People { addresses, unreadable: None },
        Err(error) => People { unreadable: Some(said(&error)), ..People::default() },
    }
}

async fn read(cluster: &Cluster, run: &UserSyncRun) -> kube::Result<BTreeMap<String, String>> {
    let keys: BTreeSet<&str> = run.spec.actions.iter().map(|action| action.user.as_str()).collect();
    let api: Api<TeamsConnectorUser> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of_policy = format!("spec.policyRef.name={}", run.spec.policy_ref.name);
    let mut page = ListParams::default().fields(&of_policy).limit(PAGE);
    let mut found = BTreeMap::new();
    loop {
        let list = api.list(&page).await?;
        let wanted = list.items.into_iter().filter(|user| keys.contains(user.spec.goto_user_key.as_str()));
        found.extend(wanted.filter_map(address));
        match list.metadata.continue_ {
            Some(next) if !next.is_empty() => page = page.continue_token(&next),
            _ => return Ok(found),
        }
    }
}

fn address(user: TeamsConnectorUser) -> Option<(String, String)> {
    let status = user.status?;
    Some((user.spec.goto_user_key, status.goto_email.or(status.teams_user)?))
}
