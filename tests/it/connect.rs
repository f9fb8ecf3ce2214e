//! One user connected, end to end: the end state, the counters beside the dashboard's, rest, renames, suspension, deletion.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::harness;
use crate::stage::{ACCOUNT, KINDS, POLICY, Stage};

/// Calls that changed something at the connector since then.
async fn connector_writes(stage: &Stage, since: u64) -> Vec<String> {
    let calls = stage.control().writes_since(since).await.unwrap();
    let ours = calls.into_iter().filter(|call| call["api"] == "connector");
    ours.map(|call| format!("{} {}", call["method"].as_str().unwrap(), call["route"].as_str().unwrap())).collect()
}

async fn states(stage: &Stage) -> BTreeMap<String, String> {
    let users = stage.environment.list("tcu").await.unwrap();
    let word = |user: &Value, field: &str| user["status"][field].as_str().unwrap_or("-").to_owned();
    users
        .into_values()
        .map(|user| (word(&user, "gotoEmail"), format!("{} {}", word(&user, "state"), word(&user, "reason"))))
        .collect()
}

/// The dashboard's counters for a file with everybody whose published object says that service is kept or given.
async fn card5(stage: &Stage) -> Value {
    let users = stage.environment.list("tcu").await.unwrap();
    let served = users
        .values()
        .filter(|user| matches!(user["status"]["state"].as_str(), Some("Connected" | "Pending" | "Retained")));
    let rows: Vec<_> = served
        .map(|user| json!({"userKey": user["spec"]["gotoUserKey"], "teamsUser": user["spec"]["teamsUserId"]}))
        .collect();
    stage.control().card5_of(&rows).await.unwrap()
}

/// R18: the five counters are the dashboard's own.
async fn counters_equal_card5(stage: &Stage, when: &str) -> Value {
    let counters = stage.get("usp", POLICY).await["status"]["counters"].clone();
    assert_eq!(counters, card5(stage).await, "{when}, seed {}", stage.environment.simulator().seed());
    counters
}

/// R18, R19 and the whole of the demo: before the run, and at the end, as the dashboard would count; two people connected, each
/// of the others with the one reason.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_world_ends_as_described() {
    let stage = Stage::prepare("ends").await;
    stage.start("10m").await;
    stage
        .advance_until("the run waits for its import", "5s", 60, async || {
            !stage.environment.list("usrun").await.unwrap().is_empty()
        })
        .await;
    let batches =
        stage.control().journal("route=/accounts/{accountKey}/pbxs/{organizationId}/users:batch").await.unwrap();
    assert_eq!(batches["calls"].as_array().unwrap().len(), 0, "nothing is sent before the run is stored");
    let before = counters_equal_card5(&stage, "before the run").await;
    assert_eq!(
        before,
        json!({"licensesAvailable": 2, "licensesTotal": 2, "usersToAdd": 2, "usersToRemove": 0, "usersAfterSync": 2})
    );
    stage.finish(2).await;
    stage.rest().await;
    let after = counters_equal_card5(&stage, "at the end").await;
    assert_eq!(
        after,
        json!({"licensesAvailable": 0, "licensesTotal": 2, "usersToAdd": 0, "usersToRemove": 0, "usersAfterSync": 2})
    );
    let expected = [
        ("ann.lee@contoso.example", "Connected Connected"),
        ("joao@contoso.example", "Connected Connected"),
        ("kofi@contoso.example", "Blocked NoMatch"),
        ("lena@contoso.example", "Blocked NoPhoneSystemLicense"),
        ("maria@contoso.example", "Waiting ConnectorLicenseExhausted"),
        ("omar@contoso.example", "Blocked SecureCallingEnabled"),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(user, state)| (user.to_owned(), state.to_owned())).collect();
    assert_eq!(states(&stage).await, expected);
    let policy = stage.get("usp", POLICY).await;
    assert_eq!(policy["status"]["users"]["unmatched"], 1);
    assert_eq!(policy["status"]["users"]["blocked"], 2);
    assert_eq!(condition(&stage.get("tca", ACCOUNT).await, "Ready"), Some("True"));
    let runs = stage.environment.list("usrun").await.unwrap();
    assert_eq!(runs.len(), 1, "one run");
    let run = runs.values().next().unwrap();
    assert_eq!((condition(run, "Complete"), condition(run, "Ready")), (Some("True"), Some("True")));
    assert_eq!(run["status"]["outcome"], json!({"applied": 2, "skipped": 0, "failed": 0, "remaining": 0}));
    for user in stage.environment.list("tcu").await.unwrap().values() {
        let added = user["status"]["state"] == "Connected";
        assert_eq!(user["spec"]["managed"], if added { "Added" } else { "None" });
        if added {
            assert_eq!(user["status"]["phoneNumber"]["actual"], user["status"]["phoneNumber"]["expected"]);
            assert_eq!(
                (&user["status"]["enterpriseVoice"], &user["status"]["registration"]),
                (&json!(true), &json!("Registered"))
            );
        }
    }
    one_of_each(&stage).await;
}

