//! What the first synchronization of 1,000 users costs, in counts and bytes: never in times.

mod ledger;
mod reads;

use std::collections::BTreeMap;

use ledger::{ACCOUNT, Ledger, POLICY, World};
use serde_json::Value;
use teams_connector_operator::devenv::objects::{Objects, condition};

use crate::harness;

/// Users of the PBX, and how many of them the tenant does not know.
const USERS: u32 = 1_000;
const UNMATCHED: u32 = 50;
const CONNECTED: u32 = USERS - UNMATCHED;
/// Pairs of one call of the connector.
const BATCH: u32 = 25;
const BATCH_CALL: &str = "connector POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch";

/// P4: the pages that the lists have, once per reading; at most 4 Kubernetes writes for each user from unknown to Connected;
/// full batches; no event for a user. P15, P16: sizes and watches. P1: nothing is written for whom nothing changed, P2: one
/// write for each user who changed. A burst of events of user objects is one look, not one for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_synchronization_of_1000_users_stays_within_its_budget() {
    let world = World::begin("budget", USERS, 100 * UNMATCHED / USERS).await;
    world.sign_in().await;
    let connected = |policy: &Value| condition(policy, "Ready") == Some("True");
    world.until("usp", POLICY, "everybody is connected", connected).await;
    let first = world.ledger().await;
    let users = world.environment.list("tcu").await.unwrap();
    first_synchronization(&first, &users);
    events_are_of_policies_and_accounts(&world).await;
    objects_are_small(&world, &users).await;
    watches_are_few(&world).await;
    nothing_is_written_at_rest(&world, &first).await;
    one_write_for_each_changed_user(&world, &users).await;
    a_burst_of_events_is_looked_at_a_few_times(&world).await;
}

fn first_synchronization(first: &Ledger, users: &Objects) {
    let state = |wanted: &str| users.values().filter(|user| user["status"]["state"] == wanted).count();
    assert_eq!((state("Connected"), state("Blocked")), (CONNECTED as usize, UNMATCHED as usize));
    let mut writes = BTreeMap::<&str, u32>::new();
    for request in first.writes().filter(|request| request.resource.starts_with("teamsconnectorusers")) {
        assert!((200..300).contains(&request.code), "{request:?}");
        *writes.entry(&request.name).or_default() += 1;
    }
    let most = writes.values().max().copied();
    let total = first.writes().count();
    eprintln!("Kubernetes writes: {most:?} for a user at most, {total} over all kinds for {USERS} users");
    eprintln!("{:#?}", first.by_resource());
    assert_eq!(writes.len(), USERS as usize);
    assert!(most <= Some(4), "{writes:?}");
    assert!(
        total <= 4 * USERS as usize,
        "the writes to all other objects are not more than what some users did not need"
    );
    let calls = first.calls.iter().filter(|call| call.name() == BATCH_CALL);
    let (made, again): (Vec<_>, Vec<_>) = calls.partition(|call| call.is_true());
    eprintln!("batches: {}, {} of them again", made.len(), again.len());
    assert_eq!(made.len(), CONNECTED.div_ceil(BATCH) as usize);
    let writes: Vec<_> = first.calls.iter().filter(|call| call.wrote && call.name() != BATCH_CALL).collect();
    let posts: BTreeMap<_, _> = writes.iter().fold(BTreeMap::new(), |mut posts, call| {
        *posts.entry(call.name()).or_insert(0) += 1;
        posts
    });
    eprintln!("other external writes: {posts:#?}");
    reads::pages_once_per_reading(first);
    reads::polls_are_apart(first);
    eprintln!("passes: {:?}", first.passes);
    assert!(first.passes.values().sum::<u64>() <= 300, "{:?}", first.passes);
}

