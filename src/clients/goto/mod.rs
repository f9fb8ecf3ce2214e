//! Client of GoTo: Admin API, users/v1 and voice-admin/v1. It only reads.

mod pages;
pub mod wire;

use k8s_openapi::jiff::Timestamp;
use url::Url;

use super::channel::Channel;
use super::error::ApiError;
use super::http::Call;
use super::listing::{Complete, Incomplete};
use super::route::{Api, Route};
use super::token::{TokenFacts, TokenSource};
use crate::domain::{AccountKey, UserKey};
use wire::{AdminUser, Extension, Line, MarkerPage, Me, PhoneNumber, UserLines};

/// A scope that the operator's OAuth client needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GotoScope {
    /// Its name.
    pub name: &'static str,
    /// What for.
    pub reason: &'static str,
}

const IDENTITY: &str = "identity:";
const LINES_READ: &str = "users.v1.lines.read";
const VOICE_READ: &str = "voice-admin.v1.read";

/// Every scope that is needed, in `Enforce` mode too: nothing is written at GoTo.
pub const NEEDED_SCOPES: [GotoScope; 3] = [
    GotoScope { name: IDENTITY, reason: "lists the users of the account with their e-mail addresses" },
    GotoScope { name: LINES_READ, reason: "tells which user has which line in which PBX" },
    GotoScope { name: VOICE_READ, reason: "lists telephone numbers and the extensions they lead to" },
];

/// The needed scopes that a token reply does not name; `None` if the reply named no scopes at all.
#[must_use]
pub fn missing_scopes(facts: &TokenFacts) -> Option<Vec<GotoScope>> {
    let granted = facts.scopes.as_ref()?;
    Some(NEEDED_SCOPES.into_iter().filter(|scope| !granted.iter().any(|name| name == scope.name)).collect())
}

const ME: Route = Route::new(Api::GotoAdmin, "GET /me", IDENTITY);
const USERS: Route = Route::new(Api::GotoAdmin, "GET /accounts/{accountKey}/users", IDENTITY);
const LINES: Route = Route::new(Api::GotoUsers, "GET /users/v1/users", LINES_READ);
const LINES_OF: Route = Route::new(Api::GotoUsers, "GET /users/v1/users/{userKey}/lines", LINES_READ);
const PHONE_NUMBERS: Route = Route::new(Api::GotoVoiceAdmin, "GET /voice-admin/v1/phone-numbers", VOICE_READ);
const EXTENSIONS: Route = Route::new(Api::GotoVoiceAdmin, "GET /voice-admin/v1/extensions", VOICE_READ);

/// Largest page of the Admin API.
const ADMIN_PAGE: &str = "1000";
/// Largest page of voice-admin that is known to work.
const VOICE_PAGE: &str = "100";

/// Client of GoTo's APIs with one credential; cheap to clone.
///
/// The `map` of a listing turns each item into the caller's compact record, or drops it; it may see an item twice when a
/// listing is restarted.
#[derive(Clone)]
pub struct GotoClient {
    channel: Channel,
    admin: Url,
    api: Url,
}

impl GotoClient {
    pub(super) fn new(channel: Channel, admin: Url, api: Url) -> Self {
        Self { channel, admin, api }
    }

    /// The token's account and every account that its user may administer: the credential probe.
    pub async fn me(&self) -> Result<Me, ApiError> {
        self.channel.json(&Call::get(ME, &self.admin, &["me"], &[])).await
    }

    /// Users of the account.
    pub async fn users<R: Send>(
        &self,
        account: &AccountKey,
        mut map: impl FnMut(AdminUser) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.admin_pages(USERS, &["accounts", account.as_str(), "users"], None, &mut map).await
    }

    /// The users with exactly this log-in address: none or one. A failed reading is not "none".
    pub async fn user_by_email(&self, account: &AccountKey, email: &str) -> Result<Complete<AdminUser>, Incomplete> {
        let filter = pages::email_filter(USERS, email)?;
        self.admin_pages(USERS, &["accounts", account.as_str(), "users"], Some(&filter), &mut Some).await
    }

    /// Lines of every user of the account.
    pub async fn lines<R: Send>(
        &self,
        account: &AccountKey,
        mut map: impl FnMut(UserLines) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.marker_pages(LINES, &["users", "v1", "users"], account, None, &mut map).await
    }

    /// Lines of one user, in every account of the credentials. 404 means gone, **or** not to be seen by us.
    pub async fn lines_of(&self, user: &UserKey) -> Result<MarkerPage<Line>, ApiError> {
        self.channel.json(&Call::get(LINES_OF, &self.api, &["users", "v1", "users", user.as_str(), "lines"], &[])).await
    }

    /// Telephone numbers of the account.
    pub async fn phone_numbers<R: Send>(
        &self,
        account: &AccountKey,
        mut map: impl FnMut(PhoneNumber) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.marker_pages(PHONE_NUMBERS, &["voice-admin", "v1", "phone-numbers"], account, Some(VOICE_PAGE), &mut map)
            .await
    }

    /// Extensions of the account.
    pub async fn extensions<R: Send>(
        &self,
        account: &AccountKey,
        mut map: impl FnMut(Extension) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.marker_pages(EXTENSIONS, &["voice-admin", "v1", "extensions"], account, Some(VOICE_PAGE), &mut map).await
    }

    /// Scopes and user of the token in use.
    pub async fn token_facts(&self) -> Result<TokenFacts, ApiError> {
        self.channel.tokens().facts().await
    }

    /// Until when GoTo wants no calls; `None` while all gates are open.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.channel.closed_until(&[Api::GotoToken, Api::GotoAdmin, Api::GotoUsers, Api::GotoVoiceAdmin])
    }

    pub(super) fn token_source(&self) -> &TokenSource {
        self.channel.tokens()
    }
}

#[cfg(test)]
mod tests;
