//! From the class of an error to what the objects show. Every class is named: a new one must be decided here.

use k8s_openapi::jiff::Timestamp;

use crate::api::Reason;
use crate::clients::error::{ApiError, Class, CredentialsProblem};
use crate::clients::listing::{Incomplete, IncompleteCause};
use crate::clients::route::Api;
use crate::plan::acted::Refusal;
use crate::plan::observed::Problem;
use crate::plan::snapshot::SourceFailure;

/// What keeps a pass from its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    /// The API server did not do what was asked.
    #[error("{doing}")]
    Kubernetes {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The object of the pass was deleted or re-created meanwhile.
    #[error("the object is gone")]
    Gone,
    /// A plan that must not be carried out: a defect in the planner.
    #[error("the plan contradicts itself")]
    Contradiction,
    /// The pass took longer than it may.
    #[error("the pass was given up after its deadline")]
    Deadline,
    /// A defect in the code; the process goes on.
    #[error("the pass panicked")]
    Panicked,
}

impl PassError {
    /// For `map_err`: what was being done.
    pub(super) fn kubernetes(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Kubernetes { doing, source: Box::new(source) }
    }

    /// What the API server answered, without its text: that may quote values of the object.
    pub(super) fn cause(&self) -> Option<String> {
        match self {
            Self::Kubernetes { source, .. } => Some(match source.as_ref() {
                kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
                // Its text may quote values.
                kube::Error::SerdeError(_) => "an object cannot be read".to_owned(),
                other => other.to_string(),
            }),
            Self::Gone | Self::Contradiction | Self::Deadline | Self::Panicked => None,
        }
    }

    /// Whether the object of the pass was deleted or re-created meanwhile: the next event tells, nothing failed.
    pub(super) fn is_object_gone(&self) -> bool {
        match self {
            Self::Kubernetes { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => status.is_not_found(),
                _ => false,
            },
            Self::Gone => true,
            Self::Contradiction | Self::Deadline | Self::Panicked => false,
        }
    }
}

/// How a failed call shows on the source that needed it.
pub(super) fn source_failure(error: &ApiError) -> SourceFailure {
    let (reason, retry_at) = reason_of(error);
    SourceFailure { reason, cause: cause_of(error), retry_at }
}

/// How an incomplete listing shows on its source.
pub(super) fn incomplete(incomplete: &Incomplete) -> SourceFailure {
    match &incomplete.cause {
        IncompleteCause::Failed(error) => source_failure(error),
        other => SourceFailure { reason: Reason::SourceIncomplete, cause: other.name().to_owned(), retry_at: None },
    }
}

/// A problem of the account from a failed call.
pub(super) fn problem(error: &ApiError) -> Problem {
    let (reason, _) = reason_of(error);
    Problem { reason, message: format!("{} ({})", reason.message(), cause_of(error)) }
}

/// How a batch of writes that was not answered shows, and when the vendor wants to be asked again.
pub(super) fn refusal(error: &ApiError) -> Refusal {
    let (reason, until) = reason_of(error);
    Refusal { reason, until }
}

/// What was found, with who does what next.
pub(super) fn advised(found: &Problem) -> Problem {
    let info = found.reason.info();
    let actor = info.actor.map_or_else(String::new, |actor| format!("{actor}: "));
    Problem { reason: found.reason, message: format!("{} {actor}{}", found.message, info.next) }
}

fn cause_of(error: &ApiError) -> String {
    match error.class() {
        Class::Credentials(problem) => problem.text().to_owned(),
        Class::Permission(needs) => needs,
        Class::Retry
        | Class::Throttled { .. }
        | Class::Absent
        | Class::Conflict(_)
        | Class::Permanent
        | Class::Resync => describe(error),
    }
}

/// Route, status and code: no reference, which would differ each time and so move the status.
fn describe(error: &ApiError) -> String {
    let route = error.route();
    match error.code() {
        Some(code) => format!("{route}: {code}"),
        None => format!("{route} failed"),
    }
}

fn reason_of(error: &ApiError) -> (Reason, Option<Timestamp>) {
    match error.class() {
        Class::Retry | Class::Resync | Class::Absent => (unreachable_reason(error.route().api), None),
        Class::Conflict(code) => (conflict_reason(&code), None),
        Class::Permanent => (Reason::RequestRefused, None),
        Class::Throttled { until } => (Reason::RateLimited, until),
        Class::Credentials(problem) => (credentials_reason(problem, error.route().api), None),
        Class::Permission(_) => (Reason::PermissionMissing, None),
    }
}

fn credentials_reason(problem: CredentialsProblem, api: Api) -> Reason {
    match problem {
        CredentialsProblem::SecretExpired => Reason::CredentialsExpired,
        CredentialsProblem::TenantNotFound | CredentialsProblem::OtherCloud => Reason::TenantMismatch,
        CredentialsProblem::ScopeOrRoleMissing => Reason::NotSuperAdministrator,
        CredentialsProblem::NotStored => Reason::TokenNotStored,
        CredentialsProblem::Propagating => unreachable_reason(api),
        CredentialsProblem::ClientRefused
        | CredentialsProblem::AppDisabled
        | CredentialsProblem::AppNotInTenant
        | CredentialsProblem::AssertionRefused
        | CredentialsProblem::FederationMismatch
        | CredentialsProblem::ConditionalAccess
        | CredentialsProblem::GrantRefused
        | CredentialsProblem::GrantNotEnabled
        | CredentialsProblem::RequestRefused
        | CredentialsProblem::TokenRefused
        | CredentialsProblem::Other => Reason::CredentialsRejected,
    }
}

/// The connector answers a call that waits for a person with a code of its own.
fn conflict_reason(code: &str) -> Reason {
    match code {
        "ConsentRequired" => Reason::AwaitingConsent,
        "SignInRequired" => Reason::AwaitingPushSignIn,
        _ => Reason::RequestRefused,
    }
}

fn unreachable_reason(api: Api) -> Reason {
    match api {
        Api::GotoToken | Api::GotoAdmin | Api::GotoUsers | Api::GotoVoiceAdmin => Reason::GoToUnreachable,
        Api::EntraToken | Api::Graph | Api::GraphTeams => Reason::MicrosoftUnreachable,
        Api::Connector => Reason::ConnectorUnreachable,
    }
}
