//! What a play leaves behind, in lines that can be compared: without times, and without names that are made anew each time.

use std::collections::BTreeSet;

use anyhow::Context as _;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use teams_connector_operator::devenv::environment::Environment;
use teams_connector_operator::devenv::objects::condition;

use super::play::{ACCOUNT, POLICY, TOKENS};

/// Our four kinds.
const KINDS: [&str; 4] = ["tca", "usp", "usrun", "tcu"];

/// The end of a play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    lines: BTreeSet<String>,
    quiet: bool,
}

impl Outcome {
    /// How everything is now.
    pub(super) async fn read(environment: &Environment) -> anyhow::Result<Self> {
        let mut lines = Lines::default();
        let mut uid = String::new();
        let mut quiet = true;
        for kind in KINDS {
            let objects = environment.list(kind).await?;
            lines.add(&format!("{kind} count"), objects.len());
            for (name, object) in objects {
                quiet &= is_quiet(&object);
                if name == ACCOUNT {
                    object["metadata"]["uid"].as_str().unwrap_or_default().clone_into(&mut uid);
                }
                let name = if kind == "usrun" { "*" } else { name.as_str() };
                lines.object(&format!("{kind}/{name}"), object);
            }
        }
        let world = environment.simulator().control().world().await?;
        lines.world(&world);
        lines.tokens(environment, &uid, &world).await?;
        lines.add("state hash", environment.simulator().control().state_hash().await?);
        // How users are shared out among batches is nobody's promise: the PUTs of their pairs are counted, equal ones too.
        let calls = environment.simulator().control().writes_since(0).await?;
        for call in calls.iter().filter(|call| call["route"].as_str().is_none_or(|route| !route.ends_with(":batch"))) {
            lines.count(&format!("journal {} {} {}", call["api"], call["method"], call["route"]));
        }
        Ok(Self { lines: lines.finish(), quiet })
    }

    /// Whether no source is being read anew and nothing is waited for.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// What differs, a line each: `-` is missing, `+` is too much.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let missing = self.lines.difference(&other.lines).map(|line| format!("- {line}"));
        missing.chain(other.lines.difference(&self.lines).map(|line| format!("+ {line}"))).collect()
    }

    /// Whether each pair was put once, and not again.
    pub(super) fn has_no_second_put(&self) -> bool {
        self.lines.contains("puts of pairs = 2")
    }

    /// Fails unless the demo world ended as it must: two connected, everything once.
    pub(super) fn check(&self) {
        let expected = [
            "usrun count = 1",
            "tcu count = 6",
            "pairs = 2",
            "changes of pairs = 2",
            "pushes = 1",
            "imports = 2",
            "tokens = the newest of this account",
            &format!("usp/{POLICY} status.users.connected = 2"),
            "journal \"connector\" \"POST\" \"/accounts/{accountKey}/syncs\" = 2",
            "journal \"connector\" \"POST\" \"/accounts/{accountKey}/push-authorization/requests\" = 1",
            "journal \"connector\" \"POST\" \"/accounts/{accountKey}/pbxs/{organizationId}/verifications\" = 1",
            "journal \"connector\" \"PUT\" \"/accounts/{accountKey}/pbxs/{organizationId}\" = 1",
            "journal \"goto-auth\" \"POST\" \"/oauth/token\" = 1",
        ];
        self.holds(&expected);
    }

    /// Fails unless every line is there.
    pub(super) fn holds(&self, expected: &[&str]) {
        for line in expected {
            assert!(self.lines.contains(*line), "{line} is missing in {:#?}", self.lines);
        }
    }
}

/// Neither kind of waiting that may come and go with a vendor's bad day.
fn is_quiet(object: &Value) -> bool {
    condition(object, "Reconciling").is_none()
        && condition(object, "SourcesComplete") != Some("False")
        && object["status"]["failure"].is_null()
}

#[derive(Default)]
struct Lines {
    lines: BTreeSet<String>,
    counts: std::collections::BTreeMap<String, usize>,
}