/// The push is pressed once, the sign-in asked for once, the import started once.
async fn one_of_each(stage: &Stage) {
    let mut counts = BTreeMap::<String, usize>::new();
    for write in connector_writes(stage, 0).await {
        *counts.entry(write).or_default() += 1;
    }
    let expected = [
        ("POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch", 1),
        ("POST /accounts/{accountKey}/push-authorization/requests", 1),
        ("POST /accounts/{accountKey}/syncs", 2),
    ];
    assert_eq!(counts, expected.into_iter().map(|(call, times)| (call.to_owned(), times)).collect());
}

/// R18 in the middle of a run: those that are in the connector are current, the others still to be added.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_run_the_counters_are_the_dashboards() {
    let stage = Stage::prepare_with("middle", |setup| {
        let at = setup.simulator.iter().position(|flag| flag == "--demo").unwrap();
        setup.simulator.splice(at..=at, ["--users", "60", "--licenses", "55", "--unmatched", "5"].map(str::to_owned));
    })
    .await;
    let hold = json!([{"match": {"route": "/accounts/{accountKey}/pbxs/{organizationId}/users:batch"}, "after": 1, "then": {"status": {"code": 503}}}]);
    stage.control().add_faults(&hold).await.unwrap();
    stage.start("10m").await;
    let applied = async || {
        let runs = stage.environment.list("usrun").await.unwrap();
        runs.values().any(|run| run["status"]["outcome"]["applied"].as_u64().is_some_and(|applied| applied > 0))
    };
    stage.advance_until("the first batch is accepted", "10s", 60, applied).await;
    // A reading that is incomplete in the hostile mode leaves them as they were.
    let told = async || stage.get("usp", POLICY).await["status"]["counters"] == card5(&stage).await;
    stage.advance_until("the counters are the dashboard's", "30s", 20, told).await;
    let counters = counters_equal_card5(&stage, "in the middle").await;
    let (add, after) = (counters["usersToAdd"].as_u64().unwrap(), counters["usersAfterSync"].as_u64().unwrap());
    assert!(add > 0 && after > add, "{counters}");
    stage.control().clear_faults().await.unwrap();
    let all = async || {
        stage.sign_in().await;
        condition(&stage.get("usp", POLICY).await, "Ready") == Some("True")
    };
    stage.advance_until("everybody is connected", "1m", 60, all).await;
    stage.rest().await;
    let end = counters_equal_card5(&stage, "at the end").await;
    assert_eq!((&end["usersToAdd"], &end["usersAfterSync"]), (&json!(0), &json!(after)));
    assert_eq!(stage.environment.list("usrun").await.unwrap().len(), 1, "resumed, not planned anew");
}

/// One gate: the edit that takes it away, and how it shows.
struct Gate {
    name: &'static str,
    edit: Value,
    condition: &'static str,
    reason: &'static str,
}

fn gates() -> Vec<Gate> {
    let gate = |name, edit, condition, reason| Gate { name, edit, condition, reason };
    vec![
        gate("invitation", json!({"edit": "expireInvitation"}), "ManagerOnboarded", "InvitationExpired"),
        gate(
            "consent-calling",
            json!({"edit": "revokeConsent", "group": "Calling"}),
            "ConsentGranted",
            "ConsentRevoked",
        ),
        gate(
            "consent-directory",
            json!({"edit": "revokeConsent", "group": "Directory"}),
            "ConsentGranted",
            "ConsentRevoked",
        ),
        gate("domain", json!({"edit": "setDomain", "state": "Failed"}), "DomainActivated", "DomainActivationStuck"),
        gate("verification", json!({"edit": "failVerification"}), "ConnectionVerified", "VerificationFailed"),
        gate("visible", json!({"edit": "setEntitlement", "visible": false, "active": true}), "Entitled", "NotEntitled"),
        gate("active", json!({"edit": "setEntitlement", "visible": true, "active": false}), "Entitled", "NotEntitled"),
        gate("licenses", json!({"edit": "setLicenses", "total": 0}), "Entitled", "NotEntitled"),
        gate(
            "permission",
            json!({"edit": "removeAppPermission", "permission": "User.Read.All"}),
            "PermissionsGranted",
            "PermissionMissing",
        ),
        gate(
            "super-admin",
            json!({"edit": "setAdminRoles", "user": "kofi@contoso.example", "roles": []}),
            "CredentialsValid",
            "NotSuperAdministrator",
        ),
    ]
}

