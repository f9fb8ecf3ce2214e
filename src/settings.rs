//! Every flag and environment variable of `teams-connector-operator run`, read once and passed down.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Settings of the operator. Each flag is also the environment variable that its help names.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Namespaces to serve, separated by commas; absent: all namespaces (needs the cluster-wide role).
    #[arg(long, env = "TEAMS_CONNECTOR_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "TEAMS_CONNECTOR_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// PEM file with certificate authorities that are trusted besides the built-in ones.
    #[arg(long, env = "TEAMS_CONNECTOR_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,

    /// Hosts that `spec.connector.api.endpoint` of an account may name, separated by commas.
    #[arg(long, env = "TEAMS_CONNECTOR_CONNECTOR_ALLOWED_HOSTS", value_delimiter = ',', value_parser = host)]
    pub connector_allowed_hosts: Vec<String>,

    /// Base URL of GoTo's authorization server.
    #[arg(long, env = "TEAMS_CONNECTOR_GOTO_AUTH_URL", default_value = "https://authentication.logmeininc.com")]
    pub goto_auth_url: String,

    /// Base URL of GoTo's Admin API.
    #[arg(long, env = "TEAMS_CONNECTOR_GOTO_ADMIN_URL", default_value = "https://api.getgo.com/admin/rest/v1")]
    pub goto_admin_url: String,

    /// Base URL of GoTo Connect's APIs.
    #[arg(long, env = "TEAMS_CONNECTOR_GOTO_API_URL", default_value = "https://api.goto.com")]
    pub goto_api_url: String,

    /// Base URL of Microsoft Entra's token endpoint.
    #[arg(long, env = "TEAMS_CONNECTOR_ENTRA_URL", default_value = "https://login.microsoftonline.com")]
    pub entra_url: String,

    /// Base URL of Microsoft Graph.
    #[arg(long, env = "TEAMS_CONNECTOR_GRAPH_URL", default_value = "https://graph.microsoft.com")]
    pub graph_url: String,

    /// Name of this process in events.
    #[arg(long, env = "TEAMS_CONNECTOR_IDENTITY", default_value = "teams-connector-operator")]
    pub identity: String,

    /// Format of the log.
    #[arg(long, env = "TEAMS_CONNECTOR_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged, as a filter such as `info` or `info,teams_connector_operator=debug`.
    #[arg(long, env = "TEAMS_CONNECTOR_LOG", default_value = "info")]
    pub log: String,

    /// Passes that may run at the same time for objects that somebody waits for.
    #[arg(long, env = "TEAMS_CONNECTOR_INTERACTIVE_PASSES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub interactive_passes: u16,

    /// Passes that may run at the same time for objects whose interval has passed.
    #[arg(long, env = "TEAMS_CONNECTOR_PERIODIC_PASSES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub periodic_passes: u16,

    /// Control port of the simulator whose clock is the business time.
    #[cfg(feature = "sim")]
    #[arg(long, env = "TEAMS_CONNECTOR_CLOCK_URL")]
    pub clock_url: Option<String>,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A namespace that cannot exist would be waited for without end.
fn namespace(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid =
        (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-');
    if valid { Ok(text.to_owned()) } else { Err("not the name of a namespace") }
}

/// A URL would never equal the host of an endpoint.
fn host(text: &str) -> Result<String, &'static str> {
    let url = url::Url::parse(&format!("https://{text}/"));
    let plain = url.is_ok_and(|url| url.username().is_empty() && url.password().is_none() && url.path() == "/");
    if plain && !text.contains(['/', '?', '#']) { Ok(text.to_owned()) } else { Err("not a host, or host:port, alone") }
}
