//! Errors of the clients, named by meaning, each with one [`Class`].
//!
//! An error carries the API, the route template, the status, the vendor's code and the vendor's reference; never a URL, a body
//! or a text of the vendor, which may hold personal data.

mod credentials;
mod dialect;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::route::{Api, Route};

pub use credentials::{AADSTS, AadstsRow, CredentialsProblem, EntraVerdict, GOTO_TOKEN_ERRORS};
pub(crate) use dialect::{Refusal, fault, word};

/// What an error means for the caller. Controllers map it to a condition, a reason and a requeue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The other side is not well, or its answer makes no sense: again, with back-off.
    Retry,
    /// Too many calls: again when the gate opens, if it is known when.
    Throttled {
        /// When the gate opens.
        until: Option<Timestamp>,
    },
    /// A person must mend a credential.
    Credentials(CredentialsProblem),
    /// A person must give this permission, scope or role.
    Permission(String),
    /// Not there, **or** not to be seen by us; never proof of absence by itself.
    Absent,
    /// The state at the other side differs: read again and decide again. The vendor's code tells how; it may be empty.
    Conflict(String),
    /// Wrong for this input; not to be repeated unchanged.
    Permanent,
    /// The cursor is no longer valid: drop it and list everything.
    Resync,
}

/// Reads [`Class::Absent`] as "there is none", for what a contract says may be missing.
///
/// # Errors
/// Every other error.
pub fn present<T>(read: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the other side answered, as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which call.
    pub route: Route,
    /// HTTP status.
    pub status: u16,
    /// The vendor's error code.
    pub code: Option<Box<str>>,
    /// What the vendor's support asks for: GoTo's `reference`, Microsoft's `request-id`.
    pub reference: Option<Box<str>>,
}

/// Why a body could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecodable {
    /// A web page in place of JSON: a proxy, a portal, maintenance.
    Html,
    /// The JSON ends before its end.
    Truncated,
    /// Not JSON, or not the JSON of the contract.
    Malformed,
}

/// Where a call was lost on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// No connection: name, network or TLS. The call was not sent.
    Connecting,
    /// The connection broke, before or in the answer. The call may have had its effect.
    Underway,
}

/// Why a rotated refresh token could not be stored.
pub type StoreError = Arc<dyn std::error::Error + Send + Sync>;

