//! Who may approve and deny, and what is refused: the real commands against the real API server and the chart's own roles.

mod people;
mod races;

use serde_json::{Value, json};

use people::{Office, RUN};

const APPROVER: &str = "maria";
const READER: &str = "joao";
const OPERATOR: &str = "teams-connector-operator";

/// S17, R6: who has the approve role sees the whole set and decides once; the API server's name of the user is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn an_approver_sees_the_set_and_approves_it_by_the_name_that_the_api_server_knows() {
    for policy in [false, true] {
        let office = Office::open("approve", policy).await;
        let before = office.waiting("Disconnect").await;
        let output = office.run(APPROVER, &["approve", RUN, "--count", "2"]).await;
        let who = office.user(APPROVER);
        for words in ["Disconnect (takes service away)", "usersToRemove 2", "+15555550101", "ann.lee@contoso.example"] {
            assert!(output.told.contains(words), "{words}: {}", output.told);
        }
        assert!(output.told.contains("head-office-2000000000000000001 "), "{}", output.told);
        assert!(output.told.ends_with(&format!("{RUN}: approved by {who}\n")), "{}", output.told);
        assert_eq!((output.code, output.error.as_str()), (0, ""));
        let mut expected = before["spec"].clone();
        (expected["decision"], expected["decidedBy"]) = (json!("Approve"), json!(who));
        assert_eq!(office.stored().await["spec"], expected, "nothing else is written");
    }
}

/// S17: without the policy `--by` is a claim that is taken; with it the name must be the caller's.
#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_a_claim_unless_the_admission_policy_compares_it() {
    let arguments = ["deny", RUN, "--count=2", "--by=the-boss"];
    let office = Office::open("claim", false).await;
    office.waiting("Disconnect").await;
    assert_eq!(office.run(APPROVER, &arguments).await.code, 0);
    let spec = office.stored().await["spec"].take();
    assert_eq!((&spec["decision"], &spec["decidedBy"]), (&json!("Deny"), &json!("the-boss")));

    let office = Office::open("proof", true).await;
    office.waiting("Disconnect").await;
    office.refuses(APPROVER, &arguments, &format!("must be the user who decides: {}", office.user(APPROVER))).await;
    let silent = json!({"spec": {"decision": "Approve"}});
    let refused = office.patch(APPROVER, &silent).await.unwrap_err().to_string();
    assert!(refused.contains("spec.decidedBy must be the user who decides"), "{refused}");
    assert_eq!(office.stored().await["spec"].get("decision"), None);
}

/// S5, S17: reading runs and users is no right to decide, in either setting.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_is_refused_and_told_which_role_is_missing() {
    for policy in [false, true] {
        let office = Office::open("reader", policy).await;
        office.waiting("Disconnect").await;
        office
            .refuses(READER, &["approve", RUN, "--count=2"], "bind you to the role of the chart that ends in -approve")
            .await;
        office.refuses("nobody", &["approve", RUN, "--count=2"], "cannot get resource \"usersyncruns\"").await;
        assert_eq!(office.stored().await["spec"].get("decision"), None);
    }
}

/// S17: the operator plans and carries out; its own ServiceAccount cannot decide, not even with the admission policy off. With
/// it on it cannot store a run that is decided from the start either.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_cannot_decide_about_its_own_plan() {
    for policy in [false, true] {
        let office = Office::open("operator", policy).await;
        office.waiting("Disconnect").await;
        let decision = json!({"spec": {"decision": "Approve", "decidedBy": office.user(OPERATOR)}});
        let refused = office.patch(OPERATOR, &decision).await.unwrap_err().to_string();
        assert!(refused.contains("cannot patch resource \"usersyncruns\""), "{refused}");
        office.refuses(OPERATOR, &["approve", RUN, "--count=2"], "cannot patch resource \"usersyncruns\"").await;
        assert_eq!(office.stored().await["spec"].get("decision"), None);
        office.create(OPERATOR, &run("undecided", "Connect")).await.unwrap();
        let mut decided = run("decided", "Disconnect");
        decided["spec"]["decision"] = json!("Approve");
        let created = office.create(OPERATOR, &decided).await;
        assert_eq!(created.is_err_and(|error| error.to_string().contains("a person decides")), policy);
    }
}

/// R6, S17: what takes service away wants its size; a wrong one, and silence without a terminal, decide nothing. Both commands
/// want it, and a Connect run wants it only if it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_wants_its_size_and_a_connect_does_not() {
    let office = Office::open("size", true).await;
    office.waiting("Disconnect").await;
    for command in ["approve", "deny"] {
        office
            .refuses(APPROVER, &[command, RUN, "--count=3"], "the run has 2 actions, not 3: nothing was decided")
            .await;
        office.refuses(APPROVER, &[command, RUN], "there is no terminal to ask on").await;
    }
    assert_eq!(office.stored().await["spec"].get("decision"), None);

    let office = Office::open("connect", true).await;
    office.waiting("Connect").await;
    office.refuses(APPROVER, &["approve", RUN, "--count=1"], "the run has 2 actions, not 1").await;
    let output = office.run(APPROVER, &["approve", &format!("usersyncrun.teamsconnector.dev/{RUN}")]).await;
    assert_eq!(output.code, 0, "{}", output.error);
    assert_eq!(office.stored().await["spec"]["decision"], "Approve");
}

/// R6: a decision is made once, and only about a run that waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_ended_running_or_unknown_is_not_decided() {
    let office = Office::open("once", true).await;
    office.waiting("Disconnect").await;
    for (state, words) in [
        ("Superseded", "has ended (Superseded) and is not decided any more"),
        ("Failed", "has ended (Failed) and is not decided any more"),
        ("Running", "to hold it, set suspend of the policy head-office"),
    ] {
        office.set_state(state).await;
        office.refuses(APPROVER, &["approve", RUN, "--count=2"], words).await;
    }
    office.set_state("AwaitingApproval").await;
    assert_eq!(office.run(APPROVER, &["deny", RUN, "--count=2"]).await.code, 0);
    for command in ["approve", "deny"] {
        let words = format!("{RUN} is denied already by {}; a decision is made once", office.user(APPROVER));
        office.refuses(APPROVER, &[command, RUN, "--count=2"], &words).await;
    }
    let unknown = format!("there is no run other in the namespace {}", office.namespace());
    office.refuses(APPROVER, &["approve", "other"], &unknown).await;
    office.refuses(APPROVER, &["approve", RUN, "-n", "elsewhere"], "in the namespace \"elsewhere\"").await;
    office.refuses(APPROVER, &["approve", RUN, "--context", "moon"], "moon").await;
}

/// A run of a name and type, with two actions.
fn run(name: &str, run_type: &str) -> Value {
    let (op, args) =
        if run_type == "Connect" { ("Put", json!({"phoneNumber": "+15555550109"})) } else { ("Delete", json!({})) };
    let action = |user: &str, number: &str| json!({"user": user, "op": op, "args": args, "expected": {"inConnector": true, "enabled": true, "phoneNumber": number}});
    json!({
        "apiVersion": "teamsconnector.dev/v1alpha1",
        "kind": "UserSyncRun",
        "metadata": {"name": name},
        "spec": {
            "policyRef": {"name": "head-office"},
            "type": run_type,
            "createdAt": "2026-01-05T08:01:48Z",
            "policyHash": format!("sha256:{}", "1a".repeat(32)),
            "actions": [action("2000000000000000001", "+15555550101"), action("2000000000000000002", "+15555550102")],
            "planHash": format!("sha256:{}", "8f".repeat(32)),
        },
    })
}
