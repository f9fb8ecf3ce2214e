//! Everything together in one namespace: a simulator, the rendered chart, and an operator with the chart's own token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::audit::Request;
use super::chart::{self, Release};
use super::control_plane::ControlPlane;
use super::kubeconfig::Server;
use super::objects::{self, Objects};
use super::operator::Operator;
use super::process::free_port;
use super::programs;
use super::proxy::{OnKill, Proxy, Target};
use super::route::Upstream;
use super::simulator::Simulator;
use super::tls::Authority;

/// How long something may take that is waited for; what takes longer is broken or waits for a clock that stands.
const PATIENCE: Duration = Duration::from_mins(2);
/// The APIs of the simulator: by the name that its journal uses, and by that of `endpoints.json`.
const APIS: [(&str, &str); 6] = [
    ("goto-auth", "gotoAuth"),
    ("goto-admin", "gotoAdmin"),
    ("goto-api", "gotoApi"),
    ("entra", "entra"),
    ("graph", "graph"),
    ("connector", "connector"),
];

/// What differs between environments.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The namespace of everything; it must exist.
    pub namespace: String,
    /// Where state and logs go; it is made.
    pub directory: PathBuf,
    /// The simulator's flags. Without `--calm` it is hostile, without `--humans` nobody clicks.
    pub simulator: Vec<String>,
    /// Whether every call of the operator goes through a proxy that can kill.
    pub proxied: bool,
    /// Whether the operator takes its business time from the simulator; a build without the feature `sim` cannot.
    pub simulated_clock: bool,
    /// The operator's binary; `None`: the one beside this executable.
    pub operator: Option<PathBuf>,
    /// Values of the chart, over those that this makes.
    pub values: Value,
}

impl Setup {
    /// The demo world, hostile, its clock jumping whenever everybody waits, humans who wait to be told.
    pub fn new(namespace: &str, directory: &Path) -> Self {
        let flags = ["--demo", "--clock", "jump", "--humans", "manual"];
        Self {
            namespace: namespace.to_owned(),
            directory: directory.to_owned(),
            simulator: flags.map(str::to_owned).to_vec(),
            proxied: false,
            simulated_clock: true,
            operator: None,
            values: json!({}),
        }
    }
}

/// A running environment. Dropping it kills operator and simulator; the namespace stays.
pub struct Environment {
    namespace: String,
    client: Client,
    simulator: Simulator,
    operator: Operator,
    release: Release,
    proxies: Vec<(&'static str, Proxy)>,
    directory: PathBuf,
}

impl Environment {
    /// Starts the simulator, applies the chart, and prepares the operator, which is **not** started yet.
    pub async fn prepare(plane: &ControlPlane, setup: Setup) -> anyhow::Result<Self> {
        let Setup { namespace, directory, simulator: flags, proxied, simulated_clock, operator, values } = setup;
        std::fs::create_dir_all(&directory)?;
        let binary = programs::own("teams-connector-sim", "TEAMS_CONNECTOR_SIM")?;
        let simulator = Simulator::start(&binary, &directory.join("simulator"), &flags).await?;
        let gate = Gate::new(plane, &simulator, proxied)?;
        std::fs::write(directory.join("ca-bundle.pem"), gate.authorities()?)?;
        let clock = simulated_clock.then(|| simulator.control().url());
        let made = gate.values(&namespace, &directory, clock)?;
        let release = chart::render(plane.programs(), &namespace, &merged(made, values)).await?;
        let client = plane.admin().await?;
        release.apply(&client).await?;
        let rendered = release.operator()?;
        let kubeconfig = gate.kubeconfig(&namespace, &rendered.service_account).await?;
        let proxies = gate.proxies;
        let binary =
            operator.map_or_else(|| programs::own("teams-connector-operator", "TEAMS_CONNECTOR_OPERATOR"), Ok)?;
        let operator = Operator::new(binary, rendered, kubeconfig, &directory.join("operator.log"));
        gate.killer.set(operator.killer());
        Ok(Self { namespace, client, simulator, operator, release, proxies, directory })
    }

