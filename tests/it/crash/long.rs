//! T1, T5, R13: 60 people are connected and 60 leave, with SIGKILL at the first, the middle and the last of each kind of write.
//!
//! A play without a crash tells how often each write is made in either half. Then there are two plays with all the crashes one after
//! the other: whatever dies before it is sent in the one dies after it was accepted in the other. The end must be the same in every
//! line, and everything done once.

use std::collections::BTreeSet;

use serde_json::json;
use teams_connector_operator::devenv::objects::Objects;
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use super::matrix::log_tail;
use super::outcome::Outcome;
use super::play::{POLICY, Play, Variant, seed};
use super::points::{Recorded, is_write, recorded};

/// Those who stay: the administrator and a colleague.
const STAYING: u32 = 2;
const LEAVING: u32 = 60;

/// Which half of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Connect,
    Disconnect,
}

/// One crash: the nth call of a route within a half.
#[derive(Debug, Clone)]
struct Point {
    half: Half,
    api: &'static str,
    kill: Kill,
}

/// What became of a play.
struct Told {
    outcome: Outcome,
    /// The calls until everybody was connected, and from the grace period on.
    connect: Recorded,
    disconnect: Recorded,
    missed: Vec<String>,
    starts: usize,
    log: String,
}

/// T1, T5, R13: the same end inside and outside Kubernetes as without a crash, and everything once: pairs, pushes, imports, sign-ins,
/// runs. Whoever was done costs nothing again, nobody is left half removed, and the connector refuses any other order.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_at_the_writes_of_60_change_nothing() {
    let seed = seed();
    eprintln!("long: IT_SEED={seed}");
    let undisturbed = played("long", seed, &[], None).await.unwrap_or_else(|error| panic!("IT_SEED={seed}: {error:#}"));
    check(&undisturbed.outcome);
    let points = [Phase::BeforeSend, Phase::AfterCommit].map(|first| points(&undisturbed, first));
    let [one, other] = &points;
    let expected = Some(&undisturbed.outcome);
    let both = tokio::join!(played("long-one", seed, one, expected), played("long-other", seed, other, expected));
    let mut missed = Vec::new();
    for (points, told) in points.iter().zip([both.0, both.1]) {
        let told = told.unwrap_or_else(|error| panic!("IT_SEED={seed}: {error:#}"));
        eprintln!("long: {} crashes, not reached: {:?}, {} starts", points.len(), told.missed, told.starts);
        let differences = differences(&undisturbed.outcome, &told.outcome);
        assert!(differences.is_empty(), "IT_SEED={seed}\n{}\n{}", differences.join("\n"), log_tail(&told.log));
        assert!(told.outcome.is_quiet(), "IT_SEED={seed}: it does not come to rest");
        // Two calls that die together are one crash.
        assert!(told.starts > points.len() / 2, "IT_SEED={seed}: {} starts", told.starts);
        missed.extend(told.missed);
    }
    every_kind_was_hit(&points.concat(), &missed);
}

/// What differs, but for what crashes may change:
/// - how many pushes there were: one starts when nothing has changed for two minutes, and a restart takes longer. That none of them was of
///   nothing new is another line;
/// - that a run lacks the counters of its plan, which only its first status tells.
fn differences(expected: &Outcome, seen: &Outcome) -> Vec<String> {
    let may_differ = |line: &str| {
        let is_of_pushes = |line: &str| {
            line.starts_with("pushes = ") || line.contains("/syncs\" = ") || line.contains(" status.tenantPush.")
        };
        line.starts_with("- usrun/* status.counters.") || is_of_pushes(&line[2..])
    };
    let mut differences = expected.differences(seen);
    differences.retain(|line| !may_differ(line));
    differences
}

/// Everybody once, and in two runs.
fn check(outcome: &Outcome) {
    let changes = format!("changes of pairs = {}", LEAVING + STAYING + 2 * LEAVING);
    let puts = format!("puts of pairs = {}", LEAVING + STAYING);
    outcome.holds(&["usrun count = 2", "pairs = 2", "pushes of nothing new = 0", "imports = 2", &changes, &puts]);
    outcome.holds(&["usp/head-office status.removals.inWindow = 60", "usrun/* status.outcome.applied = 60"]);
}

/// The first, the middle and the last of each kind of write in either half, by turns before it is sent and after it was accepted.
fn points(undisturbed: &Told, first: Phase) -> Vec<Point> {
    let mut points = Vec::new();
    let mut before = first == Phase::BeforeSend;
    for (half, calls) in [(Half::Connect, &undisturbed.connect), (Half::Disconnect, &undisturbed.disconnect)] {
        // How often an event is told again depends on when.
        let writes = calls.iter().filter(|((_, route), _)| is_write(route) && route != "PATCH events");
        for ((api, route), count) in writes {
            for ordinal in BTreeSet::from([1, count.div_ceil(2), *count]) {
                let phase = if before { Phase::BeforeSend } else { Phase::AfterCommit };
                points.push(Point { half, api, kill: Kill { route: route.clone(), ordinal, phase } });
                before = !before;
            }
        }
    }
    points
}

