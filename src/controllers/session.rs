//! The clients of one account, made anew from its Secrets before each reading and each pass that calls out.
//! That is how a rotated Secret is seen without a watch; nothing of a Secret is kept but the tokens won with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::error::PassError;
use crate::api::{ClientSecretCredentials, NameRef, Reason, TeamsConnectorAccount};
use crate::clients::Connections;
use crate::clients::connector::ConnectorClient;
use crate::clients::endpoints::connector_endpoint;
use crate::clients::error::StoreError;
use crate::clients::goto::GotoClient;
use crate::clients::graph::GraphClient;
use crate::clients::token::{EntraCredential, GotoCredential, GotoGrant, Persist, Rotated};
use crate::domain::AccountKey;
use crate::plan::observed::Problem;

/// The one Secret that the operator writes: rotated refresh tokens, one key for each account.
const TOKENS_SECRET: &str = "teams-connector-tokens";

/// The clients of one account.
pub struct Session {
    /// GoTo's APIs.
    pub goto: GotoClient,
    /// Microsoft Graph.
    pub graph: GraphClient,
    /// The connector.
    pub connector: ConnectorClient,
    /// The GoTo account.
    pub account_key: AccountKey,
    /// Application id of the operator's own app registration.
    pub app_id: String,
    /// Tells whether the Secrets are those of an earlier session.
    pub credentials: Fingerprint,
}

