//! What may be wrong with a credential, and the tables that tell it from the token endpoints' answers.

use std::fmt;

/// What is wrong with a credential; a person mends it, but for [`Self::Propagating`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialsProblem {
    /// Wrong client id or client secret.
    ClientRefused,
    /// The client secret has expired.
    SecretExpired,
    /// The application is disabled.
    AppDisabled,
    /// The application is not installed or consented in the tenant.
    AppNotInTenant,
    /// No such tenant.
    TenantNotFound,
    /// The tenant is in another national cloud.
    OtherCloud,
    /// The assertion's signature or certificate is wrong.
    AssertionRefused,
    /// Issuer, audience or subject of the federated credential do not match.
    FederationMismatch,
    /// A conditional access policy forbids it.
    ConditionalAccess,
    /// Refresh token or personal access token expired, revoked or of another client.
    GrantRefused,
    /// The client may not use this kind of grant.
    GrantNotEnabled,
    /// The token endpoint refused the form of the request: a scope, or a mistake of this program.
    RequestRefused,
    /// Not known there yet: again for some minutes, then to be taken as refused.
    Propagating,
    /// An API refused a fresh access token.
    TokenRefused,
    /// GoTo's Admin API refused a fresh access token: scope `identity:` or the super-admin role is missing.
    ScopeOrRoleMissing,
    /// A rotated refresh token could not be stored, so what came with it is not used.
    NotStored,
    /// Refused for a reason that is not in the tables.
    Other,
}

impl CredentialsProblem {
    /// What is wrong, for a condition's message.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::ClientRefused => "client id or client secret is wrong",
            Self::SecretExpired => "the client secret has expired",
            Self::AppDisabled => "the application is disabled",
            Self::AppNotInTenant => "the application is not installed or consented in the tenant",
            Self::TenantNotFound => "there is no such tenant",
            Self::OtherCloud => "the tenant is in another national cloud",
            Self::AssertionRefused => "signature or certificate of the assertion is wrong",
            Self::FederationMismatch => "issuer, audience or subject of the federated credential does not match",
            Self::ConditionalAccess => "a conditional access policy forbids it",
            Self::GrantRefused => "refresh token or personal access token expired, revoked or of another client",
            Self::GrantNotEnabled => "this kind of grant is not enabled on the client",
            Self::RequestRefused => "the request for a token was refused as wrong",
            Self::Propagating => "the credential is not known there yet",
            Self::TokenRefused => "a fresh access token was refused",
            Self::ScopeOrRoleMissing => "scope identity: or the super-admin role is missing",
            Self::NotStored => "the rotated refresh token cannot be stored in the Secret teams-connector-tokens",
            Self::Other => "the credential was refused",
        }
    }
}

impl fmt::Display for CredentialsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// `error` of GoTo's token endpoint → problem (contracts/goto.md, 2.4). Anything else is [`CredentialsProblem::Other`].
pub const GOTO_TOKEN_ERRORS: &[(&str, CredentialsProblem)] = &[
    ("invalid_client", CredentialsProblem::ClientRefused),
    ("invalid_grant", CredentialsProblem::GrantRefused),
    ("unauthorized_client", CredentialsProblem::GrantNotEnabled),
    ("unsupported_grant_type", CredentialsProblem::GrantNotEnabled),
    ("invalid_scope", CredentialsProblem::RequestRefused),
    ("invalid_request", CredentialsProblem::RequestRefused),
];

/// What an AADSTS number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntraVerdict {
    /// A person must act.
    Credentials(CredentialsProblem),
    /// Later.
    Retry,
    /// Later, the tenant is throttled.
    Throttled,
}

/// One row of [`AADSTS`]: the number and what it means.
pub type AadstsRow = (u64, EntraVerdict);

/// AADSTS number → verdict (contracts/graph.md, 2.4). Numbers are a hint on top of a safe default: what is not here is
/// [`CredentialsProblem::Other`] unless `error` says `temporarily_unavailable`.
pub const AADSTS: &[AadstsRow] = {
    use CredentialsProblem as Problem;
    use EntraVerdict::{Credentials, Retry, Throttled};
    &[
        (7_000_215, Credentials(Problem::ClientRefused)),
        (7_000_222, Credentials(Problem::SecretExpired)),
        (7_000_112, Credentials(Problem::AppDisabled)),
        (700_016, Credentials(Problem::AppNotInTenant)),
        (500_011, Credentials(Problem::AppNotInTenant)),
        (90_002, Credentials(Problem::TenantNotFound)),
        (90_038, Credentials(Problem::OtherCloud)),
        (50_012, Credentials(Problem::AssertionRefused)),
        (53_003, Credentials(Problem::ConditionalAccess)),
        (7_000_218, Credentials(Problem::RequestRefused)),
        (70_011, Credentials(Problem::RequestRefused)),
        (700_022, Credentials(Problem::RequestRefused)),
        (700_024, Retry),
        (70_021, Credentials(Problem::Propagating)),
        (700_211, Credentials(Problem::FederationMismatch)),
        (7_002_121, Credentials(Problem::FederationMismatch)),
        (700_213, Credentials(Problem::FederationMismatch)),
        (90_055, Throttled),
        (90_006, Retry),
        (90_012, Retry),
        (90_024, Retry),
        (90_033, Retry),
        (90_090, Retry),
    ]
};

pub(super) fn goto_problem(error: &str) -> CredentialsProblem {
    let row = GOTO_TOKEN_ERRORS.iter().find(|(name, _)| *name == error);
    row.map_or(CredentialsProblem::Other, |(_, problem)| *problem)
}

pub(super) fn entra_verdict(error: &str, numbers: &[u64]) -> EntraVerdict {
    if error == "temporarily_unavailable" {
        return EntraVerdict::Retry;
    }
    let first = numbers.first();
    let row = AADSTS.iter().find(|(number, _)| Some(number) == first);
    row.map_or(EntraVerdict::Credentials(CredentialsProblem::Other), |(_, verdict)| *verdict)
}
