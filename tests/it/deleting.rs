//! `deletionPolicy: Delete` on the real binary: whom a deleted policy added loses service once, in order and after a decision only.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use teams_connector_operator::devenv::chart;
use teams_connector_operator::devenv::objects::{self, reason};
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use crate::harness;
use crate::leaving::{batches, in_state, open, pairs};
use crate::objects::{Branch, are_gone, asked};
use crate::stage::{ACCOUNT, POLICY, Stage};

/// The policy that takes over the users of the sample's.
const SUCCESSOR: &str = "successor";
const BATCH: &str = "POST /accounts/{id}/pbxs/{id}/users:batch";

/// The sample's policy under another name, to be deleted with `Delete`.
fn successor(stage: &Stage) -> DynamicObject {
    let is_policy = |it: &DynamicObject| it.types.as_ref().is_some_and(|types| types.kind == "UserSyncPolicy");
    let mut policy = stage.samples("5m").into_iter().find(is_policy).unwrap();
    policy.metadata.name = Some(SUCCESSOR.to_owned());
    policy.data["spec"]["deletionPolicy"] = json!("Delete");
    policy
}

/// Until the successor has connected so many.
async fn connected(stage: &Stage, count: usize) {
    let all = async || {
        stage.sign_in().await;
        in_state(stage, "Connected").await.len() == count
    };
    stage.advance_until("everybody is connected", "1m", 90, all).await;
}

/// Until a run of the deletion waits for a decision; its name.
async fn waiting(stage: &Stage) -> String {
    let waits = async || stage.waiting_run().await.is_some();
    stage.advance_until("the run waits for a decision", "1m", 60, waits).await;
    stage.waiting_run().await.unwrap().0
}

async fn decide(stage: &Stage, run: &str, decision: &str) {
    stage.patch("usrun", run, &json!({"spec": {"decision": decision, "decidedBy": "maria"}})).await;
}

/// Until the policy asks for somebody with this reason.
async fn asks(stage: &Stage, wanted: &str) {
    let shown = async || reason(&stage.get("usp", SUCCESSOR).await, "ActionRequired") == Some(wanted);
    stage.advance_until(wanted, "1m", 30, shown).await;
}

/// Three further readings of everything.
async fn readings(stage: &Stage) {
    let ahead = stage.full_readings().await + 3;
    stage.advance_until("three readings", "2m", 60, async || stage.full_readings().await >= ahead).await;
}

async fn is_gone(stage: &Stage, kind: &str, name: &str) -> bool {
    !stage.environment.list(kind).await.unwrap().contains_key(name)
}

/// T40, R6, R8, R13, R15: nothing happens before the decision, nor after a denial, nor while the connector cannot be read. Then exactly
/// those go whom the policy added; the adopted and the protected keep service; its objects go before its finalizer.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_policy_disconnects_whom_it_added_and_nobody_else() {
    let stage = open("deleting", 10, 6, json!({"action": "Retain"}), false).await;
    let (adopted, _) = pairs(&stage).await;
    stage.delete("usp", POLICY).await;
    are_gone(&stage, &["usp", "tcu", "usrun"]).await;
    stage.control().edit(&json!({"edit": "setLicenses", "total": 10})).await.unwrap();
    stage.environment.apply(&[successor(&stage)]).await.unwrap();
    connected(&stage, 10).await;
    let (before, _) = pairs(&stage).await;
    let added = &before - &adopted;
    assert_eq!((adopted.len(), added.len()), (6, 4));
    let protected = added.first().unwrap().clone();
    stage.patch("usp", SUCCESSOR, &json!({"spec": {"protectedUsers": [protected]}})).await;
    stage.observed("usp", SUCCESSOR).await;

    let since = stage.control().last_sequence().await.unwrap();
    stage.delete("usp", SUCCESSOR).await;
    let run = waiting(&stage).await;
    asks(&stage, "DeletionAwaitingApproval").await;
    readings(&stage).await;
    let policy = stage.get("usp", SUCCESSOR).await;
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
    assert_eq!(stage.get("usrun", &run).await["spec"]["actions"].as_array().unwrap().len(), 3);
    decide(&stage, &run, "Deny").await;
    asks(&stage, "DeletionDenied").await;
    readings(&stage).await;
    assert_eq!((pairs(&stage).await, batches(&stage, since).await), ((before.clone(), BTreeSet::new()), 0));

    let again = json!({"metadata": {"annotations": {"teamsconnector.dev/requestedAt": "again"}}});
    stage.patch("usp", SUCCESSOR, &again).await;
    let run = waiting(&stage).await;
    let down = json!([{"match": {"api": "connector", "method": "GET"}, "then": {"status": {"code": 503}}}]);
    stage.control().add_faults(&down).await.unwrap();
    let unreachable =
        async || reason(&stage.get("usp", SUCCESSOR).await, "Reconciling") == Some("ConnectorUnreachable");
    stage.advance_until("the connector is missed", "1m", 30, unreachable).await;
    decide(&stage, &run, "Approve").await;
    stage.advance("15m").await;
    assert_eq!((pairs(&stage).await, batches(&stage, since).await), ((before.clone(), BTreeSet::new()), 0));

    stage.control().clear_faults().await.unwrap();
    let over = async || {
        stage.sign_in().await;
        is_gone(&stage, "usp", SUCCESSOR).await
    };
    stage.advance_until("the policy is gone", "1m", 90, over).await;
    for kind in ["tcu", "usrun"] {
        assert!(stage.environment.list(kind).await.unwrap().is_empty(), "{kind} go before the finalizer");
    }
    let mut kept = adopted;
    kept.insert(protected);
    assert_eq!(pairs(&stage).await, (kept, BTreeSet::new()));
}