/// A call that did not bring what it should.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// No connection, or it broke.
    #[error("{route}: {}", lost_text(*.at))]
    Unreachable {
        /// Which call.
        route: Route,
        /// How far it came.
        at: Lost,
        /// The cause, without the URL.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// No complete answer before the deadline. The call may have had its effect.
    #[error("{route}: no complete answer in time")]
    DeadlineExceeded {
        /// Which call.
        route: Route,
    },
    /// The task that made the call ended early.
    #[error("{route}: stopped")]
    Stopped {
        /// Which call.
        route: Route,
    },
    /// 5xx, and what the vendors mean by other statuses as "later".
    #[error("{answer}: not available")]
    Unavailable {
        /// What was answered.
        answer: Answer,
        /// `Retry-After`.
        until: Option<Timestamp>,
    },
    /// 429.
    #[error("{answer}: too many calls")]
    RateLimited {
        /// What was answered.
        answer: Answer,
        /// When the gate opens.
        until: Option<Timestamp>,
    },
    /// Not sent: an earlier answer closed the gate for longer than a call waits.
    #[error("{route}: not sent, the gate is closed until {until}")]
    GateClosed {
        /// Which call.
        route: Route,
        /// When the gate opens.
        until: Timestamp,
    },
    /// An API refused the access token: 401, on GoTo's Admin host 403 too.
    #[error("{0}: the access token was refused")]
    TokenRefused(Answer),
    /// The token endpoint refused the credential, or Entra does not know the principal yet.
    #[error("{answer}: {problem}")]
    CredentialsRefused {
        /// What was answered.
        answer: Answer,
        /// What is wrong with it.
        problem: CredentialsProblem,
    },
    /// A rotated refresh token could not be stored, so the access token that came with it is not used.
    #[error("{route}: the rotated refresh token could not be stored")]
    NotStored {
        /// Which call.
        route: Route,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// 403: a permission, scope or role is missing.
    #[error("{answer}: {needs} is missing")]
    Forbidden {
        /// What was answered.
        answer: Answer,
        /// What is missing.
        needs: &'static str,
    },
    /// 404; GoTo answers it also when a permission is missing.
    #[error("{0}: not found")]
    NotFound(Answer),
    /// 409 and 412, and a 403 of the connector that waits for a person (`ConsentRequired`, `SignInRequired`).
    #[error("{0}: conflicts with the state there")]
    Conflict(Answer),
    /// Another 4xx, or 501.
    #[error("{0}: refused as wrong")]
    Refused(Answer),
    /// A redirect: never followed.
    #[error("{0}: redirects elsewhere")]
    Redirected(Answer),
    /// A delta cursor is no longer valid.
    #[error("{0}: the cursor is no longer valid")]
    CursorExpired(Answer),
    /// A page token of a listing is no longer valid.
    #[error("{0}: the page token is no longer valid")]
    PageTokenExpired(Answer),
    /// The body cannot be used.
    #[error("{answer}: {}", undecodable_text(*.what))]
    Undecodable {
        /// What was answered.
        answer: Answer,
        /// What is wrong with the body.
        what: Undecodable,
    },
    /// The body exceeds the limit.
    #[error("{route}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// Which call.
        route: Route,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not sent: the input cannot be expressed in a call.
    #[error("{route}: not sent, {why}")]
    InvalidInput {
        /// Which call.
        route: Route,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl ApiError {
    /// What the error means for the caller.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Stopped { .. }
            | Self::Redirected(_)
            | Self::Undecodable { .. }
            | Self::Unavailable { until: None, .. } => Class::Retry,
            Self::Unavailable { until, .. } | Self::RateLimited { until, .. } => Class::Throttled { until: *until },
            Self::GateClosed { until, .. } => Class::Throttled { until: Some(*until) },
            Self::NotStored { .. } => Class::Credentials(CredentialsProblem::NotStored),
            Self::TokenRefused(answer) => Class::Credentials(refused_token(answer.route.api)),
            Self::CredentialsRefused { problem, .. } => Class::Credentials(*problem),
            Self::Forbidden { needs, .. } => Class::Permission((*needs).to_owned()),
            Self::NotFound(_) => Class::Absent,
            Self::Conflict(answer) => Class::Conflict(answer.code.as_deref().unwrap_or_default().to_owned()),
            Self::Refused(_) | Self::TooLarge { .. } | Self::InvalidInput { .. } => Class::Permanent,
            Self::CursorExpired(_) | Self::PageTokenExpired(_) => Class::Resync,
        }
    }

    /// Which call failed.
    #[must_use]
    pub fn route(&self) -> Route {
        match self {
            Self::Unreachable { route, .. }
            | Self::DeadlineExceeded { route }
            | Self::Stopped { route }
            | Self::GateClosed { route, .. }
            | Self::NotStored { route, .. }
            | Self::TooLarge { route, .. }
            | Self::InvalidInput { route, .. } => *route,
            Self::Unavailable { answer, .. }
            | Self::RateLimited { answer, .. }
            | Self::CredentialsRefused { answer, .. }
            | Self::Forbidden { answer, .. }
            | Self::Undecodable { answer, .. }
            | Self::TokenRefused(answer)
            | Self::NotFound(answer)
            | Self::Conflict(answer)
            | Self::Refused(answer)
            | Self::Redirected(answer)
            | Self::CursorExpired(answer)
            | Self::PageTokenExpired(answer) => answer.route,
        }
    }

    /// The vendor's error code, if there was an answer with one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Unavailable { answer, .. }
            | Self::RateLimited { answer, .. }
            | Self::CredentialsRefused { answer, .. }
            | Self::Forbidden { answer, .. }
            | Self::Undecodable { answer, .. }
            | Self::TokenRefused(answer)
            | Self::NotFound(answer)
            | Self::Conflict(answer)
            | Self::Refused(answer)
            | Self::Redirected(answer)
            | Self::CursorExpired(answer)
            | Self::PageTokenExpired(answer) => answer.code.as_deref(),
            Self::Unreachable { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Stopped { .. }
            | Self::GateClosed { .. }
            | Self::NotStored { .. }
            | Self::TooLarge { .. }
            | Self::InvalidInput { .. } => None,
        }
    }

    /// Whether a write that ended so may nevertheless have had its effect, so that the state there must be read first.
    #[must_use]
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Unreachable { at, .. } => *at == Lost::Underway,
            Self::DeadlineExceeded { .. }
            | Self::Stopped { .. }
            | Self::Unavailable { .. }
            | Self::Undecodable { .. }
            | Self::TooLarge { .. } => true,
            Self::GateClosed { .. }
            | Self::RateLimited { .. }
            | Self::TokenRefused(_)
            | Self::CredentialsRefused { .. }
            | Self::NotStored { .. }
            | Self::Forbidden { .. }
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Refused(_)
            | Self::Redirected(_)
            | Self::CursorExpired(_)
            | Self::PageTokenExpired(_)
            | Self::InvalidInput { .. } => false,
        }
    }
}

/// On the Admin host 401 and 403 say the same, so a missing scope or role is as likely as a bad token.
fn refused_token(api: Api) -> CredentialsProblem {
    match api {
        Api::GotoAdmin => CredentialsProblem::ScopeOrRoleMissing,
        Api::GotoToken
        | Api::GotoUsers
        | Api::GotoVoiceAdmin
        | Api::EntraToken
        | Api::Graph
        | Api::GraphTeams
        | Api::Connector => CredentialsProblem::TokenRefused,
    }
}

fn lost_text(at: Lost) -> &'static str {
    match at {
        Lost::Connecting => "no connection",
        Lost::Underway => "the connection broke",
    }
}

fn undecodable_text(what: Undecodable) -> &'static str {
    match what {
        Undecodable::Html => "a web page came in place of JSON",
        Undecodable::Truncated => "the answer was cut short",
        Undecodable::Malformed => "the answer is not what the contract says",
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.route, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(reference) = &self.reference {
            write!(f, " (reference {reference})")?;
        }
        Ok(())
    }
}
