use std::sync::{Arc, Mutex};
use std::time::Instant;

use k8s_openapi::jiff::SignedDuration;
use tokio::task::JoinHandle;

use super::*;
use crate::clock::Clock;

const START: &str = "2026-01-05T08:00:00Z";

async fn clock(bench: &Bench) -> Clock {
    Clock::simulated(&bench.sim.endpoints().control).await.unwrap()
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Sleeps `steps` times `every`; the times at which it woke.
fn sleeper(clock: &Clock, every: SignedDuration, steps: usize) -> JoinHandle<Vec<Timestamp>> {
    let clock = clock.clone();
    tokio::spawn(async move {
        let mut woke = Vec::new();
        for _ in 0..steps {
            clock.sleep_until(clock.now() + every).await;
            woke.push(clock.now());
        }
        woke
    })
}

#[tokio::test]
async fn an_advance_wakes_every_sleeper_at_its_own_moment() {
    let bench = Bench::demo().await;
    let clock = clock(&bench).await;
    assert_eq!(clock.now(), at(START));
    let often = sleeper(&clock, minutes(15), 6);
    let seldom = sleeper(&clock, minutes(40), 2);
    assert_eq!(bench.advance("90m").await, at("2026-01-05T09:30:00Z"));
    let quarters = ["08:15", "08:30", "08:45", "09:00", "09:15", "09:30"];
    assert_eq!(often.await.unwrap(), quarters.map(|time| at(&format!("2026-01-05T{time}:00Z"))));
    assert_eq!(seldom.await.unwrap(), [at("2026-01-05T08:40:00Z"), at("2026-01-05T09:20:00Z")]);
    assert_eq!(clock.now(), at("2026-01-05T09:30:00Z"));
}

#[tokio::test]
async fn an_advance_without_sleepers_goes_straight_to_its_target() {
    let bench = Bench::demo().await;
    let begin = Instant::now();
    assert_eq!(bench.advance("48h").await, at("2026-01-07T08:00:00Z"));
    assert!(begin.elapsed() < Duration::from_secs(2));
    let (_, body) = bench.control("POST", "/clock", Some(json!({"advanceTo": START}))).await;
    assert_eq!(body["now"], "2026-01-07T08:00:00Z", "time never goes back");
}

#[tokio::test]
async fn time_stands_still_while_a_client_works() {
    let bench = Bench::demo().await;
    let clock = clock(&bench).await;
    let busy = clock.busy();
    let state = bench.sim.state().clone();
    let mut advance = tokio::spawn(async move { state.advance_to(at("2026-01-05T09:00:00Z")).await });
    assert!(tokio::time::timeout(Duration::from_millis(400), &mut advance).await.is_err());
    assert_eq!(bench.sim.now(), at(START));
    drop(busy);
    assert_eq!(advance.await.unwrap().now, at("2026-01-05T09:00:00Z"));
}

/// The work that a wake-up causes is over before time moves on.
#[tokio::test]
async fn an_advance_returns_when_the_work_of_the_woken_is_done() {
    let bench = Bench::demo().await;
    let clock = clock(&bench).await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let (seen, token) = (Arc::clone(&done), bench.goto_token().await);
    let call = bench.get(Api::GotoAdmin, "/admin/rest/v1/me", &token);
    bench.fault(json!({"match": {"api": "goto-admin"}, "then": {"delay": {"ms": 120}}}));
    tokio::spawn(async move {
        clock.sleep_until(at("2026-01-05T08:10:00Z")).await;
        let _busy = clock.busy();
        let status = call.send().await.unwrap().status();
        seen.lock().unwrap().push((status.as_u16(), clock.now()));
    });
    bench.advance("30m").await;
    assert_eq!(*done.lock().unwrap(), [(200, at("2026-01-05T08:10:00Z"))]);
}

#[tokio::test]
async fn jump_goes_to_the_earliest_sleeper_by_itself() {
    let bench = Bench::start(SimConfig { clock: Mode::Jump, ..config() }).await;
    let (first, second) = (clock(&bench).await, clock(&bench).await);
    let day = sleeper(&first, SignedDuration::from_hours(24), 1);
    let quarters = sleeper(&second, minutes(15), 3);
    let begin = Instant::now();
    let woke = quarters.await.unwrap();
    assert_eq!(woke, [at("2026-01-05T08:15:00Z"), at("2026-01-05T08:30:00Z"), at("2026-01-05T08:45:00Z")]);
    assert_eq!(day.await.unwrap(), [at("2026-01-06T08:00:00Z")]);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.sim.now(), at("2026-01-06T08:00:00Z"), "never beyond the last sleeper");
}

#[tokio::test]
async fn jump_stays_where_nobody_sleeps() {
    let bench = Bench::start(SimConfig { clock: Mode::Jump, ..config() }).await;
    let clock = clock(&bench).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(clock.now(), at(START));
}

