//! `run`: the operator itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::client::ClientBuilder;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use teams_connector_operator::clients::endpoints::base_url;
use teams_connector_operator::clients::{Connections, Endpoints, Http, HttpSettings, Observer, Outcome};
use teams_connector_operator::clock::Clock;
use teams_connector_operator::controllers::context::{Context, LastWrites, Left, Requested, Warned};
use teams_connector_operator::controllers::observer::Observers;
use teams_connector_operator::controllers::session::Sessions;
use teams_connector_operator::controllers::{self, Expectations, Scope, Woken};
use teams_connector_operator::runtime::lanes::Lanes;
use teams_connector_operator::runtime::metrics::Metrics;
use teams_connector_operator::runtime::server::{self, Health};
use teams_connector_operator::runtime::telemetry;
use teams_connector_operator::runtime::timers::Timers;
use teams_connector_operator::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Kubernetes kills 30 s after SIGTERM. What a pass still waits for after this goes on in the next process.
const FINISH_WITHIN: Duration = Duration::from_secs(25);
/// How long rotated refresh tokens may take to be stored after that.
const STORE_WITHIN: Duration = Duration::from_secs(4);

/// Runs until SIGTERM or SIGINT, then lets the running passes finish.
pub(super) fn run(settings: Settings) -> anyhow::Result<()> {
    telemetry::start(settings.log_format, &settings.log)?;
    super::install_tls()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operate(settings))
}

async fn operate(settings: Settings) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    let health = Health::new(metrics.clone());
    // What the settings cannot mean is said before anything else, in one line.
    let clock = business_clock(&settings).await?;
    let connections = connections(&settings, &clock, &metrics)?;
    let client = kubernetes().await?;
    server::serve(settings.listen, health.clone()).await?;
    let stop = stop_signal()?;
    tokio::select! {
        () = controllers::wait_for_kinds(&client, &settings.watch_namespaces) => {}
        () = stopped(stop.clone()) => return Ok(()),
    }
    let scopes = scopes(&client, &settings, &metrics);
    let (accounts, woken_accounts) = Timers::start(clock.clone());
    let (policies, woken_policies) = Timers::start(clock.clone());
    let tokens = connections.tokens().clone();
    let sessions = Sessions::new(client.clone(), connections, settings.connector_allowed_hosts.clone());
    let reporter =
        Reporter { controller: "teams-connector-operator".into(), instance: Some(settings.identity.clone()) };
    let ctx = Arc::new(Context {
        observers: Observers::new(sessions.clone(), clock.clone(), metrics.clone()),
        stores: scopes.iter().map(Scope::stores).collect(),
        lanes: Lanes::new(settings.interactive_passes, settings.periodic_passes),
        recorder: Recorder::new(client.clone(), reporter),
        expectations: Expectations::default(),
        last_writes: LastWrites::default(),
        requests: Requested::default(),
        warned: Warned::default(),
        left: Left::default(),
        client,
        clock,
        sessions,
        accounts,
        policies,
        metrics,
    });
    let woken = Woken { accounts: woken_accounts, policies: woken_policies };
    tokio::select! {
        () = controllers::run(ctx, scopes, woken, health, stop.clone()) => {}
        () = grace(stop) => tracing::warn!("a pass did not finish in time; the next process goes on with it"),
    }
    if tokio::time::timeout(STORE_WITHIN, tokens.settled()).await.is_err() {
        tracing::warn!("a log-in did not finish in time");
    }
    Ok(())
}

async fn grace(stop: watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(FINISH_WITHIN).await;
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender goes with the process only.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(feature = "sim")]
async fn business_clock(settings: &Settings) -> anyhow::Result<Clock> {
    match &settings.clock_url {
        Some(url) => Clock::simulated(url).await.with_context(|| format!("--clock-url {url} does not tell the time")),
        None => Ok(Clock::system()),
    }
}

#[cfg(not(feature = "sim"))]
#[expect(clippy::unused_async, reason = "the other build waits for the simulator here")]
async fn business_clock(_: &Settings) -> anyhow::Result<Clock> {
    Ok(Clock::system())
}

fn connections(settings: &Settings, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Connections> {
    let ca_bundle = match &settings.ca_bundle {
        Some(path) => {
            Some(std::fs::read(path).with_context(|| format!("--ca-bundle {} cannot be read", path.display()))?)
        }
        None => None,
    };
    let endpoints = Endpoints {
        goto_auth: base_url(&settings.goto_auth_url).context("--goto-auth-url")?,
        goto_admin: base_url(&settings.goto_admin_url).context("--goto-admin-url")?,
        goto_api: base_url(&settings.goto_api_url).context("--goto-api-url")?,
        entra: base_url(&settings.entra_url).context("--entra-url")?,
        graph: base_url(&settings.graph_url).context("--graph-url")?,
    };
    let http = HttpSettings { ca_bundle, ..HttpSettings::default() };
    let http = Http::new(&http, clock.clone(), observe_calls(metrics.clone())).context("--ca-bundle")?;
    Ok(Connections::new(http, endpoints))
}

fn observe_calls(metrics: Metrics) -> Observer {
    Arc::new(move |call| {
        let code = match &call.outcome {
            Outcome::Status(status) => status.to_string(),
            Outcome::Failed(kind) => (*kind).to_owned(),
        };
        metrics.external_request(call.route.api.name(), call.route.operation, code);
    })
}

/// Without the client's own retries: they repeat POSTs and can hold a pass for minutes.
async fn kubernetes() -> anyhow::Result<Client> {
    // The error's own text names its causes already.
    let mut config = Config::infer()
        .await
        .map_err(|error| anyhow::anyhow!("no cluster is configured: set KUBECONFIG or run in a pod ({error})"))?;
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.build())
}

fn scopes(client: &Client, settings: &Settings, metrics: &Metrics) -> Vec<Scope> {
    if settings.watch_namespaces.is_empty() {
        return vec![Scope::open(client, None, metrics)];
    }
    let namespaces: BTreeSet<_> = settings.watch_namespaces.iter().collect();
    namespaces.into_iter().map(|namespace| Scope::open(client, Some(namespace), metrics)).collect()
}

fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (told, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running passes are finished first");
        let _ = told.send(true);
    });
    Ok(stop)
}
