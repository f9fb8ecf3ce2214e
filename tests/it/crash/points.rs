//! Where the operator is killed: the calls of an undisturbed play, by route and ordinal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use teams_connector_operator::devenv::environment::Environment;
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use super::play::Variant;

/// Writes of which a play makes many alike: the first, the middle and the last of them are enough.
const ALIKE: [&str; 4] =
    ["PATCH teamsconnectorusers", "PATCH teamsconnectorusers/status", "POST events", "PATCH events"];

/// The number of calls of each route, by the name of the API.
pub(super) type Recorded = BTreeMap<(&'static str, String), usize>;

/// One crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) api: &'static str,
    pub(super) kill: Kill,
    pub(super) variant: Variant,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kill { route, ordinal, phase } = &self.kill;
        write!(f, "{} {route} #{ordinal} {phase:?}", self.api)?;
        if self.variant == Variant::TokensKept { f.write_str(" with a Secret of tokens") } else { Ok(()) }
    }
}

/// The calls that an environment has seen.
pub(super) fn recorded(environment: &Environment) -> Recorded {
    let mut counts = Recorded::new();
    for (api, proxy) in environment.proxies() {
        for call in proxy.calls() {
            *counts.entry((api, call.route)).or_default() += 1;
        }
    }
    counts
}

/// Whether calls of this route may change something.
pub(super) fn is_write(route: &str) -> bool {
    !["GET ", "LIST ", "WATCH "].iter().any(|verb| route.starts_with(verb))
}

/// Every write in both phases, and one read of each route.
pub(super) fn matrix(recorded: &Recorded) -> Vec<Point> {
    let mut points = Vec::new();
    let mut before = false;
    for ((api, route), count) in recorded {
        let point = |ordinal, phase| {
            let kill = Kill { route: route.clone(), ordinal, phase };
            Point { api, kill, variant: Variant::Fresh }
        };
        if is_write(route) {
            let ordinals = ordinals(route, *count);
            points.extend(ordinals.iter().map(|ordinal| point(*ordinal, Phase::BeforeSend)));
            points.extend(ordinals.iter().map(|ordinal| point(*ordinal, Phase::AfterCommit)));
        } else {
            // Nobody can tell a read that was not sent from one that was not answered: by turns. Early ones are reached for sure.
            before = !before;
            let phase = if before { Phase::BeforeSend } else { Phase::AfterCommit };
            points.push(point(1 + count / 6, phase));
        }
    }
    // In a fresh namespace this Secret is not changed but created.
    for phase in [Phase::BeforeSend, Phase::AfterCommit] {
        let kill = Kill { route: "PATCH secrets".to_owned(), ordinal: 1, phase };
        points.push(Point { api: "kubernetes", kill, variant: Variant::TokensKept });
    }
    points
}

fn ordinals(route: &str, count: usize) -> BTreeSet<usize> {
    if ALIKE.contains(&route) { [1, count.div_ceil(2), count].into() } else { (1..=count).collect() }
}