/// The hash of everything that the Secrets of an account hold for it. It can only be compared: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Adds a value to the hash of the Secrets.
fn note(seen: &mut Sha256, value: &SecretString) {
    seen.update(Sha256::digest(value.expose_secret().as_bytes()));
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Somebody must mend a Secret or the spec; the message tells what was found, the table of reasons who does what.
    #[error("{}", .0.message)]
    Problem(Problem),
    /// The API server could not be asked; nothing is known about the Secret.
    #[error("reading a Secret")]
    Kubernetes(#[source] Box<kube::Error>),
}

impl SessionError {
    /// What must be mended.
    ///
    /// # Errors
    /// When the API server could not be asked: the pass ends, and nothing is concluded.
    pub(super) fn problem(self) -> Result<Problem, PassError> {
        match self {
            Self::Problem(problem) => Ok(problem),
            Self::Kubernetes(source) => Err(PassError::Kubernetes { doing: "reading a Secret", source }),
        }
    }
}

/// Makes sessions.
#[derive(Clone)]
pub struct Sessions {
    client: Client,
    connections: Connections,
    allowed_hosts: Arc<Vec<String>>,
    rotated: Arc<Mutex<HashMap<String, StoredToken>>>,
}

/// A rotated refresh token as stored, with the hash of the Secret's token that it descends from.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredToken {
    source_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl Sessions {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client, connections: Connections, allowed_hosts: Vec<String>) -> Self {
        Self { client, connections, allowed_hosts: Arc::new(allowed_hosts), rotated: Arc::default() }
    }

    /// Reads the account's Secrets, one GET each, and makes its clients.
    ///
    /// # Errors
    /// [`SessionError::Problem`] names the Secret, the key or the field, and who mends it.
    pub async fn open(&self, account: &TeamsConnectorAccount) -> Result<Session, SessionError> {
        let spec = &account.spec;
        let account_key: AccountKey =
            spec.goto.account_key.parse().map_err(|error| invalid("spec.goto.accountKey", &error))?;
        let api = spec.connector.api.as_ref().ok_or_else(|| invalid("spec.connector.api", &"it is missing"))?;
        let endpoint = connector_endpoint(&api.endpoint, &self.allowed_hosts)
            .map_err(|error| invalid("spec.connector.api.endpoint", &error))?;
        let mut seen = Sha256::new();
        let goto = self.goto(account, &mut seen).await?;
        let entra = self.entra(account, &mut seen).await?;
        let app_id = entra.client_id.clone();
        let connector = match &api.credentials_secret_ref {
            None => self.connections.connector(&endpoint, account_key.clone(), &goto),
            Some(reference) => {
                let token = self.secret(account, reference).await?.required("token")?;
                note(&mut seen, &token);
                self.connections.connector_with_token(&endpoint, account_key.clone(), token)
            }
        };
        let (graph, credentials) = (self.connections.graph(entra), Fingerprint(seen.finalize().into()));
        Ok(Session { goto, graph, connector, account_key, app_id, credentials })
    }

    async fn goto(&self, account: &TeamsConnectorAccount, seen: &mut Sha256) -> Result<GotoClient, SessionError> {
        let secret = self.secret(account, &account.spec.goto.credentials_secret_ref).await?;
        let client_id = secret.required("clientId")?.expose_secret().to_owned();
        let client_secret = secret.required("clientSecret")?;
        seen.update(Sha256::digest(client_id.as_bytes()));
        note(seen, &client_secret);
        if let Some(token) = secret.value("personalAccessToken") {
            note(seen, &token);
            let grant = GotoGrant::PersonalAccessToken(token);
            let never: Persist = Arc::new(|_| Box::pin(async { Ok(()) }));
            return Ok(self.connections.goto(GotoCredential { client_id, client_secret, grant }, never));
        }
        let source =
            secret.value("refreshToken").ok_or_else(|| secret.missing("refreshToken or personalAccessToken"))?;
        note(seen, &source);
        let digest = hex::encode(Sha256::digest(source.expose_secret().as_bytes()));
        let newest = self.newest_token(account, source, &digest).await?;
        let grant = GotoGrant::RefreshToken(newest);
        Ok(self.connections.goto(GotoCredential { client_id, client_secret, grant }, self.persist(account, digest)))
    }

    async fn entra(&self, account: &TeamsConnectorAccount, seen: &mut Sha256) -> Result<EntraCredential, SessionError> {
        let microsoft = &account.spec.microsoft365;
        let tenant = microsoft.tenant_id.parse().map_err(|error| invalid("spec.microsoft365.tenantId", &error))?;
        let ClientSecretCredentials { client_id, secret_ref } = microsoft
            .credentials
            .client_secret
            .as_ref()
            .ok_or_else(|| invalid("spec.microsoft365.credentials", &"one kind of credentials is needed"))?;
        let secret = self.secret(account, &NameRef { name: secret_ref.name.clone() }).await?;
        let client_secret = secret.required(&secret_ref.key)?;
        note(seen, &client_secret);
        Ok(EntraCredential { tenant, client_id: client_id.to_lowercase(), client_secret })
    }

    async fn secret(&self, account: &TeamsConnectorAccount, reference: &NameRef) -> Result<Keys, SessionError> {
        let namespace = account.namespace().unwrap_or_default();
        let Some(secret) = self.get(&namespace, &reference.name).await? else {
            let message = format!("The Secret {} does not exist in namespace {namespace}.", reference.name);
            return Err(SessionError::Problem(Problem { reason: Reason::SecretNotFound, message }));
        };
        Ok(Keys { name: reference.name.clone(), secret })
    }

    async fn get(&self, namespace: &str, name: &str) -> Result<Option<Secret>, SessionError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        match secrets.get_opt(name).await {
            Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                let message = format!(
                    "The operator may not read the Secret {name} in namespace {namespace}: the chart's roles are missing there."
                );
                Err(SessionError::Problem(Problem { reason: Reason::SecretNotFound, message }))
            }
            other => other.map_err(|error| SessionError::Kubernetes(Box::new(error))),
        }
    }

    /// The stored rotation of the Secret's refresh token, or the token itself. A changed Secret wins over a stored rotation.
    async fn newest_token(
        &self,
        account: &TeamsConnectorAccount,
        source: SecretString,
        digest: &str,
    ) -> Result<SecretString, SessionError> {
        let uid = account.uid().unwrap_or_default();
        let known = self.lock().get(&uid).filter(|stored| stored.source_sha256 == digest).cloned();
        let stored = match known {
            Some(stored) => stored,
            None => self.first_known(&uid, self.stored_token(account, &uid, digest).await?),
        };
        Ok(stored.refresh_token.map_or(source, SecretString::from))
    }

    /// Keeps what was read, unless a rotation came first: it is the newer one.
    fn first_known(&self, uid: &str, read: StoredToken) -> StoredToken {
        let mut rotated = self.lock();
        if let Some(newer) = rotated.get(uid).filter(|known| known.source_sha256 == read.source_sha256) {
            return newer.clone();
        }
        rotated.insert(uid.to_owned(), read.clone());
        read
    }

    async fn stored_token(
        &self,
        account: &TeamsConnectorAccount,
        uid: &str,
        digest: &str,
    ) -> Result<StoredToken, SessionError> {
        let namespace = account.namespace().unwrap_or_default();
        let found = self.get(&namespace, TOKENS_SECRET).await?;
        let stored = found
            .and_then(|secret| secret.data?.get(uid).cloned())
            .and_then(|bytes| serde_json::from_slice::<StoredToken>(&bytes.0).ok())
            .filter(|stored| stored.source_sha256 == digest);
        Ok(stored.unwrap_or_else(|| StoredToken { source_sha256: digest.to_owned(), refresh_token: None }))
    }

    /// Stores a rotated refresh token before the access token that came with it is used.
    fn persist(&self, account: &TeamsConnectorAccount, digest: String) -> Persist {
        let namespace = account.namespace().unwrap_or_default();
        let uid = account.uid().unwrap_or_default();
        let sessions = self.clone();
        Arc::new(move |rotated: Rotated| {
            let (sessions, namespace, uid) = (sessions.clone(), namespace.clone(), uid.clone());
            let stored = StoredToken {
                source_sha256: digest.clone(),
                refresh_token: Some(rotated.refresh_token.expose_secret().to_owned()),
            };
            Box::pin(async move {
                sessions.store(&namespace, &uid, &stored).await.map_err(|error| Arc::new(error) as StoreError)?;
                sessions.lock().insert(uid, stored);
                Ok(())
            })
        })
    }

    async fn store(&self, namespace: &str, uid: &str, stored: &StoredToken) -> Result<(), kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let value = serde_json::to_vec(stored).map_err(kube::Error::SerdeError)?;
        let patch = json!({"data": {uid: STANDARD.encode(value)}});
        match secrets.patch(TOKENS_SECRET, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                let mut secret: Secret = serde_json::from_value(patch.clone()).map_err(kube::Error::SerdeError)?;
                secret.meta_mut().name = Some(TOKENS_SECRET.to_owned());
                match secrets.create(&PostParams::default(), &secret).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {
                        secrets.patch(TOKENS_SECRET, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
                    }
                    other => other.map(drop),
                }
            }
            other => other.map(drop),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, StoredToken>> {
        self.rotated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of one Secret.
struct Keys {
    name: String,
    secret: Secret,
}

impl Keys {
    /// The value without surrounding white space, as files and editors add it; empty is absent.
    fn value(&self, key: &str) -> Option<SecretString> {
        let bytes = self.secret.data.as_ref()?.get(key)?;
        let text = std::str::from_utf8(&bytes.0).ok()?.trim();
        (!text.is_empty()).then(|| SecretString::from(text.to_owned()))
    }

    fn required(&self, key: &str) -> Result<SecretString, SessionError> {
        self.value(key).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> SessionError {
        let message = format!("The Secret {} lacks the key {key}.", self.name);
        SessionError::Problem(Problem { reason: Reason::KeyMissing, message })
    }
}

fn invalid(field: &str, why: &dyn std::fmt::Display) -> SessionError {
    let message = format!("{field} cannot be used: {why}.");
    SessionError::Problem(Problem { reason: Reason::InvalidSpec, message })
}