    /// The namespace of everything.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A client of the administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The simulator.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The operator.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The rendered chart.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Where state and logs are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The proxy before `kubernetes` or an API of the simulator (`connector`, `graph`, `goto-auth` …).
    pub fn proxy(&self, name: &str) -> anyhow::Result<&Proxy> {
        let found = self.proxies.iter().find(|(other, _)| *other == name);
        found.map(|(_, proxy)| proxy).with_context(|| format!("no proxy stands before {name}"))
    }

    /// All proxies by the name of what they stand before; empty unless asked for.
    pub fn proxies(&self) -> impl Iterator<Item = (&'static str, &Proxy)> {
        self.proxies.iter().map(|(name, proxy)| (*name, proxy))
    }

    /// The connector's endpoint as the operator is to reach it: what an account must name.
    pub fn connector_url(&self) -> anyhow::Result<String> {
        self.proxy("connector")
            .map_or_else(|_| Ok(self.simulator.endpoint("connector")?.to_owned()), |proxy| Ok(proxy.url()))
    }

    /// The manifests of `deploy/samples/`, for this namespace and this connector.
    pub fn samples(&self) -> anyhow::Result<Vec<DynamicObject>> {
        let mut documents = chart::parse_folder(&programs::package().join("deploy/samples"))?;
        for document in &mut documents {
            document.metadata.namespace = Some(self.namespace.clone());
            if let Some(endpoint) = document.data.pointer_mut("/spec/connector/api/endpoint") {
                *endpoint = Value::String(self.connector_url()?);
            }
        }
        Ok(documents)
    }

    /// Applies documents as the administrator.
    pub async fn apply(&self, documents: &[DynamicObject]) -> anyhow::Result<()> {
        chart::apply(&self.client, documents, &self.namespace).await
    }

    /// Applies YAML documents as the administrator.
    pub async fn apply_yaml(&self, yaml: &str) -> anyhow::Result<()> {
        self.apply(&chart::parse(yaml)?).await
    }

    /// The objects of a kind (`tca`, `usp`, `usrun`, `tcu`, `secret`, `event`) by name.
    pub async fn list(&self, kind: &str) -> anyhow::Result<Objects> {
        objects::list(&objects::api(&self.client, &self.namespace, kind)?).await
    }

    /// One object.
    pub async fn get(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        let object = objects::api(&self.client, &self.namespace, kind)?.get(name).await?;
        Ok(serde_json::to_value(object)?)
    }

    /// Waits by watch until one object satisfies a condition; fails early when the operator ends by itself.
    pub async fn wait_for(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        met: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let what = format!("{kind}/{name}: {what}");
        self.wait_for_all(kind, &what, |objects| objects.get(name).filter(|object| met(object)).cloned()).await
    }

    /// Waits by watch until something is found in all objects of a kind.
    pub async fn wait_for_all<T>(
        &self,
        kind: &str,
        what: &str,
        found: impl FnMut(&Objects) -> Option<T>,
    ) -> anyhow::Result<T> {
        let api = objects::api(&self.client, &self.namespace, kind)?;
        let waiting = objects::wait(&api, what, PATIENCE, found);
        tokio::select! {
            answer = waiting => answer,
            error = self.unexpected_end() => Err(error.context(what.to_owned())),
        }
        .with_context(|| format!("the simulator's seed is {}", self.simulator.seed()))
    }

    /// Returns when the operator ends by itself; a SIGKILL is a test's own doing.
    async fn unexpected_end(&self) -> anyhow::Error {
        let ended = match self.operator.process() {
            Ok(process) => process.wait().await.map(|status| (process, status)),
            Err(_not_started) => std::future::pending().await,
        };
        match ended {
            Ok((_, status)) if std::os::unix::process::ExitStatusExt::signal(&status) == Some(9) => {
                std::future::pending().await
            }
            Ok((process, status)) => anyhow::anyhow!("the operator ended with {status}; {}", process.last_lines()),
            Err(error) => error,
        }
    }

