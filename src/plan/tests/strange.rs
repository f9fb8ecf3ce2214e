//! A connector that is not the one where the policy's users are.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::world::{at, key};
use crate::api::{Reason, RunOperation, RunState, TeamsConnectorUser};
use crate::plan::observed::KnownRun;
use crate::plan::polling::LISTING_LAG;
use crate::plan::snapshot::Source;
use crate::plan::strange::strange_connector;

fn object(index: usize, state: &str, change: Option<Timestamp>) -> TeamsConnectorUser {
    let change = change.map(|at| json!({"run": "r", "action": "Put", "at": at.to_string()}));
    let spec = json!({"policyRef": {"name": "hq"}, "gotoUserKey": key(index).to_string(), "matchedBy": "Automatic",
        "teamsUserId": teams(index), "managed": "Added", "firstSeen": "2027-01-15T08:00:00Z"});
    let mut status = json!({"state": state, "observedGeneration": 1, "conditions": []});
    if let Some(change) = change {
        status["lastChange"] = change;
    }
    let object: Value = json!({"apiVersion": "teamsconnector.dev/v1alpha1", "kind": "TeamsConnectorUser",
        "metadata": {"name": format!("hq-{}", key(index))}, "spec": spec, "status": status});
    serde_json::from_value(object).unwrap()
}

fn teams(index: usize) -> String {
    let cluster = Cluster::connected(3);
    cluster.user(index).spec.teams_user_id.clone().unwrap()
}

/// R16: a connector that lists few of the connected users is another one; a single user whom somebody removed is not.
#[test]
fn a_connector_without_most_of_the_connected_users_is_strange() {
    let cluster = Cluster::connected(3);
    let pbx = cluster.snapshot.as_ref().unwrap().pbxs.values().next().unwrap().clone();
    let pairs = pbx.users.known().unwrap().clone();
    let now = cluster.now + LISTING_LAG + LISTING_LAG;
    let long_ago = Some(at(0));
    let users: Vec<_> = (0..3).map(|index| object(index, "Connected", long_ago)).collect();
    let judge = |listed: usize, users: &[TeamsConnectorUser], runs: &[KnownRun]| {
        let mut pbx = pbx.clone();
        pbx.users = Source::complete(pairs[..listed].to_vec(), now);
        strange_connector(&pbx, users, runs, now).map(|problem| problem.reason)
    };
    assert_eq!(judge(3, &users, &[]), None);
    assert_eq!(judge(2, &users, &[]), None);
    assert_eq!(judge(1, &users, &[]), Some(Reason::ConnectorStrange));
    assert_eq!(judge(0, &users, &[]), Some(Reason::ConnectorStrange));
    assert_eq!(judge(0, &[], &[]), None, "nobody was there yet");
    let reported: Vec<_> = (0..3).map(|index| object(index, "Blocked", long_ago)).collect();
    assert_eq!(judge(0, &reported, &[]), Some(Reason::ConnectorStrange), "that they are reported heals nothing");
    let fresh: Vec<_> = (0..3).map(|index| object(index, "Pending", Some(now))).collect();
    assert_eq!(judge(0, &fresh, &[]), None, "accepted a moment ago");
    let mut removed = users.clone();
    for user in &mut removed {
        user.status.as_mut().unwrap().last_change.as_mut().unwrap().action = RunOperation::Delete;
    }
    assert_eq!(judge(0, &removed, &[]), None, "a run removed them");
    let mut open = cluster.run().clone();
    open.status.state = Some(RunState::Running);
    open.status.conditions.clear();
    assert_eq!(judge(0, &users, &[open]), None, "they are being added again");
}