/// No event is about a user: a thousand people who become connected are no thousand events.
async fn events_are_of_policies_and_accounts(world: &World) {
    let events = world.environment.list("event").await.unwrap();
    let about: Vec<_> = events.values().map(|event| event["regarding"]["kind"].as_str().unwrap()).collect();
    assert!(about.iter().all(|kind| ["TeamsConnectorAccount", "UserSyncPolicy"].contains(kind)), "{about:?}");
    assert!(about.len() < 30, "{about:?}");
}

/// P15, in bytes of JSON without managedFields.
async fn objects_are_small(world: &World, users: &Objects) {
    let size = |object: &Value| {
        let mut object = object.clone();
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        object.to_string().len()
    };
    let user = users.values().map(size).max().unwrap();
    let policy = world.environment.get("usp", POLICY).await.unwrap()["status"].to_string().len();
    let account = world.environment.get("tca", ACCOUNT).await.unwrap()["status"].to_string().len();
    let runs = world.environment.list("usrun").await.unwrap();
    eprintln!("bytes: user object {user}, policy status {policy}, account status {account}");
    assert!(user <= 1_638, "1.6 KiB");
    assert!(policy <= 64 << 10 && account <= 64 << 10);
    let mut actions = 0;
    for run in runs.values() {
        let count = run["spec"]["actions"].as_array().unwrap().len();
        let (spec, status) = (run["spec"].to_string().len(), run["status"].to_string().len());
        eprintln!("bytes: run of {count} actions {spec}, its status {status}");
        assert!(spec / count * 2_000 < 1_000_000, "a run of 2,000 actions stays below 1 MB");
        assert!(status <= 64 << 10);
        actions += count;
    }
    assert_eq!(actions, CONNECTED as usize, "nobody is in two runs");
}

/// P16: whatever the number of objects.
async fn watches_are_few(world: &World) {
    let environment = &world.environment;
    let account = &environment.operator().rendered().service_account;
    let open = harness::control_plane().await.open_watches(environment.namespace(), account).unwrap();
    eprintln!("watches: {open:?}");
    assert!((1..=7).contains(&open.len()), "{open:?}");
}

/// P1, P4: two more intervals.
async fn nothing_is_written_at_rest(world: &World, first: &Ledger) {
    world.advance("11m").await;
    world.advance("11m").await;
    let rest = world.ledger().await.since(first);
    assert!(rest.readings["full"] >= 2, "{:?}", rest.readings);
    assert_eq!(rest.writes().collect::<Vec<_>>(), Vec::<&_>::new());
    assert!(rest.calls.iter().all(|call| !call.wrote || call.is_token()), "{:?}", rest.calls_by_name());
    reads::pages_once_per_reading(&rest);
}

/// P2: ten people marry.
async fn one_write_for_each_changed_user(world: &World, users: &Objects) {
    let connected = users.values().filter(|user| user["status"]["state"] == "Connected");
    let keys: Vec<_> =
        connected.step_by(90).take(10).map(|user| user["spec"]["gotoUserKey"].as_str().unwrap()).collect();
    let before = world.ledger().await;
    world.rename(&keys).await;
    world.advance("11m").await;
    world.advance("11m").await;
    let after = world.ledger().await.since(&before);
    assert_eq!(after.by_resource(), BTreeMap::from([("patch teamsconnectorusers/status 200".to_owned(), 10)]));
    let now = world.environment.list("tcu").await.unwrap();
    let renamed = now.values().filter(|user| user["status"]["displayName"].as_str().unwrap().ends_with(" Renamed"));
    assert_eq!(renamed.count(), 10);
}

/// Somebody labels every user object at once.
async fn a_burst_of_events_is_looked_at_a_few_times(world: &World) {
    let before = world.ledger().await;
    world.label_users("burst").await;
    let after = world.ledger().await.since(&before);
    eprintln!("passes after {USERS} events: {:?}", after.passes);
    assert_eq!(after.writes().count(), 0);
    assert!(after.passes["UserSyncPolicy"] <= 100, "{:?}", after.passes);
}
