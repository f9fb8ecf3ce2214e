//! What the first synchronization of many users costs, in counts: never in times.

mod ledger;

use ledger::{POLICY, World};
use teams_connector_operator::devenv::objects::condition;

#[tokio::test(flavor = "multi_thread")]
async fn explore() {
    let users: u32 = std::env::var("N").map_or(1000, |n| n.parse().unwrap());
    let began = std::time::Instant::now();
    let world = World::begin("budget", users, 5).await;
    eprintln!("started {:?}", began.elapsed());
    world.sign_in().await;
    eprintln!("signed in {:?}", began.elapsed());
    world.until("usp", POLICY, "ready", |policy| condition(policy, "Ready") == Some("True")).await;
    eprintln!("ready {:?}", began.elapsed());
    let first = world.ledger().await;
    eprintln!("ledger {:?}", began.elapsed());
    eprintln!("{:#?}\n{:#?}\n{:#?}\n{:#?}", first.requests_by_kind(), first.calls_by_name(), first.readings, first.passes);
    let mut last = None;
    for call in first.calls.iter().filter(|call| call.api == "connector") {
        let short = call.route.rsplit('/').next().unwrap();
        if short == "{accountKey}" || call.method == "POST" || ((short == "users" || short == "candidates") && call.page == Some(0)) {
            let gap = last.map(|last| call.at.duration_since(last));
            eprintln!("{} {:?} {} {short} {} {:?}", call.at, gap, call.method, call.status, call.injected);
            last = Some(call.at);
        }
    }
    world.advance("11m").await;
    world.advance("11m").await;
    let rest = world.ledger().await.since(&first);
    eprintln!("rest {:?} {:#?} {:?} {:?}", began.elapsed(), rest.requests_by_kind(), rest.readings, rest.passes);
}
