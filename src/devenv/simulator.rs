//! The simulator as a process, and a client of its control port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::process::Process;

/// How long the simulator may take from its start until it has said where it serves.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A running simulator. Dropping it kills it.
#[derive(Debug)]
pub struct Simulator {
    process: Process,
    announced: Announced,
    control: Control,
}

/// What the simulator writes to `endpoints.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Announced {
    endpoints: BTreeMap<String, String>,
    ca_file: PathBuf,
    seed: u64,
}

impl Simulator {
    /// Starts the simulator with its own flags (`--demo --clock jump`) and returns once it serves; its state and its log go to
    /// `directory`, one for each simulator.
    pub async fn start(binary: &Path, directory: &Path, flags: &[String]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut command = Command::new(binary);
        command.arg("--state-dir").arg(directory).args(flags);
        let process = Process::spawn("teams-connector-sim", command, &directory.join("simulator.log"))?;
        let file = directory.join("endpoints.json");
        let read = async || serde_json::from_slice::<Announced>(&std::fs::read(&file).ok()?).ok();
        let announced = process.until(READY_WITHIN, read).await?;
        let control = Control::new(announced.endpoints.get("control").context("the simulator has no control port")?)?;
        Ok(Self { process, announced, control })
    }

    /// Base URL of an API: `gotoAuth`, `gotoAdmin`, `gotoApi`, `entra`, `graph`, `connector`, `control`.
    pub fn endpoint(&self, name: &str) -> anyhow::Result<&str> {
        let endpoint = self.announced.endpoints.get(name).map(String::as_str);
        endpoint.with_context(|| format!("the simulator does not serve {name}"))
    }

    /// The authority of its certificates, in PEM.
    pub fn authority(&self) -> anyhow::Result<String> {
        let file = &self.announced.ca_file;
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
    }

    /// The seed of its misbehavior: print it when a test fails.
    pub fn seed(&self) -> u64 {
        self.announced.seed
    }

    /// Its control port.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// A client of the simulator's control port. Bodies and answers are JSON, as `contracts` and the types of `crate::sim` say.
#[derive(Debug, Clone)]
pub struct Control {
    url: String,
    http: reqwest::Client,
}

impl Control {
    fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self { url: url.to_owned(), http: reqwest::Client::builder().no_proxy().build()? })
    }

    /// The control port itself: what `--clock-url` wants.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `{now, speed, mode}`.
    pub async fn clock(&self) -> anyhow::Result<Value> {
        self.get("/clock").await
    }

    /// Moves time on, such as by `90m`; returns when everybody who was woken has done what there was to do.
    pub async fn advance(&self, by: &str) -> anyhow::Result<Value> {
        self.post("/clock", &json!({ "advance": by })).await
    }

    /// `Explicit`, `Jump`, or `Auto` with a speed.
    pub async fn set_clock(&self, mode: &str, speed: Option<f64>) -> anyhow::Result<Value> {
        let order = speed.map_or_else(|| json!({"mode": mode}), |speed| json!({"mode": mode, "speed": speed}));
        self.post("/clock", &order).await
    }

    /// One world edit or a list of them: `{"edit": "setLicenses", "total": 3}`.
    pub async fn edit(&self, edits: &(impl Serialize + Sync)) -> anyhow::Result<()> {
        self.post("/world/edit", edits).await.map(drop)
    }

    /// A JSON Patch (RFC 6902) of the world: `[{"op": "replace", "path": "/goto/accessTokens", "value": {}}]`.
    pub async fn patch_world(&self, patch: &(impl Serialize + Sync)) -> anyhow::Result<()> {
        answer("/world", self.http.patch(format!("{}/world", self.url)).json(patch)).await.map(drop)
    }

    /// Adds lines to the fault script.
    pub async fn add_faults(&self, rules: &(impl Serialize + Sync)) -> anyhow::Result<Value> {
        self.post("/faults", rules).await
    }

    /// Ends the fault script.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        self.delete("/faults").await
    }

    /// `{calls, counters}`; the query filters: `wrote=true&api=connector&since=17`.
    pub async fn journal(&self, query: &str) -> anyhow::Result<Value> {
        self.get(&format!("/journal?{query}")).await
    }

    /// The calls that changed the world, after a sequence number.
    pub async fn writes_since(&self, sequence: u64) -> anyhow::Result<Vec<Value>> {
        let mut journal = self.journal(&format!("wrote=true&since={sequence}")).await?;
        serde_json::from_value(journal["calls"].take()).context("the calls of the journal")
    }

    /// The sequence number of the last call that has ended; 0 without one.
    pub async fn last_sequence(&self) -> anyhow::Result<u64> {
        let journal = self.get("/journal").await?;
        let last = journal["calls"].as_array().and_then(|calls| calls.last());
        Ok(last.and_then(|call| call["sequence"].as_u64()).unwrap_or(0))
    }

    /// Card 5 as the dashboard shows it now, by the automatic process.
    pub async fn card5(&self) -> anyhow::Result<Value> {
        self.get("/card5").await
    }

    /// Card 5 with a file of rows uploaded: `[{"userKey": …, "teamsUser": …}]`.
    pub async fn card5_of(&self, rows: &(impl Serialize + Sync)) -> anyhow::Result<Value> {
        self.post("/card5", &json!({ "rows": rows })).await
    }

    /// The links that wait for a human.
    pub async fn humans(&self) -> anyhow::Result<Vec<Value>> {
        Ok(serde_json::from_value(self.get("/humans").await?)?)
    }

    /// A human acts: `signInForPush`, `grantConsent`, `revokeConsent`, `acceptInvitation`, `expire`.
    pub async fn human(&self, action: &str) -> anyhow::Result<()> {
        self.post(&format!("/humans/{action}"), &json!({})).await.map(drop)
    }

    /// A human opens a link and presses its button.
    pub async fn click(&self, link: &str) -> anyhow::Result<String> {
        let answer = self.http.post(link).send().await.context("opening the link")?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// A hash of everything outside Kubernetes that service depends on.
    pub async fn state_hash(&self) -> anyhow::Result<String> {
        let answer = self.get("/state-hash").await?;
        Ok(answer["hash"].as_str().context("the simulator answered no hash")?.to_owned())
    }

    /// The whole world.
    pub async fn world(&self) -> anyhow::Result<Value> {
        self.get("/world").await
    }

    /// Any GET of the control port.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(path, self.http.get(format!("{}{path}", self.url))).await
    }

    /// Any POST of the control port.
    pub async fn post(&self, path: &str, body: &(impl Serialize + Sync)) -> anyhow::Result<Value> {
        answer(path, self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// Any PUT of the control port.
    pub async fn put(&self, path: &str, body: &(impl Serialize + Sync)) -> anyhow::Result<Value> {
        answer(path, self.http.put(format!("{}{path}", self.url)).json(body)).await
    }

    async fn delete(&self, path: &str) -> anyhow::Result<()> {
        answer(path, self.http.delete(format!("{}{path}", self.url))).await.map(drop)
    }
}

/// The JSON of an answer, null without one; what the simulator refuses is told in its own words.
async fn answer(path: &str, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.with_context(|| format!("asking the simulator for {path}"))?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    if !status.is_success() {
        bail!("the simulator refused {path} with {status}: {}", String::from_utf8_lossy(&body));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).with_context(|| format!("what the simulator answered for {path}"))
}