/// T40: the account stays while the policy is deleted with `Delete`; `force-finalize` ends both, takes nobody, and an event tells in
/// counts what was left.
#[tokio::test(flavor = "multi_thread")]
async fn a_forced_end_takes_nobody_and_tells_what_was_left() {
    let stage = open("forced", 6, 6, json!({"action": "Retain"}), false).await;
    let (before, _) = pairs(&stage).await;
    let since = stage.control().last_sequence().await.unwrap();
    stage.patch("usp", POLICY, &json!({"spec": {"deletionPolicy": "Delete"}})).await;
    stage.delete("usp", POLICY).await;
    stage.delete("tca", ACCOUNT).await;
    waiting(&stage).await;
    readings(&stage).await;
    assert!(!is_gone(&stage, "tca", ACCOUNT).await && !is_gone(&stage, "usp", POLICY).await);
    let force = json!({"metadata": {"annotations": {"teamsconnector.dev/force-finalize": "true"}}});
    stage.patch("usp", POLICY, &force).await;
    are_gone(&stage, &["usp", "tcu", "usrun", "tca"]).await;
    let told = stage.warning(POLICY, "DeletionForced").await;
    assert!(told["note"].as_str().unwrap().contains("6 users whom it added"), "{told}");
    assert_eq!((pairs(&stage).await, asked(&stage, since).await), ((before, BTreeSet::new()), Vec::new()));
}

/// T40: an edit to `Orphan` ends the deletion at once.
#[tokio::test(flavor = "multi_thread")]
async fn orphan_ends_a_deletion_at_once() {
    let stage = open("orphan", 4, 4, json!({"action": "Remove"}), false).await;
    let (before, _) = pairs(&stage).await;
    stage.patch("usp", POLICY, &json!({"spec": {"deletionPolicy": "Delete"}})).await;
    stage.delete("usp", POLICY).await;
    waiting(&stage).await;
    stage.patch("usp", POLICY, &json!({"spec": {"deletionPolicy": "Orphan"}})).await;
    are_gone(&stage, &["usp", "tcu", "usrun"]).await;
    assert_eq!(pairs(&stage).await, (before, BTreeSet::new()));
}

/// T41: a namespace with `Delete`, whose policy waits for a decision already or not, ends at once; nobody loses service, and an event
/// tells what was left.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_disconnects_nobody_even_with_delete() {
    for waits in [false, true] {
        let branch = Branch::open(if waits { "terminating-late" } else { "terminating" }).await;
        let stage = &branch.stage;
        branch.finish().await;
        let policies = objects::api(stage.environment.client(), &branch.namespace, "usp").unwrap();
        let patch = Patch::Merge(json!({"spec": {"deletionPolicy": "Delete"}}));
        policies.patch(POLICY, &PatchParams::default(), &patch).await.unwrap();
        if waits {
            drop(policies.delete(POLICY, &DeleteParams::default()).await.unwrap());
            let waiting =
                async || branch.list("usrun").await.values().any(|run| run["status"]["state"] == "AwaitingApproval");
            stage.advance_until("the run waits for a decision", "1m", 60, waiting).await;
        }
        let (hash, sequence) =
            (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
        let plane = harness::control_plane().await;
        plane.kubectl_stdout(&["delete", "namespace", &branch.namespace, "--timeout=2m"]).await.unwrap();
        stage.advance("1h").await;
        assert_eq!(asked(stage, sequence).await, Vec::<String>::new());
        assert_eq!(stage.control().state_hash().await.unwrap(), hash);
        let events = objects::api(stage.environment.client(), "default", "event").unwrap();
        let of_ours = |event: &Value| {
            event["reason"] == "NamespaceTerminating" && event["regarding"]["name"] == branch.namespace.as_str()
        };
        let told = objects::wait(&events, "a Warning tells what was left", Duration::from_mins(1), |events| {
            events.values().find(|event| of_ours(event)).cloned()
        });
        let told = told.await.unwrap();
        assert!(told["note"].as_str().unwrap().contains(if waits { "25 retained" } else { "25 connected" }), "{told}");
    }
}