    /// The requests of the operator's ServiceAccount so far.
    pub fn audit(&self, plane: &ControlPlane) -> anyhow::Result<Vec<Request>> {
        plane.audit(&self.namespace, &self.operator.rendered().service_account)
    }
}

/// How the operator reaches the world: directly, or through proxies.
struct Gate<'a> {
    plane: &'a ControlPlane,
    simulator: &'a Simulator,
    authority: Authority,
    killer: Killer,
    proxies: Vec<(&'static str, Proxy)>,
}

/// The proxies need to know whom to kill before there is somebody.
#[derive(Clone, Default)]
struct Killer(std::sync::Arc<std::sync::OnceLock<OnKill>>);

impl Killer {
    fn set(&self, kill: OnKill) {
        // Set once; a second value cannot occur.
        drop(self.0.set(kill));
    }

    fn on_kill(&self) -> OnKill {
        let killer = self.clone();
        std::sync::Arc::new(move |kill| {
            let killer = killer.clone();
            Box::pin(async move {
                if let Some(on_kill) = killer.0.get() {
                    on_kill(kill).await;
                }
            })
        })
    }
}

impl<'a> Gate<'a> {
    fn new(plane: &'a ControlPlane, simulator: &'a Simulator, proxied: bool) -> anyhow::Result<Self> {
        let authority = Authority::new("proxies of the development environment")?;
        let mut gate = Self { plane, simulator, authority, killer: Killer::default(), proxies: Vec::new() };
        if proxied {
            gate.place(
                "kubernetes",
                Target { upstream: Upstream::Kubernetes, url: plane.url().to_owned(), authority: plane.authority() },
            )?;
            for (api, endpoint) in APIS {
                let url = simulator.endpoint(endpoint)?.to_owned();
                gate.place(api, Target { upstream: Upstream::Simulator(api), url, authority: simulator.authority()? })?;
            }
        }
        Ok(gate)
    }

    fn place(&mut self, name: &'static str, target: Target) -> anyhow::Result<()> {
        let proxy = Proxy::start(target, &self.authority, self.killer.on_kill())?;
        self.proxies.push((name, proxy));
        Ok(())
    }

    fn authorities(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n{}", self.simulator.authority()?, self.authority.pem()))
    }

    fn url(&self, api: &str) -> anyhow::Result<String> {
        if let Some((_, proxy)) = self.proxies.iter().find(|(name, _)| *name == api) {
            return Ok(proxy.url());
        }
        let (_, endpoint) = APIS.into_iter().find(|(name, _)| *name == api).context("an API by its name")?;
        Ok(self.simulator.endpoint(endpoint)?.to_owned())
    }

    fn values(&self, namespace: &str, directory: &Path, clock: Option<&str>) -> anyhow::Result<Value> {
        let clock = clock.map(|url| format!("--clock-url={url}"));
        Ok(json!({
            "watchNamespaces": [namespace],
            "crds": {"install": false},
            "endpoints": {
                "gotoAuth": self.url("goto-auth")?,
                // As in production: the Admin API has a path of its own below its host.
                "gotoAdmin": format!("{}/admin/rest/v1", self.url("goto-admin")?),
                "gotoApi": self.url("goto-api")?,
                "entra": self.url("entra")?,
                "graph": self.url("graph")?,
            },
            "connector": {"allowedHosts": ["127.0.0.1"]},
            "caBundle": {"file": directory.join("ca-bundle.pem")},
            "listen": {"address": "127.0.0.1", "port": free_port()?},
            "extraArgs": clock.into_iter().collect::<Vec<_>>(),
        }))
    }

    async fn kubeconfig(&self, namespace: &str, service_account: &str) -> anyhow::Result<PathBuf> {
        match self.proxies.iter().find(|(name, _)| *name == "kubernetes") {
            Some((_, proxy)) => {
                let (url, authority) = (proxy.url(), self.authority.pem());
                self.plane
                    .kubeconfig_through(&Server { url: &url, authority: &authority }, namespace, service_account)
                    .await
            }
            None => self.plane.kubeconfig_for(namespace, service_account).await,
        }
    }
}

/// `over` laid over `base`, object by object; lists are replaced.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let below = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(below, value));
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}
