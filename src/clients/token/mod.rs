//! Access tokens: one cache for the process, one request at a time for each credential, rotation stored before use.
//!
//! The key of the cache holds the SHA-256 of the credential, so that a changed Secret is used on the very next call (T35).

mod grant;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::channel::{Repetition, gated};
use super::error::{ApiError, StoreError};
use super::gate::{Gate, Gates};
use super::http::{Call, Http};

pub(crate) use grant::Grant;
use grant::Issued;
pub use grant::{EntraCredential, GotoCredential, GotoGrant};

/// A refresh token that GoTo has put in the place of the one that was sent.
#[derive(Clone)]
pub struct Rotated {
    /// The new refresh token; the only copy until it is stored.
    pub refresh_token: SecretString,
}

/// Stores a rotated refresh token. The access token that came with it is used only after this has succeeded.
pub type Persist = Arc<dyn Fn(Rotated) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> + Send + Sync>;

/// What the newest token reply said about the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// Granted scopes; `None`: the reply did not say.
    pub scopes: Option<Vec<String>>,
    /// E-mail address of the user whom the token acts as: personal data.
    pub principal: Option<String>,
}

/// The access tokens of a process; cheap to clone.
#[derive(Clone, Default)]
pub struct Tokens {
    entries: Arc<Mutex<HashMap<Key, Arc<Entry>>>>,
    /// Requests that may bring a rotated refresh token, until it is stored.
    under_way: watch::Sender<usize>,
}

/// Counts as under way until it is dropped.
struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// SHA-256 over the authority, the client, the scope and the credential.
pub(crate) type Key = [u8; 32];

/// The token of one credential.
#[derive(Default)]
struct Entry(tokio::sync::Mutex<Held>);

#[derive(Default)]
struct Held {
    access: Option<Access>,
    /// The refresh token that has replaced the credential's.
    rotated: Option<SecretString>,
    /// A rotated refresh token that is not stored yet, with the access token that waits for it.
    unsaved: Option<(Rotated, Access)>,
}

#[derive(Clone)]
struct Access {
    token: Arc<SecretString>,
    good_until: Timestamp,
    facts: TokenFacts,
}

/// Gives out access tokens of one credential; cheap to clone.
#[derive(Clone)]
pub struct TokenSource(Arc<Source>);

struct Source {
    http: Http,
    gates: Arc<Gates>,
    tokens: Tokens,
    entry: Arc<Entry>,
    grant: Grant,
    persist: Option<Persist>,
}

impl Tokens {
    /// Returns once no request is under way and every rotated refresh token that came is stored, if it could be: for the end of
    /// the process, which would cut them off.
    pub async fn settled(&self) {
        // The sender lives as long as this, so the wait cannot fail.
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }

    fn begin(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.under_way.clone())
    }

    /// Every entry in use, with a usable token, or with a refresh token that is stored nowhere else stays.
    fn entry(&self, key: Key, now: Timestamp) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&key) {
            return Arc::clone(entry);
        }
        entries.retain(|_, entry| Arc::strong_count(entry) > 1 || entry.is_worth_keeping(now));
        Arc::clone(entries.entry(key).or_default())
    }

    fn also_under(&self, key: Key, entry: &Arc<Entry>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(entry));
    }
}

impl Entry {
    fn is_worth_keeping(&self, now: Timestamp) -> bool {
        self.0.try_lock().map_or(true, |held| {
            held.unsaved.is_some() || held.access.as_ref().is_some_and(|access| now < access.good_until)
        })
    }
}

impl TokenSource {
    pub(crate) fn new(http: Http, gates: Arc<Gates>, tokens: Tokens, grant: Grant, persist: Option<Persist>) -> Self {
        let entry = tokens.entry(grant.key(None), http.clock().now());
        Self(Arc::new(Source { http, gates, tokens, entry, grant, persist }))
    }

    /// A usable access token, from the cache or anew.
    pub(crate) async fn token(&self) -> Result<Arc<SecretString>, ApiError> {
        if let Grant::Fixed(token) = &self.0.grant {
            return Ok(Arc::clone(token));
        }
        Ok(self.access(None).await?.token)
    }