impl Lines {
    fn add(&mut self, what: &str, value: impl std::fmt::Display) {
        self.lines.insert(format!("{what} = {value}"));
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn finish(mut self) -> BTreeSet<String> {
        for (what, count) in std::mem::take(&mut self.counts) {
            self.add(&what, count);
        }
        self.lines
    }

    fn object(&mut self, name: &str, mut object: Value) {
        let metadata = object["metadata"].take();
        for kept in ["finalizers", "labels", "annotations"] {
            self.flatten(&format!("{name} metadata.{kept}"), &metadata[kept]);
        }
        let observed = object.pointer_mut("/status/observedGeneration").map(Value::take);
        self.add(&format!("{name} observed"), observed.as_ref() == Some(&metadata["generation"]));
        if let Some(conditions) = object.pointer_mut("/status/conditions").map(Value::take) {
            for condition in conditions.as_array().into_iter().flatten() {
                let kind = condition["type"].as_str().unwrap_or_default();
                let is_current = condition["observedGeneration"] == metadata["generation"];
                self.add(
                    &format!("{name} {kind}"),
                    format!("{} {} {} {is_current}", condition["status"], condition["reason"], condition["message"]),
                );
            }
        }
        // What the process before had done is skipped by the one after it.
        if let Some(outcome) = object.pointer_mut("/status/outcome") {
            let done = outcome["applied"].as_u64().unwrap_or(0) + outcome["skipped"].as_u64().unwrap_or(0);
            outcome["applied"] = done.into();
            outcome["skipped"] = "in applied".into();
        }
        // Only the process that sent the first write knows when.
        if let Some(status) = object["status"].as_object_mut() {
            status.remove("startedAt");
        }
        self.flatten(&format!("{name} spec"), &object["spec"]);
        self.flatten(&format!("{name} status"), &object["status"]);
    }

    /// One line for each leaf.
    fn flatten(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| self.flatten(&format!("{path}.{key}"), value));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, value)| self.flatten(&format!("{path}[{at}]"), value));
            }
            Value::String(text) => self.add(path, stable(path, text)),
            Value::Null => {}
            other => self.add(path, other),
        }
    }

    fn world(&mut self, world: &Value) {
        let connectors = world["connectors"].as_object().into_iter().flatten();
        let connectors: Vec<&Value> = connectors.map(|(_, connector)| connector).collect();
        let runs = |kind: &str| {
            let all = connectors.iter().flat_map(|it| it["runs"].as_array().into_iter().flatten());
            all.filter(|run| run["kind"] == kind).count()
        };
        self.add("pushes", runs("Push"));
        self.add(
            "pushes of nothing new",
            connectors.iter().map(|connector| pushes_of_nothing(connector)).sum::<usize>(),
        );
        self.add("imports", runs("Directory"));
        self.add("changes of pairs", connectors.iter().filter_map(|it| it["revision"].as_u64()).sum::<u64>());
        self.add("puts of pairs", connectors.iter().filter_map(|it| it["puts"].as_u64()).sum::<u64>());
        let pbxs = connectors.iter().flat_map(|it| it["pbxs"].as_object().into_iter().flatten());
        self.add("pairs", pbxs.map(|(_, pbx)| pbx["users"].as_object().map_or(0, serde_json::Map::len)).sum::<usize>());
    }

    /// T37: whatever GoTo gave last is stored, for this account and no other.
    async fn tokens(&mut self, environment: &Environment, uid: &str, world: &Value) -> anyhow::Result<()> {
        let secret = environment.list("secret").await?.remove(TOKENS).context("the Secret of tokens")?;
        let data = secret["data"].as_object().context("the Secret of tokens is empty")?;
        let stored = data.get(uid).and_then(Value::as_str).context("no token is stored for the account")?;
        let stored = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, stored)?;
        let stored: Value = serde_json::from_slice(&stored)?;
        let grants = world["goto"]["refreshTokens"].as_object().context("the refresh tokens of the world")?;
        let newest = grants.iter().filter(|(_, grant)| grant["replacedBy"].is_null()).map(|(token, _)| token.as_str());
        let newest: Vec<&str> = newest.collect();
        let is_newest = data.len() == 1 && newest == [stored["refreshToken"].as_str().unwrap_or_default()];
        self.add(
            "tokens",
            if is_newest { "the newest of this account" } else { "not the newest of this account alone" },
        );
        Ok(())
    }
}

/// Pushes before which nothing had changed since the one before.
fn pushes_of_nothing(connector: &Value) -> usize {
    let runs = connector["runs"].as_array().into_iter().flatten().filter(|run| run["kind"] == "Push");
    let revisions: Vec<u64> = runs.filter_map(|run| run["revision"].as_u64()).collect();
    revisions.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// Times, ports and the names of runs differ from play to play.
fn stable<'a>(path: &str, text: &'a str) -> &'a str {
    if text.parse::<Timestamp>().is_ok() {
        "a time"
    } else if text.strip_prefix("Matched@").is_some_and(|at| at.parse::<Timestamp>().is_ok()) {
        "matched at a time"
    } else if text.starts_with(&format!("{POLICY}-")) && !path.contains("labels") {
        "a run"
    } else if text.starts_with("https://127.0.0.1:") {
        "an endpoint"
    } else {
        text
    }
}
