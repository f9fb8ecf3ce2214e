//! The credentials and how each is put to its token endpoint.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::{Key, TokenFacts};
use crate::clients::error::ApiError;
use crate::clients::goto::wire as goto;
use crate::clients::graph::wire as graph;
use crate::clients::http::{Body, Call, Reply};
use crate::clients::route::{Api, Route};
use crate::domain::TenantId;

const GOTO_TOKEN: Route = Route::new(Api::GotoToken, "POST /oauth/token", "a valid credential");
const ENTRA_TOKEN: Route = Route::new(Api::EntraToken, "POST /{tenant}/oauth2/v2.0/token", "a valid credential");

/// An OAuth client of GoTo and what it acts with.
#[derive(Clone)]
pub struct GotoCredential {
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretString,
    /// What stands for the consenting user.
    pub grant: GotoGrant,
}

/// What stands for the consenting user of a [`GotoCredential`].
#[derive(Clone)]
pub enum GotoGrant {
    /// A refresh token, the newest that is stored.
    RefreshToken(SecretString),
    /// A personal access token.
    PersonalAccessToken(SecretString),
}

/// An application of Entra with a client secret.
#[derive(Clone)]
pub struct EntraCredential {
    /// The tenant.
    pub tenant: TenantId,
    /// Application (client) id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// A credential together with where it is redeemed.
#[derive(Clone)]
pub(crate) enum Grant {
    Goto {
        authority: Url,
        credential: GotoCredential,
    },
    Entra {
        authority: Url,
        scope: String,
        credential: EntraCredential,
    },
    /// A bearer token that is used as it is.
    Fixed(Arc<SecretString>),
}

/// A token reply.
pub(super) struct Issued {
    pub(super) token: Arc<SecretString>,
    /// In seconds.
    pub(super) life: u64,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) facts: TokenFacts,
}

impl Grant {
    pub(super) fn route(&self) -> Route {
        match self {
            Self::Goto { .. } | Self::Fixed(_) => GOTO_TOKEN,
            Self::Entra { .. } => ENTRA_TOKEN,
        }
    }

    /// The key of the gate, as of all gates of this credential.
    pub(crate) fn bucket(&self) -> String {
        match self {
            Self::Goto { credential, .. } => credential.client_id.clone(),
            Self::Entra { credential, .. } => format!("{}/{}", credential.tenant, credential.client_id),
            Self::Fixed(_) => String::new(),
        }
    }

    /// The key of the cache; a rotated refresh token takes the place of the credential's.
    pub(super) fn key(&self, rotated: Option<&SecretString>) -> Key {
        match self {
            Self::Goto { authority, credential } => {
                let (kind, secret) = credential.grant.parts();
                let secret = rotated.unwrap_or(secret).expose_secret();
                digest(&[
                    authority.as_str(),
                    &credential.client_id,
                    credential.client_secret.expose_secret(),
                    kind,
                    secret,
                ])
            }
            Self::Entra { authority, scope, credential } => digest(&[
                authority.as_str(),
                &credential.tenant.to_string(),
                &credential.client_id,
                credential.client_secret.expose_secret(),
                scope,
            ]),
            Self::Fixed(token) => digest(&[token.expose_secret()]),
        }
    }

    pub(super) fn call(&self, rotated: Option<&SecretString>) -> Result<Call, ApiError> {
        match self {
            Self::Goto { authority, credential } => goto_call(authority, credential, rotated),
            Self::Entra { authority, scope, credential } => Ok(entra_call(authority, scope, credential)),
            Self::Fixed(_) => {
                Err(ApiError::InvalidInput { route: GOTO_TOKEN, why: "a fixed token has no token endpoint" })
            }
        }
    }

    pub(super) fn read(&self, reply: Reply) -> Result<Issued, ApiError> {
        if matches!(self, Self::Entra { .. }) {
            let reply: graph::TokenReply = reply.json()?;
            let token = Arc::new(SecretString::from(reply.access_token));
            return Ok(Issued { token, life: reply.expires_in, refresh_token: None, facts: TokenFacts::default() });
        }
        let reply: goto::TokenReply = reply.json()?;
        let scopes = reply.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect());
        Ok(Issued {
            token: Arc::new(SecretString::from(reply.access_token)),
            life: reply.expires_in,
            refresh_token: reply.refresh_token.map(SecretString::from),
            facts: TokenFacts { scopes, principal: reply.principal },
        })
    }
}

impl GotoGrant {
    /// Value of `grant_type` and the secret.
    fn parts(&self) -> (&'static str, &SecretString) {
        match self {
            Self::RefreshToken(secret) => ("refresh_token", secret),
            Self::PersonalAccessToken(secret) => ("personal_access_token", secret),
        }
    }
}

fn goto_call(authority: &Url, credential: &GotoCredential, rotated: Option<&SecretString>) -> Result<Call, ApiError> {
    let (kind, secret) = credential.grant.parts();
    let secret = match credential.grant {
        GotoGrant::RefreshToken(_) => rotated.unwrap_or(secret),
        GotoGrant::PersonalAccessToken(_) => secret,
    };
    let field = if kind == "refresh_token" { kind } else { "pat" };
    let mut call = Call::new(GOTO_TOKEN, Method::POST, authority, &["oauth", "token"], &[]);
    call.body = Body::Form(form(&[("grant_type", kind), (field, secret.expose_secret())]));
    // A lost answer to a refresh may have held a new refresh token.
    call.repeatable = matches!(credential.grant, GotoGrant::PersonalAccessToken(_));
    Ok(call.header("authorization", basic(credential)?))
}

fn basic(credential: &GotoCredential) -> Result<HeaderValue, ApiError> {
    let pair = Zeroizing::new(format!("{}:{}", credential.client_id, credential.client_secret.expose_secret()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let invalid = |_| ApiError::InvalidInput { route: GOTO_TOKEN, why: "the client id cannot be sent in a header" };
    let mut value = HeaderValue::from_str(&text).map_err(invalid)?;
    value.set_sensitive(true);
    Ok(value)
}

fn entra_call(authority: &Url, scope: &str, credential: &EntraCredential) -> Call {
    let tenant = credential.tenant.to_string();
    let mut call = Call::new(ENTRA_TOKEN, Method::POST, authority, &[&tenant, "oauth2", "v2.0", "token"], &[]);
    call.body = Body::Form(form(&[
        ("client_id", &credential.client_id),
        ("client_secret", credential.client_secret.expose_secret()),
        ("grant_type", "client_credentials"),
        ("scope", scope),
    ]));
    call.repeatable = true;
    call
}

fn form(fields: &[(&str, &str)]) -> SecretString {
    SecretString::from(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

/// Each part with its length before it, so that no two lists of parts look alike.
fn digest(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

impl fmt::Debug for GotoCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GotoCredential").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for GotoGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().0)
    }
}

impl fmt::Debug for EntraCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EntraCredential");
        shown.field("tenant", &self.tenant).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
