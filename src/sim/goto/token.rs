//! `POST /oauth/token`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::clients::goto::wire::TokenReply;
use crate::sim::form::{Form, basic};
use crate::sim::reply::{Answer, Refused, goto_token_error, ok};
use crate::sim::world::World;
use crate::sim::world::goto::{AccessToken, Grant, OauthClient};
use crate::sim::{Call, SimState};

const FIELDS: [&str; 7] = ["grant_type", "refresh_token", "pat", "code", "redirect_uri", "client_id", "client_secret"];
/// Promised life of an access token in seconds.
const ACCESS_LIFE: u64 = 3600;
/// Life of a refresh token.
const REFRESH_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Part of that life after which a refresh brings a new refresh token.
const ROTATE_AFTER: SignedDuration = SignedDuration::from_hours(18 * 24);

/// Issues an access token for one of the three grants.
pub(super) async fn issue(call: Call, headers: HeaderMap, body: Bytes) -> Answer {
    call.wrote(false);
    let form = Form::parse(&headers, &body, &FIELDS)
        .ok_or_else(|| refused("invalid_request", "the body is no form with known fields"))?;
    let mut world = call.world();
    let client_id = authenticate(&world, &headers, &form)?;
    let asked = Asked { call: &call, client_id };
    let reply = match form.get("grant_type") {
        Some("refresh_token") => asked.refresh(&mut world, form.get("refresh_token").unwrap_or_default())?,
        Some("personal_access_token") => asked.personal(&mut world, form.get("pat").unwrap_or_default())?,
        Some("authorization_code") => asked.code(&mut world, form.get("code").unwrap_or_default())?,
        _ => return Err(refused("unsupported_grant_type", "unsupported grant type")),
    };
    Ok(ok(&reply))
}

fn refused(error: &str, description: &str) -> Refused {
    goto_token_error(StatusCode::BAD_REQUEST, error, description).into()
}

/// The client, by HTTP Basic or by fields of the form.
fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Result<String, Refused> {
    let by_form = || Some((form.get("client_id")?.to_owned(), form.get("client_secret")?.to_owned()));
    let (id, secret) =
        basic(headers).or_else(by_form).ok_or_else(|| refused("invalid_client", "no client authentication"))?;
    let client = world.goto.clients.get(&id).ok_or_else(|| refused("invalid_client", "client not found"))?;
    if client.secret != secret {
        return Err(refused("invalid_client", "bad client credentials"));
    }
    Ok(id)
}

struct Asked<'a> {
    call: &'a Call,
    client_id: String,
}

impl Asked<'_> {
    fn now(&self) -> Timestamp {
        self.call.now()
    }

    fn refresh(&self, world: &mut World, text: &str) -> Result<TokenReply, Refused> {
        let grant = self.standing(world.goto.refresh_tokens.get(text), "refresh token")?;
        // A refresh that was answered but whose answer was lost brings the same new token again.
        let rotated = match grant.replaced_by.clone() {
            Some(known) => Some(known),
            None if self.wants_rotation(&grant) => Some(self.rotate(world, text, &grant)),
            None => None,
        };
        let mut reply = self.access(world, &grant);
        reply.refresh_token = rotated;
        Ok(reply)
    }

    fn wants_rotation(&self, grant: &Grant) -> bool {
        grant.rotate_next || grant.issued_at.is_some_and(|issued| self.now().duration_since(issued) >= ROTATE_AFTER)
    }

    fn rotate(&self, world: &mut World, old: &str, grant: &Grant) -> String {
        let new = format!("test-rt-{}", Uuid::new_v4());
        let expires_at = grant.expires_at.and_then(|_| self.now().checked_add(REFRESH_LIFE).ok());
        let replacement = Grant { issued_at: Some(self.now()), expires_at, rotate_next: false, ..grant.clone() };
        world.goto.refresh_tokens.insert(new.clone(), replacement);
        if let Some(old) = world.goto.refresh_tokens.get_mut(old) {
            old.replaced_by = Some(new.clone());
        }
        self.call.wrote(true);
        new
    }

    fn personal(&self, world: &mut World, text: &str) -> Result<TokenReply, Refused> {
        let client = world.goto.clients.get(&self.client_id);
        if !client.is_some_and(|client| client.personal_access_tokens_allowed) {
            return Err(refused("unauthorized_client", "the client may not use personal access tokens"));
        }
        let grant = self.standing(world.goto.personal_access_tokens.get(text), "personal access token")?;
        let mut reply = self.access(world, &grant);
        reply.token_type = Some("Bearer".to_owned());
        reply.loa = Some(2);
        Ok(reply)
    }

    /// A code is used up by its first exchange.
    fn code(&self, world: &mut World, text: &str) -> Result<TokenReply, Refused> {
        let grant = self.standing(world.goto.codes.get(text), "code")?;
        world.goto.codes.remove(text);
        let mut reply = self.access(world, &grant);
        let refresh = format!("test-rt-{}", Uuid::new_v4());
        let expires_at = self.now().checked_add(REFRESH_LIFE).ok();
        let standing = Grant { issued_at: Some(self.now()), expires_at, ..grant };
        world.goto.refresh_tokens.insert(refresh.clone(), standing);
        self.call.wrote(true);
        reply.token_type = Some("Bearer".to_owned());
        reply.refresh_token = Some(refresh);
        Ok(reply)
    }

    fn standing(&self, grant: Option<&Grant>, what: &str) -> Result<Grant, Refused> {
        grant
            .filter(|grant| grant.client_id == self.client_id && grant.usable(self.now()))
            .cloned()
            .ok_or_else(|| refused("invalid_grant", &format!("the {what} is not valid")))
    }

    /// Issues the access token; the published example of a refresh has no `token_type`.
    fn access(&self, world: &mut World, grant: &Grant) -> TokenReply {
        let text = format!("test-at-{}", Uuid::new_v4());
        let scopes = scopes(grant, world.goto.clients.get(&self.client_id));
        let token = AccessToken {
            client_id: self.client_id.clone(),
            user: grant.user.clone(),
            accounts: grant.accounts.clone(),
            scopes: scopes.clone(),
            expires_at: expiry(self.call.sim(), self.now(), ACCESS_LIFE),
        };
        world
            .goto
            .access_tokens
            .retain(|_, token| token.expires_at.saturating_add(REMEMBERED).is_ok_and(|end| end > self.now()));
        world.goto.access_tokens.insert(text.clone(), token);
        let mut users = world.goto.accounts.values().filter_map(|account| account.users.get(&grant.user));
        TokenReply {
            access_token: text,
            token_type: None,
            expires_in: ACCESS_LIFE,
            refresh_token: None,
            scope: Some(Vec::from_iter(scopes).join(" ")),
            principal: users.next().map(|user| user.email.clone()),
            loa: None,
        }
    }
}

/// How long an expired token is told apart from one that never existed.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

fn scopes(grant: &Grant, client: Option<&OauthClient>) -> BTreeSet<String> {
    client.map_or_else(BTreeSet::new, |client| grant.scopes.intersection(&client.scopes).cloned().collect())
}

/// When a token really ends: on hostile days now and then before its promised time.
pub(in crate::sim) fn expiry(sim: &SimState, now: Timestamp, promised: u64) -> Timestamp {
    let ordinal = sim.tokens_issued.fetch_add(1, Ordering::Relaxed);
    let life = i64::try_from(sim.hostile.token_life(promised, ordinal)).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_secs(life)).unwrap_or(Timestamp::MAX)
}
