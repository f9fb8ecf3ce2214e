//! The demo world played to its end, with an operator that is started again whenever it was killed.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{self, Objects, condition};
use teams_connector_operator::devenv::process::Process;
use teams_connector_operator::devenv::simulator::Control;
use tokio::sync::{Mutex, watch};

use super::outcome::Outcome;
use crate::harness::{self, Placed};

/// The account and the policy of the samples.
pub(super) const ACCOUNT: &str = "contoso";
pub(super) const POLICY: &str = "head-office";
/// Where the operator keeps rotated refresh tokens.
pub(super) const TOKENS: &str = "teams-connector-tokens";

/// How long one play may take; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(5);
/// Simulated seconds for each real second: most of a play is waiting for the connector.
const SPEED: f64 = 80.0;
/// Intervals until everything is as it was without the crash, on the worst of days.
const INTERVALS: usize = 6;
/// One interval of the sample account with the largest jitter.
const INTERVAL: &str = "11m";

/// How one play differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Variant {
    /// The operator has never been in this namespace.
    Fresh,
    /// The Secret of rotated tokens is there already, so that it is changed and not created.
    TokensKept,
    /// As fresh, and the vendors have a good day: what is not read completely shows on account and policy.
    Calm,
    /// As fresh, with so many people who can all be connected instead of the demo world.
    People(u32),
}

/// Another one in each run; `IT_SEED` replays one.
pub(super) fn seed() -> u64 {
    std::env::var("IT_SEED").map_or_else(|_| rand::random_range(1..1_000_000), |seed| seed.parse().unwrap())
}

/// The demo world with everything before the connector's services undone, so that the operator itself binds the PBX and
/// verifies the connection, and with a refresh token that is replaced at its first use.
pub(super) struct Play {
    pub(super) environment: Placed,
    operator: watch::Sender<Lives>,
    /// Whether time flows while the operator runs. It stands while none does: how long a start takes is the machine's affair.
    flows: Mutex<bool>,
}

/// The operator's processes one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Lives {
    started: usize,
    ready: bool,
}

impl Play {
    /// Nothing of the operator is running yet.
    pub(super) async fn prepare(name: &str, seed: u64, variant: Variant) -> anyhow::Result<Self> {
        let environment = harness::prepare_with(name, |setup| {
            setup.proxied = true;
            let [seed, pace] = [seed.to_string(), SPEED.to_string()];
            let flags = ["--clock", "auto", "--speed", &pace, "--humans", "manual", "--seed", &seed];
            setup.simulator = flags.map(str::to_owned).to_vec();
            let people = if let Variant::People(people) = variant { people.to_string() } else { String::new() };
            let world: &[&str] = match variant {
                Variant::People(_) => &["--users", &people, "--licenses", &people, "--unmatched", "0"],
                _ => &["--demo"],
            };
            setup.simulator.extend(world.iter().copied().map(str::to_owned));
            if variant == Variant::Calm {
                setup.simulator.push("--calm".to_owned());
            }
        })
        .await;
        let play = Self { environment, operator: watch::Sender::new(Lives::default()), flows: Mutex::new(true) };
        play.control().edit(&json!([{"edit": "unbindPbx"}, {"edit": "rotateRefreshTokens"}])).await?;
        if variant == Variant::TokensKept {
            let secret = format!("{{apiVersion: v1, kind: Secret, metadata: {{name: {TOKENS}}}}}");
            play.environment.apply_yaml(&secret).await?;
        }
        Ok(play)
    }

    pub(super) fn control(&self) -> &Control {
        self.environment.simulator().control()
    }

    /// How often the operator was started.
    pub(super) fn starts(&self) -> usize {
        self.operator.borrow().started
    }

    /// Applies the samples, starts the operator, and returns what there is when everything has ended and at least one interval
    /// has passed since. What is expected may take some intervals more: vendors have bad days.
    pub(super) async fn to_the_end(&self, expected: Option<&Outcome>) -> anyhow::Result<Outcome> {
        self.environment.apply(&self.environment.samples()?).await?;
        self.act(self.finish(|seen| expected.is_none_or(|expected| expected == seen))).await
    }

    /// Starts the operator and keeps it running, with somebody who signs in, until the script has ended.
    pub(super) async fn act<T>(&self, script: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let all = async {
            tokio::select! {
                ended = self.keep_running() => Err(ended.err().context("the operator is not kept running")?),
                ended = self.sign_in() => Err(ended.err().context("nobody signs in")?),
                told = script => told,
            }
        };
        tokio::time::timeout(PATIENCE, all).await.context("the play does not end")?
    }