/// The calls that came later.
fn less(all: &Recorded, earlier: &Recorded) -> Recorded {
    let later = all.iter().map(|(name, count)| (name.clone(), count - earlier.get(name).copied().unwrap_or(0)));
    later.filter(|(_, count)| *count > 0).collect()
}

async fn played(name: &str, seed: u64, points: &[Point], expected: Option<&Outcome>) -> anyhow::Result<Told> {
    let play = Play::prepare(name, seed, Variant::People(LEAVING + STAYING)).await?;
    even_settings(&play).await?;
    apply(&play).await?;
    arm(&play, points, Half::Connect, &Recorded::new())?;
    let script = async {
        let everybody = u64::from(LEAVING + STAYING);
        let connected = |all: &Objects| {
            all.get(POLICY).filter(|policy| policy["status"]["users"]["connected"] == everybody).map(drop)
        };
        play.wait("usp", "everybody is connected", connected).await?;
        play.settle().await?;
        let late = disarm(&play);
        let connect = recorded(&play.environment);
        let leave = json!({"edit": "each", "who": {"drawn": LEAVING, "seed": 1}, "change": "deleteGotoUser"});
        play.control().edit(&leave).await?;
        // Whoever is marked by another process begins the grace period later, and leaves by another run: as it should be.
        let in_grace = |all: &Objects| {
            let count = all.values().filter(|user| user["status"]["reason"] == "InGracePeriod").count();
            (count == LEAVING as usize).then_some(())
        };
        play.wait("tcu", "all who left are in grace", in_grace).await?;
        let marked = recorded(&play.environment);
        arm(&play, points, Half::Disconnect, &marked)?;
        let removed = |all: &Objects| {
            let count = all.values().filter(|user| user["status"]["state"] == "Removed").count();
            (count == LEAVING as usize).then_some(())
        };
        play.wait("tcu", "all who left are removed", removed).await?;
        Ok((
            late,
            connect,
            marked,
            play.finish(|seen| expected.is_none_or(|expected| differences(expected, seen).is_empty())).await?,
        ))
    };
    let (mut missed, connect, marked, outcome) = play.act(script).await?;
    missed.extend(disarm(&play));
    Ok(Told {
        outcome,
        connect,
        disconnect: less(&recorded(&play.environment), &marked),
        missed: missed.iter().map(|kill| format!("{} #{} {:?}", kill.route, kill.ordinal, kill.phase)).collect(),
        starts: play.starts(),
        log: play.environment.operator().logs()?,
    })
}

/// Crashes take time, and whether a sign-in still holds after it is not what is compared.
async fn even_settings(play: &Play) -> anyhow::Result<()> {
    let days = 10 * 24 * 3600;
    // All who leave are seen to have left at once: one grace period, one run.
    let settings = json!({"linkSeconds": days, "pushAuthorizationSeconds": days, "gotoLagSeconds": 0});
    play.control().edit(&json!({"edit": "changeSettings", "settings": settings})).await
}

/// The samples with a policy that removes who left, in batches.
async fn apply(play: &Play) -> anyhow::Result<()> {
    let mut samples = play.environment.samples()?;
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    for sample in &mut samples {
        if let Some(interval) = sample.data.pointer_mut("/spec/interval") {
            *interval = json!("5m");
        }
        if sample.types.as_ref().is_some_and(|types| types.kind == "UserSyncPolicy") {
            sample.data["spec"]["removal"] = json!({"action": "Remove", "gracePeriod": "10m", "guard": guard});
            sample.data["spec"]["rollout"] = json!({"batchSize": 20});
        }
    }
    play.environment.apply(&samples).await
}

/// Puts the crashes of a half into the scripts of the proxies, counted from now on.
fn arm(play: &Play, points: &[Point], half: Half, made: &Recorded) -> anyhow::Result<()> {
    for Point { api, kill, .. } in points.iter().filter(|point| point.half == half) {
        let earlier = made.get(&(*api, kill.route.clone())).copied().unwrap_or(0);
        play.environment.proxy(api)?.kill_at(Kill { ordinal: earlier + kill.ordinal, ..kill.clone() });
    }
    Ok(())
}

/// The crashes that did not happen.
fn disarm(play: &Play) -> Vec<Kill> {
    play.environment.proxies().flat_map(|(_, proxy)| proxy.disarm()).collect()
}

/// Each kind of write was hit; a crash that comes too late, or whose call dies with the one before, is told above.
fn every_kind_was_hit(points: &[Point], missed: &[String]) {
    let kinds: BTreeSet<&str> = points.iter().map(|point| point.kill.route.as_str()).collect();
    for kind in kinds {
        let planned = points.iter().filter(|point| point.kill.route == kind).count();
        let late = missed.iter().filter(|missed| missed.starts_with(&format!("{kind} #"))).count();
        assert!(late < planned, "{kind} was never hit");
    }
}