    /// A token in place of one that an API has refused: another caller's newer one, or a new one. `None`: there is no other.
    pub(crate) async fn instead_of(&self, refused: &Arc<SecretString>) -> Result<Option<Arc<SecretString>>, ApiError> {
        if matches!(self.0.grant, Grant::Fixed(_)) {
            return Ok(None);
        }
        Ok(Some(self.access(Some(Arc::clone(refused))).await?.token))
    }

    /// What the token endpoint says about the token in use.
    pub async fn facts(&self) -> Result<TokenFacts, ApiError> {
        if matches!(self.0.grant, Grant::Fixed(_)) {
            return Ok(TokenFacts::default());
        }
        Ok(self.access(None).await?.facts)
    }

    /// The work goes on in a task of its own when the caller is dropped: a rotated refresh token must not be lost.
    async fn access(&self, refused: Option<Arc<SecretString>>) -> Result<Access, ApiError> {
        let source = Arc::clone(&self.0);
        let route = source.grant.route();
        let under_way = source.tokens.begin();
        let task = tokio::spawn(async move {
            let _under_way = under_way;
            source.obtain(refused).await
        });
        task.await.unwrap_or(Err(ApiError::Stopped { route }))
    }
}

impl Source {
    async fn obtain(&self, refused: Option<Arc<SecretString>>) -> Result<Access, ApiError> {
        let mut held = self.entry.0.lock().await;
        self.save(&mut held).await?;
        if let Some(access) = held.usable(self.http.clock().now(), refused.as_ref()) {
            return Ok(access);
        }
        let (access, rotated) = self.request(held.rotated.as_ref()).await?;
        match rotated {
            Some(rotated) => held.unsaved = Some((rotated, access.clone())),
            None => held.access = Some(access.clone()),
        }
        self.save(&mut held).await?;
        Ok(access)
    }

    /// T37: stored before first use. A failed attempt is made good by the next caller, with the same refresh token.
    async fn save(&self, held: &mut Held) -> Result<(), ApiError> {
        let Some((rotated, access)) = held.unsaved.clone() else { return Ok(()) };
        if let Some(persist) = &self.persist {
            let _busy = self.http.clock().busy();
            let route = self.grant.route();
            persist(rotated.clone()).await.map_err(|source| ApiError::NotStored { route, source })?;
        }
        self.tokens.also_under(self.grant.key(Some(&rotated.refresh_token)), &self.entry);
        held.rotated = Some(rotated.refresh_token);
        held.access = Some(access);
        held.unsaved = None;
        Ok(())
    }

    async fn request(&self, rotated: Option<&SecretString>) -> Result<(Access, Option<Rotated>), ApiError> {
        let call = self.grant.call(rotated)?;
        let gate = self.gates.for_key(self.grant.route().api, &self.grant.bucket());
        let asked_at = self.http.clock().now();
        let issued = self.issued(&gate, &call).await?;
        let access = Access { token: issued.token, good_until: good_until(asked_at, issued.life), facts: issued.facts };
        Ok((access, issued.refresh_token.map(|refresh_token| Rotated { refresh_token })))
    }

    async fn issued(&self, gate: &Gate, call: &Call) -> Result<Issued, ApiError> {
        let mut repetition = Repetition::of(&self.http, call);
        loop {
            match gated(&self.http, gate, call, None).await.and_then(|reply| self.grant.read(reply)) {
                Ok(issued) => return Ok(issued),
                Err(error) => repetition.after(error).await?,
            }
        }
    }
}

impl Held {
    fn usable(&self, now: Timestamp, refused: Option<&Arc<SecretString>>) -> Option<Access> {
        let other =
            |access: &&Access| refused.is_none_or(|token| token.expose_secret() != access.token.expose_secret());
        self.access.as_ref().filter(|access| now < access.good_until).filter(other).cloned()
    }
}

/// Five minutes, or a tenth of the life if that is less, before the end.
fn good_until(asked_at: Timestamp, life: u64) -> Timestamp {
    let life = SignedDuration::from_secs(i64::try_from(life).unwrap_or(0).min(7 * 24 * 3600));
    let margin = (life / 10).min(SignedDuration::from_mins(5));
    asked_at.saturating_add(life - margin).unwrap_or(asked_at)
}

impl fmt::Debug for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rotated(..)")
    }
}

impl fmt::Debug for TokenFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFacts").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
