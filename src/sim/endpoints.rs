//! The APIs that are served, and where.

use serde::{Deserialize, Serialize};

/// One API, that is one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// GoTo's authorization server.
    GotoAuth,
    /// `api.getgo.com`: Admin API and SCIM.
    GotoAdmin,
    /// `api.goto.com`: users and voice-admin.
    GotoApi,
    /// Entra's token endpoint.
    Entra,
    /// Microsoft Graph.
    Graph,
    /// The connector's contract.
    Connector,
}

impl Api {
    /// All of them, in the order of their ports.
    pub const ALL: [Self; 6] =
        [Self::GotoAuth, Self::GotoAdmin, Self::GotoApi, Self::Entra, Self::Graph, Self::Connector];

    /// The name used by the journal and the fault script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GotoAuth => "goto-auth",
            Self::GotoAdmin => "goto-admin",
            Self::GotoApi => "goto-api",
            Self::Entra => "entra",
            Self::Graph => "graph",
            Self::Connector => "connector",
        }
    }
}

/// Base URLs, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Stands for `https://authentication.logmeininc.com`.
    pub goto_auth: String,
    /// Stands for `https://api.getgo.com`.
    pub goto_admin: String,
    /// Stands for `https://api.goto.com`.
    pub goto_api: String,
    /// Stands for `https://login.microsoftonline.com`.
    pub entra: String,
    /// Stands for `https://graph.microsoft.com`.
    pub graph: String,
    /// The connector.
    pub connector: String,
    /// The control port: plain HTTP, loopback only.
    pub control: String,
}

impl Endpoints {
    /// Base URL of one API.
    #[must_use]
    pub fn of(&self, api: Api) -> &str {
        match api {
            Api::GotoAuth => &self.goto_auth,
            Api::GotoAdmin => &self.goto_admin,
            Api::GotoApi => &self.goto_api,
            Api::Entra => &self.entra,
            Api::Graph => &self.graph,
            Api::Connector => &self.connector,
        }
    }
}
