//! The end and the beginning of the process: deletion after a crash, SIGTERM, and a start where nothing is to be done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::DeleteParams;
use serde_json::{Value, json};
use teams_connector_operator::devenv::environment::Environment;
use teams_connector_operator::devenv::objects;
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use super::play::{ACCOUNT, POLICY, Play, TOKENS, Variant, seed};
use super::points::is_write;

/// What Kubernetes waits after SIGTERM before it kills.
const GRACE: Duration = Duration::from_secs(30);
/// How long a test waits for a call.
const PATIENCE: Duration = Duration::from_mins(1);
/// Milliseconds of a read that nobody waits for at the end.
const SLOW_READ: u64 = 20_000;
/// Milliseconds of a write that outlasts every grace.
const ENDLESS: u64 = 45_000;
const BATCH: &str = "POST /accounts/{id}/pbxs/{id}/users:batch";
const DIRECTORY: &str = "GET /v1.0/users/delta";

async fn prepare(name: &str, variant: Variant) -> Play {
    let seed = seed();
    eprintln!("{name}: IT_SEED={seed}");
    Play::prepare(name, seed, variant).await.unwrap()
}

/// T3: an account and a policy that have their finalizer only, since the operator died right after it was stored, are deleted as
/// soon as it is back, and nobody outside was called.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_completes_after_a_crash_right_after_the_finalizer() {
    let play = prepare("finalizer", Variant::Fresh).await;
    let environment = &play.environment;
    let proxy = environment.proxy("kubernetes").unwrap();
    for (kind, plural, name) in [("tca", "teamsconnectoraccounts", ACCOUNT), ("usp", "usersyncpolicies", POLICY)] {
        let kill = Kill { route: format!("PATCH {plural}"), ordinal: 1, phase: Phase::AfterCommit };
        proxy.kill_at(kill);
        let sample = environment.samples().unwrap().into_iter().find(|it| it.metadata.name.as_deref() == Some(name));
        environment.apply(&[sample.unwrap()]).await.unwrap();
        environment.operator().start().await.unwrap().wait().await.unwrap();
        assert_eq!(proxy.pending(), [], "{kind}");
        let object = environment.get(kind, name).await.unwrap();
        assert_eq!(object["metadata"]["finalizers"].as_array().map(Vec::len), Some(1), "{kind}");
        let api = objects::api(environment.client(), environment.namespace(), kind).unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        assert!(environment.get(kind, name).await.unwrap()["metadata"]["deletionTimestamp"].is_string(), "{kind}");
        environment.operator().start_ready().await.unwrap();
        let gone = |all: &objects::Objects| (!all.contains_key(name)).then_some(());
        environment.wait_for_all(kind, "it is gone", gone).await.unwrap();
        environment.operator().terminate().await.unwrap();
    }
    let calls = play.control().journal("").await.unwrap();
    assert_eq!(calls["calls"], json!([]));
}

/// T6: SIGTERM lets a pass that waits for the connector finish and report, does not wait for a reading, and not for ever for a
/// pass. T37: a rotated refresh token is stored first. Whatever was cut off goes on in the next process, once.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_pass_after_its_report() {
    let play = prepare("sigterm", Variant::Fresh).await;
    let environment = &play.environment;
    environment.apply(&environment.samples().unwrap()).await.unwrap();
    let slow = |api: &str, route: &str, ms: u64| json!({"match": {"api": api, "route": route}, "times": 1, "then": {"delay": {"ms": ms}}});
    let batch = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
    let faults = json!([
        slow("graph", "/v1.0/users/delta", SLOW_READ),
        slow("connector", batch, ENDLESS),
        slow("connector", batch, 3_000),
    ]);
    play.control().add_faults(&faults).await.unwrap();

    let took = stop_during(environment, "graph", DIRECTORY).await;
    assert!(took < Duration::from_millis(SLOW_READ), "{took:?}");
    assert!(environment.list("secret").await.unwrap()[TOKENS]["data"].is_object());
    let took = stop_during(environment, "connector", BATCH).await;
    assert!(took < GRACE, "{took:?}");
    let took = stop_during(environment, "connector", BATCH).await;
    assert!(took < Duration::from_millis(SLOW_READ), "{took:?}");

    let connected: Vec<Value> = environment.list("tcu").await.unwrap().into_values().collect();
    let connected: Vec<&Value> = connected.iter().filter(|user| user["spec"]["managed"] == "Added").collect();
    assert_eq!(connected.len(), 2);
    assert!(connected.iter().all(|user| user["status"]["lastChange"]["run"].is_string()), "{connected:?}");
    let runs: Vec<Value> = environment.list("usrun").await.unwrap().into_values().collect();
    assert_eq!(runs.iter().map(|run| &run["status"]["outcome"]["applied"]).collect::<Vec<_>>(), [&json!(2)]);
    play.to_the_end(None).await.unwrap().check();
}

/// Starts the operator, and stops it while it waits for the answer to a call.
async fn stop_during(environment: &Environment, api: &str, route: &str) -> Duration {
    let proxy = environment.proxy(api).unwrap();
    let before = proxy.calls().len();
    environment.operator().start_ready().await.unwrap();
    let waits = async || {
        let calls = proxy.calls();
        calls[before..].iter().any(|call| call.route == route && call.status.is_none()).then_some(())
    };
    environment.operator().process().unwrap().until(PATIENCE, waits).await.unwrap();
    let began = Instant::now();
    let status = environment.operator().terminate().await.unwrap();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0), "{route}: {}", environment.operator().process().unwrap().last_lines());
    let calls = environment.proxy("kubernetes").unwrap().calls();
    assert!(
        calls.iter().filter(|call| is_write(&call.route)).all(|call| call.status.is_some()),
        "{route}: a write was cut off: {calls:?}"
    );
    took
}

/// T51: a restart where everything is well reads, and writes nothing: outside, no object, no event.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_where_everything_is_well_writes_nothing() {
    let play = prepare("restart", Variant::Calm).await;
    let environment = &play.environment;
    play.to_the_end(None).await.unwrap().check();
    environment.operator().terminate().await.unwrap();
    let (before, sequence) = (versions(environment).await, play.control().last_sequence().await.unwrap());
    let began = Instant::now();
    environment.operator().start_ready().await.unwrap();
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
    for minutes in 1.. {
        play.control().advance("1m").await.unwrap();
        if readings(environment).await > 1 {
            break;
        }
        // It may not have begun yet when the first minutes pass.
        assert!(minutes < 90, "two readings do not take so long");
    }
    let writes = play.control().writes_since(sequence).await.unwrap();
    assert_eq!(writes, Vec::<Value>::new());
    assert_eq!(versions(environment).await, before);
}

/// The resource version of everything that the operator writes.
async fn versions(environment: &Environment) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for kind in ["tca", "usp", "usrun", "tcu", "secret", "event"] {
        for (name, object) in environment.list(kind).await.unwrap() {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
            versions.insert(format!("{kind}/{name}"), version);
        }
    }
    versions
}

/// How many readings this process has made, of whatever kind.
async fn readings(environment: &Environment) -> usize {
    let metrics = environment.operator().metrics().await.unwrap();
    let counts = metrics.lines().filter(|line| line.starts_with("teams_connector_readings_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}
