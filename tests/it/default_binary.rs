//! The binary that ships: built without the feature `sim`, on the system's clock.

mod artifact;
mod wrong_input;

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teams_connector_operator::devenv::environment::Environment;
use teams_connector_operator::devenv::objects::condition;

use crate::harness;

/// How long things take in this world: business time is real time here, so nobody can be made to wait for minutes.
const SHORT: [(&str, u32); 7] = [
    ("queueSeconds", 1),
    ("directoryImportSeconds", 2),
    ("pushSeconds", 2),
    ("verificationSeconds", 2),
    ("licenseReleaseSeconds", 2),
    ("gotoLagSeconds", 1),
    ("graphLagSeconds", 2),
];

/// The demo world ends as described, for an operator that knows nothing of a simulator: no feature, no `--clock-url`.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_world_ends_as_described_on_the_system_clock() {
    let binary = artifact::binary();
    let environment = harness::prepare_with("default", |setup| {
        setup.simulator.iter_mut().filter(|flag| *flag == "jump").for_each(|flag| "auto".clone_into(flag));
        setup.simulated_clock = false;
        setup.operator = Some(binary);
    })
    .await;
    let seed = environment.simulator().seed();
    eprintln!("{}: IT_SEED={seed}", environment.namespace());
    let arguments = &environment.operator().rendered().args;
    assert!(arguments.iter().all(|argument| !argument.contains("clock")), "{arguments:?}");
    hurry(&environment).await;
    environment.apply(&environment.samples().unwrap()).await.unwrap();
    environment.operator().start_ready().await.unwrap();
    let asked = |account: &Value| link(account).is_some();
    let account = environment.wait_for("tca", "contoso", "the sign-in is asked for", asked).await.unwrap();
    environment.simulator().control().click(&link(&account).unwrap()).await.unwrap();
    let connected = |policy: &Value| condition(policy, "Ready") == Some("True");
    environment.wait_for("usp", "head-office", "everybody who can be is connected", connected).await.unwrap();
    ends_as_described(&environment).await;
}

/// The world of the demo in short days, and today: its times and its clock are moved to the system's.
async fn hurry(environment: &Environment) {
    let control = environment.simulator().control();
    let mut world = control.world().await.unwrap();
    for (name, seconds) in SHORT {
        assert!(world["settings"][name].is_u64(), "{name} is no setting of a world");
        world["settings"][name] = json!(seconds);
    }
    world["settings"]["registrationSeconds"] = json!([1, 3]);
    let then: Timestamp = control.clock().await.unwrap()["now"].as_str().unwrap().parse().unwrap();
    let now = Timestamp::now();
    shift(&mut world, now.duration_since(then));
    control.put("/world", &world).await.unwrap();
    control.post("/clock", &json!({ "advanceTo": now })).await.unwrap();
}

/// Moves every time in a JSON value.
fn shift(value: &mut Value, by: SignedDuration) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shift(field, by)),
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time + by).to_string();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn link(account: &Value) -> Option<String> {
    let mut actions = account["status"]["pendingActions"].as_array()?.iter();
    actions.find_map(|action| action["link"].as_str().map(str::to_owned))
}

async fn ends_as_described(environment: &Environment) {
    let users = environment.list("tcu").await.unwrap();
    let text = |user: &Value, field: &str| user["status"][field].as_str().unwrap_or_default().to_owned();
    let ends: BTreeMap<_, _> =
        users.values().map(|user| (text(user, "gotoEmail"), (text(user, "state"), text(user, "reason")))).collect();
    let expected = [
        ("ann.lee", "Connected", "Connected"),
        ("joao", "Connected", "Connected"),
        ("kofi", "Blocked", "NoMatch"),
        ("lena", "Blocked", "NoPhoneSystemLicense"),
        ("maria", "Waiting", "ConnectorLicenseExhausted"),
        ("omar", "Blocked", "SecureCallingEnabled"),
    ];
    let expected = expected
        .map(|(user, state, reason)| (format!("{user}@contoso.example"), (state.to_owned(), reason.to_owned())));
    assert_eq!(ends, BTreeMap::from(expected));
    let complete = |runs: &teams_connector_operator::devenv::objects::Objects| {
        let all = runs.values().all(|run| condition(run, "Complete") == Some("True"));
        (runs.len() == 1 && all).then_some(())
    };
    environment.wait_for_all("usrun", "the run is complete", complete).await.unwrap();
}