/// Each gate is read, not assumed: taken away, nothing is written for any user and no run begins, whatever else holds; given
/// back, all goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn each_gate_holds_back_the_first_write() {
    let mut gates = gates();
    while !gates.is_empty() {
        let some = gates.split_off(gates.len().saturating_sub(4));
        futures::future::join_all(some.into_iter().map(holds_back)).await;
    }
}

async fn holds_back(gate: Gate) {
    let stage = Stage::prepare(&format!("gate-{}", gate.name)).await;
    let world = stage.control().world().await.unwrap();
    stage.control().edit(&gate.edit).await.unwrap();
    stage.start("2m").await;
    stage.advance("3m").await;
    let before = stage.full_readings().await;
    let readings = async || {
        assert_eq!(stage.environment.list("usrun").await.unwrap().len(), 0, "{}: a run began", gate.name);
        stage.full_readings().await >= before + 3
    };
    stage.advance_until("the sources are read", "1m", 60, readings).await;
    // A link is asked for, at which a consent can be given again.
    let mut writes = connector_writes(&stage, 0).await;
    writes.retain(|write| write != "POST /accounts/{accountKey}/consents/requests");
    assert_eq!(writes, Vec::<String>::new(), "{}", gate.name);
    let account = stage.get("tca", ACCOUNT).await;
    assert_eq!(
        condition(&account, gate.condition),
        Some("False"),
        "{}: {:#}",
        gate.name,
        account["status"]["conditions"]
    );
    assert_eq!(reason(&account, gate.condition), Some(gate.reason), "{}", gate.name);
    assert_ne!(condition(&account, "Ready"), Some("True"), "{}", gate.name);
    assert!(account["status"]["waitingFor"].is_string(), "{}: who acts is told", gate.name);
    // Tokens that were given out since are unknown to this world.
    stage.control().put("/world", &world).await.unwrap();
    stage.finish(2).await;
}

/// Guide steps 9, 17, 19 and 20: a listed PBX that is not bound is bound by the operator, its switches turned on, the directory
/// imported and the connection verified, in this order; only then users are written.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_can_do_itself_comes_before_the_first_user() {
    let stage = Stage::prepare("unbound").await;
    stage.control().edit(&json!({"edit": "unbindPbx"})).await.unwrap();
    stage.control().edit(&json!({"edit": "setServices", "syncEnabled": false, "enabled": false})).await.unwrap();
    stage.control().edit(&json!({"edit": "clearImports"})).await.unwrap();
    stage.start("10m").await;
    stage.finish(2).await;
    let writes = connector_writes(&stage, 0).await;
    let at = |part: &str| {
        writes.iter().position(|write| write.contains(part)).unwrap_or_else(|| panic!("{part}: {writes:?}"))
    };
    let route = |call: &str| at(&format!("{call}/accounts/{{accountKey}}/pbxs/{{organizationId}}"));
    let first = ["PUT ", "PATCH "].map(route);
    let order = [first[0], first[1], at("/syncs"), at("/verifications"), at("users:batch")];
    assert!(order.is_sorted(), "{order:?}: {writes:?}");
    let switched = writes.iter().filter(|write| write.contains("/services/teams")).count();
    assert_eq!(switched, 2, "Enable Sync, then Enable Service: {writes:?}");
}

/// T56: an hour at rest with vendors on a good day: no resourceVersion of any of our objects moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_calm_hour_moves_no_object() {
    let stage = Stage::prepare_with("calm", |setup| setup.simulator.push("--calm".to_owned())).await;
    stage.connect("10m").await;
    stage.advance("10m").await;
    let (before, readings) = (versions(&stage).await, stage.full_readings().await);
    let sequence = stage.control().last_sequence().await.unwrap();
    stage.advance("60m").await;
    let made = stage.full_readings().await - readings;
    assert!((5..=7).contains(&made), "{made} readings in an hour at 10m");
    assert_eq!(stage.control().writes_since(sequence).await.unwrap(), Vec::<Value>::new());
    assert_eq!(versions(&stage).await, before);
}

