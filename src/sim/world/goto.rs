//! GoTo's side of the world: credentials, accounts, users, lines, extensions and numbers.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountKey, Address, OrganizationId, UserKey};

/// Everything at GoTo.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GotoSide {
    /// OAuth clients by client id.
    pub clients: BTreeMap<String, OauthClient>,
    /// Refresh tokens by their text.
    pub refresh_tokens: BTreeMap<String, Grant>,
    /// Personal access tokens by their text.
    pub personal_access_tokens: BTreeMap<String, Grant>,
    /// Authorization codes by their text; each is good for one exchange.
    pub codes: BTreeMap<String, Grant>,
    /// Issued access tokens by their text.
    pub access_tokens: BTreeMap<String, AccessToken>,
    /// Accounts.
    pub accounts: BTreeMap<AccountKey, Account>,
}

/// An OAuth client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OauthClient {
    /// Its secret.
    pub secret: String,
    /// Whether the grant type "Personal Access Token" is enabled.
    #[serde(default)]
    pub personal_access_tokens_allowed: bool,
    /// Scopes that its tokens get.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
}

/// A refresh token or a personal access token: the standing consent of one user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Client it belongs to.
    pub client_id: String,
    /// The user it acts as.
    pub user: UserKey,
    /// Accounts it reaches; the first is the user's default one.
    pub accounts: Vec<AccountKey>,
    /// Scopes consented to; a refresh never widens them.
    pub scopes: BTreeSet<String>,
    /// When it was issued; a refresh token is replaced after 60 % of its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether somebody took it back.
    #[serde(default)]
    pub revoked: bool,
    /// The refresh token that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Forces a new refresh token at the next refresh.
    #[serde(default)]
    pub rotate_next: bool,
}

impl Grant {
    /// Whether the token endpoint accepts it.
    pub fn usable(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An issued access token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessToken {
    /// Client it was issued to.
    pub client_id: String,
    /// The user it acts as.
    pub user: UserKey,
    /// Accounts it reaches.
    pub accounts: Vec<AccountKey>,
    /// Its scopes.
    pub scopes: BTreeSet<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A GoTo account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its PBXs and their names.
    pub organizations: BTreeMap<OrganizationId, String>,
    /// Its users.
    pub users: BTreeMap<UserKey, GotoUser>,
    /// Extensions by id.
    pub extensions: BTreeMap<String, Extension>,
    /// Telephone numbers by id.
    pub phone_numbers: BTreeMap<String, PhoneNumber>,
}

/// A user of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GotoUser {
    /// Log-in address.
    pub email: String,
    /// Given name.
    #[serde(default)]
    pub first_name: String,
    /// Family name.
    #[serde(default)]
    pub last_name: String,
    /// `SUPER_USER`, `MANAGE_ACCOUNT`, …
    #[serde(default)]
    pub admin_roles: Vec<String>,
    /// Whether it is a desk telephone that appears as a user.
    #[serde(default)]
    pub device: bool,
    /// Its lines in any PBX of the account.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// When readers see it first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
}

/// A line of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// Id; never equal to that of the extension.
    pub id: String,
    /// Name shown on telephones.
    #[serde(default)]
    pub name: String,
    /// Number of its extension.
    pub number: String,
    /// Whether it is the user's primary line.
    #[serde(default)]
    pub primary: bool,
    /// The PBX.
    pub organization: OrganizationId,
}

/// An extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extension {
    /// The PBX.
    pub organization: OrganizationId,
    /// Short number.
    pub number: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `DIRECT_EXTENSION`, `DIAL_PLAN`, …
    pub kind: String,
    /// When readers see it first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
}

/// A telephone number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhoneNumber {
    /// The PBX.
    pub organization: OrganizationId,
    /// In E.164 form.
    pub number: String,
    /// Id of the extension that calls go to; absent: unassigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_to: Option<String>,
    /// When readers see it first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
}

/// Whether something with this `visible_since` is shown at `now`.
pub fn visible(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_none_or(|since| since <= now)
}

impl GotoSide {
    /// The user of an access token that is valid at `now`.
    pub fn token(&self, text: &str, now: Timestamp) -> Option<&AccessToken> {
        self.access_tokens.get(text).filter(|token| now < token.expires_at)
    }

    /// The account that holds a user.
    pub fn account_of(&self, user: &UserKey) -> Option<&AccountKey> {
        self.accounts.iter().find(|(_, account)| account.users.contains_key(user)).map(|(key, _)| key)
    }

    /// The account that holds a PBX.
    pub fn account_of_pbx(&self, organization: OrganizationId) -> Option<&AccountKey> {
        self.accounts.iter().find(|(_, account)| account.organizations.contains_key(&organization)).map(|(key, _)| key)
    }
}

impl GotoUser {
    /// Whether the user has a line in the PBX.
    pub fn is_in(&self, organization: OrganizationId) -> bool {
        self.lines.iter().any(|line| line.organization == organization)
    }

    /// The primary line in the PBX, else the first one there.
    pub fn line_in(&self, organization: OrganizationId) -> Option<&Line> {
        let mut lines = self.lines.iter().filter(|line| line.organization == organization);
        lines.clone().find(|line| line.primary).or_else(|| lines.next())
    }

    /// The address in comparable form.
    pub fn address(&self) -> Option<Address> {
        self.email.parse().ok()
    }
}

impl Account {
    /// The users of a PBX: those with a line in it, desk telephones left out.
    pub fn members(&self, organization: OrganizationId) -> impl Iterator<Item = (&UserKey, &GotoUser)> {
        self.users.iter().filter(move |(_, user)| !user.device && user.is_in(organization))
    }

    /// The numbers of a PBX that are routed to the extension with this short number, lowest first.
    pub fn routed(&self, organization: OrganizationId, extension: &str) -> Vec<&str> {
        let is_target = |it: &&Extension| it.organization == organization && it.number == extension;
        let ids: BTreeSet<&String> = self.extensions.iter().filter(|(_, it)| is_target(it)).map(|(id, _)| id).collect();
        let mut numbers: Vec<&str> = self
            .phone_numbers
            .values()
            .filter(|number| number.route_to.as_ref().is_some_and(|id| ids.contains(id)))
            .map(|number| number.number.as_str())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// Whether the PBX owns the number.
    pub fn owns(&self, organization: OrganizationId, number: &str) -> bool {
        self.phone_numbers.values().any(|it| it.organization == organization && it.number == number)
    }
}