#[tokio::test]
async fn auto_flows_with_its_speed() {
    let bench = Bench::start(SimConfig { clock: Mode::Auto { speed: 3600.0 }, ..config() }).await;
    let clock = clock(&bench).await;
    let begin = Instant::now();
    let woke = sleeper(&clock, minutes(30), 1).await.unwrap();
    let real = begin.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_secs(3)).contains(&real), "{real:?}");
    assert!(woke[0] >= at("2026-01-05T08:30:00Z"));
}

/// A client that works hears of the time that flows: another of its tasks may sleep.
#[tokio::test]
async fn auto_wakes_a_sleeper_of_a_client_that_works() {
    let bench = Bench::start(SimConfig { clock: Mode::Auto { speed: 3600.0 }, ..config() }).await;
    let clock = clock(&bench).await;
    let _busy = clock.busy();
    let woke = tokio::time::timeout(Duration::from_secs(5), sleeper(&clock, minutes(20), 1)).await;
    assert_eq!(woke.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn the_mode_can_be_changed() {
    let bench = Bench::demo().await;
    let clock = clock(&bench).await;
    let sleeping = sleeper(&clock, minutes(5), 1);
    let (_, body) = bench.control("POST", "/clock", Some(json!({"mode": "Auto", "speed": 600.0}))).await;
    assert_eq!((&body["mode"], &body["speed"]), (&json!("Auto"), &json!(600.0)));
    sleeping.await.unwrap();
    let (_, body) = bench.control("POST", "/clock", Some(json!({"mode": "Explicit"}))).await;
    let stands = at(body["now"].as_str().unwrap());
    assert!(stands >= at("2026-01-05T08:05:00Z"));
    assert_eq!(body["speed"], 0.0);
    assert_eq!(bench.sim.now(), stands);
}

#[tokio::test]
async fn people_wait_for_a_moment() {
    let bench = Bench::demo().await;
    let url = format!("{}/clock?after=2026-01-05T08:20:00Z", bench.sim.endpoints().control);
    assert_eq!(bench.control("GET", "/clock", None).await.0, 200);
    let waiting = tokio::spawn(bench.http.get(url).send());
    bench.advance("20m").await;
    let body: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body, json!({"now": "2026-01-05T08:20:00Z", "speed": 0.0, "mode": "Explicit"}));
}

#[tokio::test]
async fn a_client_that_was_killed_holds_time_up_for_a_moment_only() {
    let bench = Bench::demo().await;
    let url = format!("{}/clock?known={START}", bench.sim.endpoints().control);
    // Reading the time first holds it until the poll is there, as the client does.
    assert_eq!(bench.control("GET", "/clock", None).await.0, 200);
    let poll = tokio::spawn(bench.http.get(url).send());
    let state = bench.sim.state().clone();
    let mut advance = tokio::spawn(async move { state.advance_to(at("2026-01-05T09:00:00Z")).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut advance).await.is_err());
    assert_eq!(bench.sim.now(), at(START));
    poll.abort();
    let reading = tokio::time::timeout(Duration::from_secs(5), advance).await.unwrap().unwrap();
    assert_eq!(reading.now, at("2026-01-05T09:00:00Z"));
}

/// A client that works, rests and works again lets nobody wait: its former poll may end after the next one has begun.
#[tokio::test]
async fn a_client_that_changes_its_mind_often_does_not_hold_time_up() {
    let bench = Bench::demo().await;
    let clock = clock(&bench).await;
    let working = clock.clone();
    let work = tokio::spawn(async move {
        for _ in 0..10 {
            working.sleep_until(working.now() + minutes(1)).await;
            for _ in 0..5 {
                let busy = working.busy();
                tokio::time::sleep(Duration::from_millis(3)).await;
                drop(busy);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        working.now()
    });
    let begin = Instant::now();
    bench.advance("10m").await;
    assert_eq!(work.await.unwrap(), at("2026-01-05T08:10:00Z"));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn an_order_that_is_not_understood_is_refused() {
    let bench = Bench::demo().await;
    for order in [
        json!({"mode": "Sideways"}),
        json!({"mode": "Jump", "speed": 2.0}),
        json!({"mode": "Auto", "speed": 0.0}),
        json!({"advance": "soon"}),
        json!({"advance": "1m", "advanceTo": START}),
        json!({"advanced": "1m"}),
        json!({}),
    ] {
        let (status, body) = bench.control("POST", "/clock", Some(order.clone())).await;
        assert!(status == 422 && body["error"].is_string(), "{order}: {status} {body}");
    }
    assert_eq!(bench.control("GET", "/clock?know=1", None).await.0, 422);
}
