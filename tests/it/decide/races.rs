//! What happens between the print and the patch.

use std::sync::Arc;

use serde_json::json;
use teams_connector_operator::devenv::kubeconfig::Server;
use teams_connector_operator::devenv::proxy::{Kill, OnKill, Phase, Proxy, Target};
use teams_connector_operator::devenv::route::Upstream;
use teams_connector_operator::devenv::tls::Authority;
use tokio::sync::Notify;

use super::APPROVER;
use super::people::{Office, Output, RUN};
use crate::harness;

/// Approves while something happens after the run was read and before the decision is written.
async fn approve_while(office: &Office, happens: impl Future<Output = ()>) -> Output {
    let plane = harness::control_plane().await;
    let authority = Authority::new("proxy").unwrap();
    let target = Target { upstream: Upstream::Kubernetes, url: plane.url().to_owned(), authority: plane.authority() };
    let (read, happened) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let proxy = Proxy::start(target, &authority, hold(&read, &happened)).unwrap();
    // The answer is lost with it: the addresses are not printed, and the decision is made all the same.
    proxy.kill_at(Kill { route: "LIST teamsconnectorusers".to_owned(), ordinal: 1, phase: Phase::AfterCommit });
    let (url, pem) = (proxy.url(), authority.pem());
    let server = Server { url: &url, authority: &pem };
    let meanwhile = async {
        read.notified().await;
        happens.await;
        happened.notify_one();
    };
    let approve = office.run_through(&server, APPROVER, &["approve", RUN, "--count=2", "--by=joao"]);
    let (output, ()) = tokio::join!(approve, meanwhile);
    assert_eq!(proxy.pending(), []);
    output
}

/// Tells that the call is here and holds it.
fn hold(read: &Arc<Notify>, happened: &Arc<Notify>) -> OnKill {
    let (read, happened) = (Arc::clone(read), Arc::clone(happened));
    Arc::new(move |_| {
        let (read, happened) = (Arc::clone(&read), Arc::clone(&happened));
        Box::pin(async move {
            read.notify_one();
            happened.notified().await;
        })
    })
}

/// R6: the decision covers the printed set: another run of the same name is not decided.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_another_one_by_now_is_not_decided() {
    let office = Office::open("replaced", false).await;
    office.waiting("Disconnect").await;
    let output = approve_while(&office, Box::pin(office.replace_run())).await;
    output.is_refusal("is not the run that was printed any more: nothing was decided");
    assert!(output.told.contains(&"8f".repeat(32)), "{}", output.told);
    let stored = office.stored().await;
    assert_eq!(stored["spec"]["planHash"], format!("sha256:{}", "9e".repeat(32)));
    assert_eq!(stored["spec"].get("decision"), None);
}

/// R6: of two who decide at the same time the first wins, even if both say the very same.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_deciders_is_told_of_the_first() {
    for decision in ["Deny", "Approve"] {
        let office = Office::open("two", false).await;
        office.waiting("Disconnect").await;
        let first = json!({"spec": {"decision": decision, "decidedBy": "joao"}});
        let output = approve_while(&office, async {
            office.patch(APPROVER, &first).await.unwrap();
        })
        .await;
        output.is_refusal("already by joao; a decision is made once");
        let spec = office.stored().await["spec"].take();
        assert_eq!((&spec["decision"], &spec["decidedBy"]), (&json!(decision), &json!("joao")));
    }
}

/// A lost list of users keeps nobody from deciding; it says so in place of the addresses.
#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_are_no_condition_of_a_decision() {
    let office = Office::open("addresses", false).await;
    office.waiting("Disconnect").await;
    let output = approve_while(&office, std::future::ready(())).await;
    assert_eq!(output.code, 0, "{}", output.error);
    assert!(output.told.contains("E-mails     not readable: "), "{}", output.told);
    assert!(output.told.contains("head-office-2000000000000000001 "), "{}", output.told);
}