/// T1, T3, T4, R13: SIGKILL before and after the first batch, after the second, at the mark that nobody is left, and at the patch of
/// the finalizer: each time exactly those are gone whom the policy added, and it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_deletion_changes_nothing() {
    let stage = open("crash-deleting", 8, 3, json!({"action": "Retain"}), true).await;
    stage.delete("usp", POLICY).await;
    are_gone(&stage, &["usp", "tcu", "usrun"]).await;
    let (adopted, _) = pairs(&stage).await;
    stage.control().edit(&json!({"edit": "setLicenses", "total": 6})).await.unwrap();
    let points = [
        ("connector", BATCH, 1, Phase::BeforeSend),
        ("connector", BATCH, 1, Phase::AfterCommit),
        ("connector", BATCH, 2, Phase::AfterCommit),
        ("kubernetes", "PATCH usersyncpolicies", 1, Phase::AfterCommit),
        ("kubernetes", "PATCH usersyncpolicies", 2, Phase::BeforeSend),
        ("kubernetes", "PATCH usersyncpolicies", 2, Phase::AfterCommit),
    ];
    for (api, route, ordinal, phase) in points {
        let what = format!("{route} #{ordinal} {phase:?}");
        stage.environment.apply(&[successor(&stage)]).await.unwrap();
        connected(&stage, 6).await;
        stage.delete("usp", SUCCESSOR).await;
        let run = waiting(&stage).await;
        let proxy = stage.environment.proxy(api).unwrap();
        let made = proxy.calls().iter().filter(|call| call.route == route).count();
        proxy.kill_at(Kill { route: route.to_owned(), ordinal: made + ordinal, phase });
        decide(&stage, &run, "Approve").await;
        until_gone(&stage, &what).await;
        assert!(proxy.pending().is_empty(), "{what} was not reached");
        assert_eq!(pairs(&stage).await, (adopted.clone(), BTreeSet::new()), "{what}");
    }
}

/// Moves time on until the successor is gone, with an operator that is started again whenever it was killed.
async fn until_gone(stage: &Stage, what: &str) {
    for _ in 0..90 {
        if stage.environment.operator().process().unwrap().status().is_some() {
            stage.environment.operator().start_ready().await.unwrap();
        }
        stage.sign_in().await;
        if is_gone(stage, "usp", SUCCESSOR).await {
            return;
        }
        decide_what_waits(stage).await;
        stage.advance("1m").await;
    }
    panic!("{what}: the policy is not gone");
}

/// After a crash the rest may need a run, and a decision, of its own.
async fn decide_what_waits(stage: &Stage) {
    if let Some((run, _)) = stage.waiting_run().await
        && stage.get("usrun", &run).await["spec"]["decision"].is_null()
    {
        decide(stage, &run, "Approve").await;
    }
}

/// S14: the chart's optional admission policy forbids `Delete`, but not where the namespace is labeled; who has it already can be edited.
#[tokio::test(flavor = "multi_thread")]
async fn delete_can_be_forbidden_but_in_chosen_namespaces() {
    let plane = harness::control_plane().await;
    let namespace = harness::new_namespace("forbidden").await;
    let values = json!({
        "watchNamespaces": [namespace], "crds": {"install": false}, "deletionPolicy": {"enabled": true},
    });
    let admin = plane.admin().await.unwrap();
    chart::render(plane.programs(), &namespace, &values).await.unwrap().apply(&admin).await.unwrap();
    let policies = objects::api(&admin, &namespace, "usp").unwrap();
    let named = |name: &str, deletion: &str| -> DynamicObject {
        let spec = json!({
            "accountRef": {"name": "contoso"}, "pbx": {"organizationId": "00000000-0000-4000-8000-0000000000ff"},
            "matching": {"automatic": {"teamsAttribute": "Mail"}}, "deletionPolicy": deletion,
        });
        let (version, kind) = ("teamsconnector.dev/v1alpha1", "UserSyncPolicy");
        serde_json::from_value(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}))
            .unwrap()
    };
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    // The API server reads new policies and labels a moment later.
    let settles = async |allowed: bool| {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            match policies.create(&trial, &named("trial", "Delete")).await {
                Ok(_) if allowed => return,
                Err(error) if !allowed => {
                    assert!(error.to_string().contains("is not allowed in this namespace"), "{error}");
                    return;
                }
                _ => assert!(Instant::now() < until, "the admission policy does not say so"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let label = async |value: Value| {
        let api: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(admin.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {"teamsconnector.dev/allow-delete": value}}}));
        api.patch(&namespace, &PatchParams::default(), &patch).await.unwrap();
    };
    settles(false).await;
    policies.create(&PostParams::default(), &named("kept", "Orphan")).await.unwrap();
    let to_delete = Patch::Merge(json!({"spec": {"deletionPolicy": "Delete"}}));
    policies.patch("kept", &PatchParams::default(), &to_delete).await.unwrap_err();
    label(json!("true")).await;
    settles(true).await;
    policies.patch("kept", &PatchParams::default(), &to_delete).await.unwrap();
    label(Value::Null).await;
    settles(false).await;
    let finalizer = Patch::Merge(json!({"metadata": {"finalizers": []}, "spec": {"suspend": true}}));
    policies.patch("kept", &PatchParams::default(), &finalizer).await.unwrap();
}