/// P1, P3, T56: an hour at rest. Nothing is written anywhere, no object of ours moves, and the account's one reading per interval
/// is all that is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_hour_writes_nothing_and_reads_once_per_interval() {
    let stage = Stage::prepare("rest").await;
    stage.connect("10m").await;
    let plane = harness::control_plane().await;
    let (mut versions, requests) = (versions(&stage).await, stage.environment.audit(plane).unwrap().len());
    let watch = stage.watch(stage.picture().await);
    let incomplete = incomplete_sources(&stage).await;
    let (sequence, readings) = (stage.control().last_sequence().await.unwrap(), stage.full_readings().await);
    stage.advance("60m").await;
    let made = stage.full_readings().await - readings;
    assert!((5..=9).contains(&made), "{made} readings in an hour at 10m");
    assert_eq!(connector_writes(&stage, sequence).await, Vec::<String>::new());
    let incomplete = incomplete_sources(&stage).await - incomplete;
    // The hostile mode may make a source incomplete; that shows on account and policy alone, and there in nothing else.
    assert_eq!(watch.end().await, Vec::<String>::new());
    let mut now = self::versions(&stage).await;
    let ours = |key: &String, _: &mut String| key.starts_with("tcu/") || key.starts_with("usrun/");
    now.retain(ours);
    versions.retain(ours);
    assert_eq!(now, versions);
    let asked = stage.environment.audit(plane).unwrap().split_off(requests);
    let others = asked.iter().filter(|it| it.verb != "watch" && it.resource != "secrets").count();
    assert!(others == 0 || incomplete > 0, "only Secrets are read: {asked:?}");
    let secrets = asked.iter().filter(|it| it.resource == "secrets").count() as u64;
    // A reading counts when it is made: one may have been under way at the beginning, and one at the end.
    assert!(secrets.abs_diff(2 * made) <= 2, "each Secret once before each reading: {secrets} for {made}");
    for (route, first_pages) in first_pages(&stage, sequence).await {
        // Without a link to a next page only an empty page proves the end of this one.
        let each = if route.ends_with("/numberAssignments") { 2 } else { 1 };
        assert!(first_pages <= each * (made + 1), "{route}: begun {first_pages} times in {made} readings");
    }
}

