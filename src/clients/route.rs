//! API families and route templates: the only names of calls that reach metrics and logs.

use std::fmt;
use std::time::Duration;

/// A family of calls with one bucket of its own at the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// GoTo's authorization server.
    GotoToken,
    /// Admin API on `api.getgo.com`.
    GotoAdmin,
    /// `users/v1` on `api.goto.com`.
    GotoUsers,
    /// `voice-admin/v1` on `api.goto.com`.
    GotoVoiceAdmin,
    /// Entra's token endpoint.
    EntraToken,
    /// Microsoft Graph but for `/admin/teams`.
    Graph,
    /// `/admin/teams` of Microsoft Graph.
    GraphTeams,
    /// The connector.
    Connector,
}

impl Api {
    /// Every family, for metrics that list them.
    pub const ALL: [Self; 8] = [
        Self::GotoToken,
        Self::GotoAdmin,
        Self::GotoUsers,
        Self::GotoVoiceAdmin,
        Self::EntraToken,
        Self::Graph,
        Self::GraphTeams,
        Self::Connector,
    ];

    /// The value of the metric label `api`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GotoToken => "goto-token",
            Self::GotoAdmin => "goto-admin",
            Self::GotoUsers => "goto-users",
            Self::GotoVoiceAdmin => "goto-voice-admin",
            Self::EntraToken => "entra-token",
            Self::Graph => "graph",
            Self::GraphTeams => "graph-teams",
            Self::Connector => "connector",
        }
    }

    /// Time between two calls at full pace, and how many calls may come at once after a rest.
    ///
    /// GoTo and the connector allow 10 calls in any second: 112 ms apart, at most 9 are sent in one. Graph counts in windows
    /// of 10 s and far higher; `/admin/teams` has no published figure, 30 a second is assumed.
    pub(crate) fn pace(self) -> (Duration, u32) {
        match self {
            Self::GotoToken | Self::GotoAdmin | Self::GotoUsers | Self::GotoVoiceAdmin | Self::Connector => {
                (Duration::from_millis(112), 1)
            }
            Self::EntraToken | Self::Graph => (Duration::from_millis(10), 100),
            Self::GraphTeams => (Duration::from_millis(40), 5),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One call of one API, without the ids in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Which family.
    pub api: Api,
    /// Method and path template, such as `GET /users/{id}`: the metric label `operation`.
    pub operation: &'static str,
    /// The scope, permission or role without which the call is refused.
    pub needs: &'static str,
}

impl Route {
    pub(crate) const fn new(api: Api, operation: &'static str, needs: &'static str) -> Self {
        Self { api, operation, needs }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api, self.operation)
    }
}
