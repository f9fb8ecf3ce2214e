//! A running simulator.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use k8s_openapi::jiff::Timestamp;
use tokio::task::JoinHandle;

use super::clock::{Mode, Reading};
use super::gate::{Door, pass};
use super::tls::{Connections, Identity};
use super::world::World;
use super::{Api, Endpoints, SimState, WorldView, connector, control, goto, graph};

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// What exists.
    pub world: World,
    /// Seed of the hostile plan.
    pub seed: u64,
    /// True: no misbehavior, no read-after-write lag.
    pub calm: bool,
    /// How virtual time moves.
    pub clock: Mode,
    /// Address of the APIs; the control port is on loopback whatever this says.
    pub listen: IpAddr,
    /// First of seven ports in a row; `None`: whatever is free.
    pub port_base: Option<u16>,
    /// Limit of GoTo and of the connector for each API and client, in calls per virtual second; `None`: no limit.
    pub requests_per_second: Option<u32>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            world: World::default(),
            seed: 1,
            calm: true,
            clock: Mode::Explicit,
            listen: Ipv4Addr::LOCALHOST.into(),
            port_base: None,
            requests_per_second: Some(10),
        }
    }
}

impl SimConfig {
    pub(super) fn prepared_world(&self) -> World {
        let mut world = self.world.clone();
        if self.calm {
            world.settings = world.settings.calm();
        }
        world
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A port is taken, or the address is not ours.
    #[error("binding the port of {name}")]
    Bind {
        /// Whose port.
        name: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// No certificate.
    #[error("generating the certificates")]
    Certificate(#[from] rcgen::Error),
    /// The generated certificate does not serve.
    #[error("configuring TLS")]
    Tls(#[from] rustls::Error),
    /// The generated key does not serve.
    #[error("using the generated key: {text}")]
    Key {
        /// What is wrong with it.
        text: &'static str,
    },
}

/// A running simulator; it stops when it is dropped.
pub struct Sim {
    state: SimState,
    endpoints: Endpoints,
    ca_pem: String,
    seed: u64,
    handle: Handle<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sim {
    /// Starts all listeners; they serve when this returns.
    ///
    /// # Errors
    /// When a port cannot be bound or no certificate can be made.
    #[expect(
        clippy::unused_async,
        reason = "it must be called inside a runtime, which a blocking signature would hide"
    )]
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let identity = Identity::generate(config.listen)?;
        let state = SimState::new(&config);
        let handle = Handle::new();
        let mut tasks = Vec::new();
        let mut urls = Vec::new();
        for (offset, api) in (0..).zip(Api::ALL) {
            let listener = bind(api.name(), config.listen, config.port_base, offset)?;
            urls.push(url("https", &listener, api.name())?);
            tasks.push(serve_api(&state, api, listener, &handle, identity.server.clone())?);
        }
        let control = bind("control", Ipv4Addr::LOCALHOST.into(), config.port_base, Api::ALL.len())?;
        let control_url = url("http", &control, "control")?;
        let endpoints = endpoints(urls, control_url);
        state.set_endpoints(endpoints.clone());
        tasks.push(serve_control(&state, control, &handle)?);
        let jumping = state.clone();
        tasks.push(tokio::spawn(async move { jumping.clock.jump(&|| jumping.next_human()).await }));
        Ok(Self { state, endpoints, ca_pem: identity.ca_pem, seed: config.seed, handle, tasks })
    }

    /// Where everything is served.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The certificate authority of the listeners.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Seed of the hostile plan.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// World, clock, journal and fault script.
    #[must_use]
    pub fn state(&self) -> &SimState {
        &self.state
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.now()
    }

    /// The world, to look at and to change.
    pub fn world(&self) -> WorldView<'_> {
        self.state.world()
    }

    /// Moves time on step by step until `target` and returns when everybody has done what there was to do.
    pub async fn advance_to(&self, target: Timestamp) -> Reading {
        self.state.advance_to(target).await
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn bind(name: &'static str, ip: IpAddr, base: Option<u16>, offset: usize) -> Result<TcpListener, SimError> {
    let port = base.map_or(0, |base| base.saturating_add(u16::try_from(offset).unwrap_or(u16::MAX)));
    TcpListener::bind((ip, port)).map_err(|source| SimError::Bind { name, source })
}

fn url(scheme: &str, listener: &TcpListener, name: &'static str) -> Result<String, SimError> {
    let address = listener.local_addr().map_err(|source| SimError::Bind { name, source })?;
    if address.ip().is_unspecified() {
        return Ok(format!("{scheme}://127.0.0.1:{}", address.port()));
    }
    Ok(format!("{scheme}://{address}"))
}

fn endpoints(apis: Vec<String>, control: String) -> Endpoints {
    let mut apis = apis.into_iter();
    let mut next = || apis.next().unwrap_or_default();
    Endpoints {
        goto_auth: next(),
        goto_admin: next(),
        goto_api: next(),
        entra: next(),
        graph: next(),
        connector: next(),
        control,
    }
}

fn router(api: Api) -> Router<SimState> {
    match api {
        Api::GotoAuth => goto::auth_router(),
        Api::GotoAdmin => goto::admin_router(),
        Api::GotoApi => goto::api_router(),
        Api::Entra => graph::entra_router(),
        Api::Graph => graph::router(),
        Api::Connector => connector::router(),
    }
}

fn serve_api(
    state: &SimState,
    api: Api,
    listener: TcpListener,
    handle: &Handle<SocketAddr>,
    tls: RustlsConfig,
) -> Result<JoinHandle<()>, SimError> {
    let connections = Connections::default();
    let door = Door { sim: state.clone(), api, connections: connections.clone() };
    let app = router(api).layer(from_fn_with_state(door, pass)).with_state(state.clone());
    let server = axum_server::from_tcp(listener).map_err(|source| SimError::Bind { name: api.name(), source })?;
    let server = server.handle(handle.clone()).acceptor(RustlsAcceptor::new(tls).acceptor(connections));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(tokio::spawn(async move { ended(api.name(), server.serve(service).await) }))
}

fn serve_control(
    state: &SimState,
    listener: TcpListener,
    handle: &Handle<SocketAddr>,
) -> Result<JoinHandle<()>, SimError> {
    let server = axum_server::from_tcp(listener).map_err(|source| SimError::Bind { name: "control", source })?;
    let server = server.handle(handle.clone());
    let service = control::router().with_state(state.clone()).into_make_service();
    Ok(tokio::spawn(async move { ended("control", server.serve(service).await) }))
}

fn ended(name: &'static str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(listener = name, %error, "a listener of the simulator ended");
    }
}
