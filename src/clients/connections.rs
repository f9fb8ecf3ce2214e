//! What all clients of a process share, and how a client is made from it and a credential.

use std::sync::Arc;

use secrecy::SecretString;

use super::channel::Channel;
use super::connector::ConnectorClient;
use super::endpoints::{ConnectorEndpoint, Endpoints};
use super::gate::Gates;
use super::goto::GotoClient;
use super::graph::GraphClient;
use super::http::Http;
use super::token::{EntraCredential, GotoCredential, Grant, Persist, TokenSource, Tokens};
use crate::domain::AccountKey;

/// Connections, gates and tokens of a process; cheap to clone. A client is cheap to make: it is made anew from the Secret
/// before each reading or pass, which is how a rotated Secret is seen.
#[derive(Clone)]
pub struct Connections {
    http: Http,
    gates: Arc<Gates>,
    tokens: Tokens,
    endpoints: Endpoints,
}

impl Connections {
    /// Nothing is called yet.
    #[must_use]
    pub fn new(http: Http, endpoints: Endpoints) -> Self {
        let gates = Arc::new(Gates::new(http.clock().clone()));
        Self { http, gates, tokens: Tokens::default(), endpoints }
    }

    /// The gates, for status and metrics.
    #[must_use]
    pub fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    /// The access tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The client of GoTo's APIs. `persist` stores a rotated refresh token.
    #[must_use]
    pub fn goto(&self, credential: GotoCredential, persist: Persist) -> GotoClient {
        let grant = Grant::Goto { authority: self.endpoints.goto_auth.clone(), credential };
        let channel = self.channel(grant.bucket(), self.source(grant, Some(persist)));
        GotoClient::new(channel, self.endpoints.goto_admin.clone(), self.endpoints.goto_api.clone())
    }

    /// The client of Microsoft Graph.
    #[must_use]
    pub fn graph(&self, credential: EntraCredential) -> GraphClient {
        let scope = format!("{}/.default", self.endpoints.graph.as_str().trim_end_matches('/'));
        let grant = Grant::Entra { authority: self.endpoints.entra.clone(), scope, credential };
        GraphClient::new(self.channel(grant.bucket(), self.source(grant, None)), &self.endpoints.graph)
    }

    /// The client of a connector that takes GoTo's access token.
    #[must_use]
    pub fn connector(&self, endpoint: &ConnectorEndpoint, account: AccountKey, goto: &GotoClient) -> ConnectorClient {
        self.connector_with(endpoint, account, goto.token_source().clone())
    }

    /// The client of a connector that takes a token of its own.
    #[must_use]
    pub fn connector_with_token(
        &self,
        endpoint: &ConnectorEndpoint,
        account: AccountKey,
        token: SecretString,
    ) -> ConnectorClient {
        self.connector_with(endpoint, account, self.source(Grant::Fixed(Arc::new(token)), None))
    }

    fn connector_with(
        &self,
        endpoint: &ConnectorEndpoint,
        account: AccountKey,
        tokens: TokenSource,
    ) -> ConnectorClient {
        let channel = self.channel(format!("{}/{account}", endpoint.url()), tokens);
        ConnectorClient::new(channel, endpoint.url().clone(), account)
    }

    fn source(&self, grant: Grant, persist: Option<Persist>) -> TokenSource {
        TokenSource::new(self.http.clone(), Arc::clone(&self.gates), self.tokens.clone(), grant, persist)
    }

    fn channel(&self, key: String, tokens: TokenSource) -> Channel {
        Channel::new(self.http.clone(), Arc::clone(&self.gates), key, tokens)
    }
}