/// How often a source could not be read completely so far.
async fn incomplete_sources(stage: &Stage) -> u64 {
    let metrics = stage.environment.operator().metrics().await.unwrap();
    let counts = metrics.lines().filter(|line| line.starts_with("teams_connector_source_incomplete_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn versions(stage: &Stage) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for kind in KINDS {
        for (name, object) in stage.environment.list(kind).await.unwrap() {
            versions
                .insert(format!("{kind}/{name}"), object["metadata"]["resourceVersion"].as_str().unwrap().to_owned());
        }
    }
    versions
}

/// How often each listing was begun, answers of the hostile mode aside.
async fn first_pages(stage: &Stage, since: u64) -> BTreeMap<String, u64> {
    let journal = stage.control().journal(&format!("since={since}")).await.unwrap();
    let mut counts = BTreeMap::new();
    for call in journal["calls"].as_array().unwrap() {
        let begun = call["page"] == 0 && call["injected"].is_null() && call["status"] == 200;
        if begun {
            *counts.entry(call["route"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert!(counts.len() >= 10, "{counts:?}");
    counts
}

/// R9: a person who is renamed in either directory stays the same person; so does everybody when the tenant changes its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_in_either_directory_writes_nothing_outside() {
    let stage = Stage::prepare("rename").await;
    stage.connect("5m").await;
    let sequence = stage.control().last_sequence().await.unwrap();
    let edits = json!([
        {"edit": "renameGotoUser", "user": "joao@contoso.example", "email": "joao.silva@contoso.example"},
        {"edit": "renameTeamsUser", "teamsUser": "ann.lee@contoso.example", "userPrincipalName": "ann.smith@contoso.example", "mail": "ann.smith@contoso.example"},
    ]);
    stage.control().edit(&edits).await.unwrap();
    stage.advance("20m").await;
    let expect = async |user: &str, teams: &str, email: &str| {
        let user = stage.get("tcu", user).await;
        assert_eq!(user["status"]["state"], "Connected");
        assert_eq!((&user["status"]["teamsUser"], &user["status"]["gotoEmail"]), (&json!(teams), &json!(email)));
    };
    expect("head-office-2000000000000000001", "ann.smith@contoso.example", "ann.lee@contoso.example").await;
    expect("head-office-2000000000000000002", "joao@contoso.example", "joao.silva@contoso.example").await;
    let tenant = ["ann.smith", "joao", "lena", "maria", "omar"].map(|name| {
        let new = format!("{name}@fabrikam.example");
        json!({"edit": "renameTeamsUser", "teamsUser": format!("{name}@contoso.example"), "userPrincipalName": new, "mail": new})
    });
    stage.control().edit(&tenant).await.unwrap();
    stage.advance("20m").await;
    expect("head-office-2000000000000000001", "ann.smith@fabrikam.example", "ann.lee@contoso.example").await;
    let policy = stage.get("usp", POLICY).await;
    assert_eq!((condition(&policy, "Ready"), &policy["status"]["users"]["connected"]), (Some("True"), &json!(2)));
    assert_eq!(connector_writes(&stage, sequence).await, Vec::<String>::new());
}

/// T42, T43: suspended, nothing is written outside, Ready keeps its status and the generation is observed; on resume it goes on.
/// A request is echoed and read for once.
#[tokio::test(flavor = "multi_thread")]
async fn suspension_stops_writes_and_a_request_is_handled_once() {
    let stage = Stage::prepare("suspend").await;
    stage.connect("10m").await;
    stage.patch("usp", POLICY, &json!({"spec": {"suspend": true}})).await;
    stage.control().edit(&json!({"edit": "setLicenses", "total": 3})).await.unwrap();
    let sequence = stage.control().last_sequence().await.unwrap();
    stage.advance("30m").await;
    let policy = stage.get("usp", POLICY).await;
    assert_eq!((condition(&policy, "Suspended"), condition(&policy, "Ready")), (Some("True"), Some("True")));
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
    assert_eq!(connector_writes(&stage, sequence).await, Vec::<String>::new());
    stage
        .patch(
            "usp",
            POLICY,
            &json!({"spec": {"suspend": false}, "metadata": {"annotations": {"teamsconnector.dev/paused": "true"}}}),
        )
        .await;
    stage.advance("30m").await;
    assert_eq!(condition(&stage.get("usp", POLICY).await, "Suspended"), Some("True"));
    assert_eq!(connector_writes(&stage, sequence).await, Vec::<String>::new());
    stage.patch("usp", POLICY, &json!({"metadata": {"annotations": {"teamsconnector.dev/paused": null}}})).await;
    let third = async || {
        stage.sign_in().await;
        stage.get("usp", POLICY).await["status"]["users"]["connected"] == 3
    };
    stage.advance_until("the third user is connected", "1m", 60, third).await;
    stage.rest().await;
    let before = stage.full_readings().await;
    stage
        .patch("usp", POLICY, &json!({"metadata": {"annotations": {"teamsconnector.dev/requestedAt": "now-1"}}}))
        .await;
    let handled = async || stage.get("usp", POLICY).await["status"]["lastHandledReconcileAt"] == "now-1";
    stage.advance_until("the request is echoed once it was read for", "10s", 30, handled).await;
    let made = stage.full_readings().await - before;
    assert!((1..=2).contains(&made), "{made} readings for one request");
}

/// T40, R11, Orphan: deleting policy and account disconnects nobody, removes what is ours in Kubernetes, and ends.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_policy_and_account_touches_nothing_outside() {
    let stage = Stage::prepare("delete").await;
    stage.connect("10m").await;
    let sequence = stage.control().last_sequence().await.unwrap();
    let hash = stage.control().state_hash().await.unwrap();
    stage.delete("usp", POLICY).await;
    for kind in ["usp", "tcu", "usrun"] {
        let gone = |objects: &BTreeMap<String, Value>| objects.is_empty().then_some(());
        stage.environment.wait_for_all(kind, "all are gone", gone).await.unwrap();
    }
    stage.delete("tca", ACCOUNT).await;
    let gone = |objects: &BTreeMap<String, Value>| objects.is_empty().then_some(());
    stage.environment.wait_for_all("tca", "is gone", gone).await.unwrap();
    stage.advance("30m").await;
    assert_eq!(connector_writes(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
}