    /// Starts the operator, and again after each SIGKILL. Any other end of it is an error.
    async fn keep_running(&self) -> anyhow::Result<()> {
        loop {
            let process = self.environment.operator().start().await?;
            self.operator.send_modify(|lives| *lives = Lives { started: lives.started + 1, ready: false });
            let status = tokio::select! {
                status = process.wait() => status?,
                ready = self.ready(&process) => {
                    if ready.is_ok() {
                        self.flow("Auto", Some(SPEED)).await?;
                        self.operator.send_modify(|lives| lives.ready = true);
                    }
                    process.wait().await?
                }
            };
            self.operator.send_modify(|lives| lives.ready = false);
            self.flow("Explicit", None).await?;
            if status.signal() != Some(9) {
                bail!("the operator ended with {status}");
            }
        }
    }

    async fn flow(&self, mode: &str, speed: Option<f64>) -> anyhow::Result<()> {
        let flows = self.flows.lock().await;
        if *flows {
            self.control().set_clock(mode, speed).await?;
        }
        Ok(())
    }

    /// From now on time moves only when it is advanced.
    async fn stand(&self) -> anyhow::Result<()> {
        let mut flows = self.flows.lock().await;
        *flows = false;
        self.control().set_clock("Explicit", None).await.map(drop)
    }

    async fn ready(&self, process: &Process) -> anyhow::Result<()> {
        let readyz = format!("{}/readyz", self.environment.operator().url()?);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let probe = async || http.get(&readyz).send().await.ok().filter(|answer| answer.status().is_success());
        process.until(PATIENCE, probe).await.map(drop)
    }

    /// The Global Administrator opens every link of the simulator once, as soon as it is shown; others lead to the vendors.
    async fn sign_in(&self) -> anyhow::Result<()> {
        let mut opened = BTreeSet::new();
        loop {
            let wanted = |link: &str| link.starts_with(self.control().url()) && !opened.contains(link);
            let link = self.wait("tca", "shows a link", |objects| link(objects, &wanted)).await?;
            self.control().click(&link).await?;
            opened.insert(link);
        }
    }

    /// Until policy and account are ready and every run is complete.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let ready = |object: &Value| condition(object, "Ready") == Some("True");
        let complete = |object: &Value| condition(object, "Complete") == Some("True");
        self.wait("usp", "the policy is ready", |all| all.get(POLICY).filter(|it| ready(it)).map(drop)).await?;
        self.wait("tca", "the account is ready", |all| all.get(ACCOUNT).filter(|it| ready(it)).map(drop)).await?;
        self.wait("usrun", "every run is complete", |all| all.values().all(complete).then_some(())).await
    }

    /// What there is when everything has ended and at least one interval has passed since; some more until it is as expected.
    pub(super) async fn finish(&self, is_expected: impl Fn(&Outcome) -> bool) -> anyhow::Result<Outcome> {
        self.settle().await?;
        self.stand().await?;
        let mut outcome = None;
        for _ in 0..INTERVALS {
            self.pass_interval().await?;
            let seen = Outcome::read(&self.environment).await?;
            if seen.is_quiet() && is_expected(&seen) {
                return Ok(seen);
            }
            outcome = Some(seen);
        }
        outcome.context("no interval passed")
    }

    /// Lets an interval pass with an operator that lives from its beginning to its end.
    async fn pass_interval(&self) -> anyhow::Result<()> {
        loop {
            let before = *self.operator.subscribe().wait_for(|lives| lives.ready).await?;
            self.control().advance(INTERVAL).await?;
            let after = *self.operator.borrow();
            if after.ready && after.started == before.started {
                return Ok(());
            }
        }
    }

    pub(super) async fn wait<T>(
        &self,
        kind: &str,
        what: &str,
        found: impl FnMut(&Objects) -> Option<T>,
    ) -> anyhow::Result<T> {
        let api = objects::api(self.environment.client(), self.environment.namespace(), kind)?;
        objects::wait(&api, what, PATIENCE, found).await
    }
}

fn link(objects: &Objects, wanted: &impl Fn(&str) -> bool) -> Option<String> {
    let actions = objects.get(ACCOUNT)?["status"]["pendingActions"].as_array()?;
    actions.iter().filter_map(|action| action["link"].as_str()).find(|link| wanted(link)).map(str::to_owned)
}
