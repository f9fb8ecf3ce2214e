//! T1, T2, T37: SIGKILL before and after every write, and at one read of each route.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::StreamExt as _;
use serde_json::Value;
use teams_connector_operator::devenv::proxy::Phase;

use super::outcome::Outcome;
use super::play::{Play, Variant, seed};
use super::points::{Point, is_write, matrix, recorded};

/// Plays at the same time; most of the time each of them waits.
const AT_ONCE: usize = 8;
/// Lines of the operator's log that a failure shows.
const LOG_LINES: usize = 12;

/// What became of one crash.
struct Case {
    point: Point,
    /// Whether the call was made; after a crash that follows it, whether it was accepted.
    hit: Option<Hit>,
    failure: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hit {
    Accepted,
    Refused,
    NotSent,
}

/// T1: the same end state inside and outside Kubernetes as without the crash, and everything once: users, push, sign-in link,
/// import, verification, run. T2: also where the answer to a creation was lost. T37: also where a rotated refresh token was.
///
/// Real time flows fast here instead of being advanced: the order of simultaneous calls then differs a little from play to play,
/// as it does in life.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_changes_nothing() {
    let seed = seed();
    let only = std::env::var("IT_CASE").ok();
    eprintln!("crash: IT_SEED={seed}");
    let began = Instant::now();
    let undisturbed = Play::prepare("undisturbed", seed, Variant::Fresh).await.unwrap();
    let expected = undisturbed.to_the_end(None).await.unwrap_or_else(|error| panic!("IT_SEED={seed}: {error:#}"));
    expected.check();
    assert!(expected.has_no_second_put(), "IT_SEED={seed}");
    assert!(expected.is_quiet(), "IT_SEED={seed}: the undisturbed play does not come to rest");
    let mut points = matrix(&recorded(&undisturbed.environment));
    drop(undisturbed);
    points.retain(|point| only.as_ref().is_none_or(|only| point.to_string().contains(only)));
    let plays = points.into_iter().map(|point| case(point, seed, &expected));
    let cases: Vec<Case> = futures::stream::iter(plays).buffer_unordered(AT_ONCE).collect().await;
    report(&cases, began);
    let failures: Vec<&String> = cases.iter().filter_map(|case| case.failure.as_ref()).collect();
    assert!(failures.is_empty(), "{} of {} crashes show:\n{}", failures.len(), cases.len(), join(&failures));
    if only.is_none() {
        assert_all_hit(&cases);
    }
}

async fn case(point: Point, seed: u64, expected: &Outcome) -> Case {
    let outcome = play(&point, seed, expected).await;
    let (hit, failure) = match outcome {
        Ok((hit, None)) => (hit, None),
        Ok((hit, Some(failure))) => (hit, Some(failure)),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let failure = failure.map(|failure| format!("\n== {point}\nIT_SEED={seed} IT_CASE='{point}'\n{failure}"));
    Case { point, hit, failure }
}

/// Whether the call was reached, and what differs from an undisturbed play.
async fn play(point: &Point, seed: u64, expected: &Outcome) -> anyhow::Result<(Option<Hit>, Option<String>)> {
    let play = Play::prepare("crash", seed, point.variant).await?;
    let proxy = play.environment.proxy(point.api)?;
    proxy.kill_at(point.kill.clone());
    let outcome = play.to_the_end(Some(expected)).await;
    let hit = proxy.pending().is_empty().then(|| {
        let calls = proxy.calls();
        let call = calls.iter().find(|call| call.route == point.kill.route && call.ordinal == point.kill.ordinal);
        match call.and_then(|call| call.status) {
            _ if point.kill.phase == Phase::BeforeSend => Hit::NotSent,
            Some(200..300) => Hit::Accepted,
            _ => Hit::Refused,
        }
    });
    let tail = || log_tail(&play.environment.operator().logs().unwrap_or_default());
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Ok((hit, Some(format!("{error:#}\n{}", tail())))),
    };
    let mut wrong = expected.differences(&outcome);
    if !outcome.is_quiet() {
        wrong.push("it does not come to rest".to_owned());
    }
    let restarts = usize::from(hit.is_some());
    if play.starts() != 1 + restarts {
        wrong.push(format!("the operator was started {} times", play.starts()));
    }
    Ok((hit, (!wrong.is_empty()).then(|| format!("{}\n{}", wrong.join("\n"), tail()))))
}

pub(super) fn log_tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    let short = last.iter().map(|line| log_line(line));
    format!("the end of the operator's log:\n{}", short.collect::<Vec<_>>().join("\n"))
}

/// What a line of the log says, without where it comes from.
fn log_line(line: &str) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return line.to_owned() };
    fields.retain(|name, _| !["span", "spans", "target"].contains(&name.as_str()));
    Value::Object(fields).to_string()
}

fn report(cases: &[Case], began: Instant) {
    let hit = cases.iter().filter(|case| case.hit.is_some()).count();
    let missed = cases.iter().filter(|case| case.hit.is_none());
    eprintln!("crash: {} crashes, {hit} of them hit, in {} s", cases.len(), began.elapsed().as_secs());
    missed.for_each(|case| eprintln!("crash: not reached: {}", case.point));
    let refused = cases.iter().filter(|case| case.hit == Some(Hit::Refused));
    refused.for_each(|case| eprintln!("crash: hit, but the call was refused: {}", case.point));
}

fn join(failures: &[&String]) -> String {
    failures.iter().map(|failure| failure.as_str()).collect::<Vec<_>>().join("\n")
}

/// Every route in every phase that is planned for it; where a write counts, one that was accepted.
fn assert_all_hit(cases: &[Case]) {
    let name =
        |case: &Case| (case.point.api, case.point.kill.route.clone(), case.point.kill.phase == Phase::AfterCommit);
    let counts = |case: &&Case| match case.hit {
        Some(Hit::Refused) => !is_write(&case.point.kill.route),
        hit => hit.is_some(),
    };
    let planned: BTreeSet<_> = cases.iter().map(name).collect();
    let hit: BTreeSet<_> = cases.iter().filter(counts).map(name).collect();
    let missing: Vec<_> = planned.difference(&hit).collect();
    assert!(missing.is_empty(), "never hit (API, route, after the commit): {missing:?}");
}
