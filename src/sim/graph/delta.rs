//! `GET /users/delta`.
//!
//! A token holds everything: from which change of the tenant to which, the bound `$select`, when it was made. So a round
//! survives a restart, and a change in the middle of a round comes in the next one.

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::odata::{comparisons, project};
use super::users::{PROPERTIES, item};
use super::{bad_query, link, odata, permission, permitted, unsupported};
use crate::clients::graph::wire::Removed;
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, graph_error, ok};
use crate::sim::world::World;
use crate::sim::world::tenant::{DeletedUser, Tenant, TenantUser};

/// The server chooses the size of a page.
const PAGE: usize = 200;
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
const OPTIONS: [&str; 9] =
    ["$select", "$filter", "$top", "$expand", "$orderby", "$search", "$skiptoken", "$deltatoken", "$deltaToken"];

/// Where a round stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token {
    /// The change after which it begins; absent: everything.
    from: Option<u64>,
    /// The last change of a round that has begun.
    to: Option<u64>,
    select: Option<Vec<String>>,
    only: Option<Vec<EntraObjectId>>,
    made_at: Timestamp,
    /// The last id of the page before.
    after: Option<EntraObjectId>,
    ordinal: u64,
    /// Whether the page before was empty: two in a row are too many.
    empty: bool,
}

/// One page of a round.
pub(super) async fn users(call: Call, headers: HeaderMap, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &OPTIONS, Plus::Space).map_err(|error| bad_query(&call, &error))?;
    if let Some(option) = ["$top", "$expand", "$orderby", "$search"].into_iter().find(|name| params.get(name).is_some())
    {
        return Err(unsupported(&call, &format!("The query option '{option}' is not supported for delta.")));
    }
    let world = call.world();
    permitted(&world, &call, &[permission::USER_READ, permission::USER_WRITE])?;
    let base = format!("{}/v1.0/users/delta", link::base(&headers));
    match begin(&call, &params, &world.tenant)? {
        Begin::Latest(token) => {
            let latest = Token { from: Some(world.tenant.visible_version(call.now())), to: None, ..token };
            Ok(ok(&json!({"value": [], "@odata.deltaLink": delta_link(&base, &latest)})))
        }
        Begin::Expired => Ok(expired(&call, &base)),
        Begin::Round(token) => Ok(page(&call, &world, token, &base)),
    }
}

enum Begin {
    /// A page of a round.
    Round(Token),
    /// No data, only the link of the next round.
    Latest(Token),
    /// The token is too old, or of another life of the tenant.
    Expired,
}

fn begin(call: &Call, params: &Params, tenant: &Tenant) -> Result<Begin, Refused> {
    let text = params.get("$skiptoken").or_else(|| params.get("$deltatoken")).or_else(|| params.get("$deltaToken"));
    let Some(text) = text.filter(|text| *text != "latest" && !text.is_empty()) else {
        let token = first(call, params)?;
        return Ok(if text == Some("latest") { Begin::Latest(token) } else { Begin::Round(token) });
    };
    let Some(token) = link::decode::<Token>(text) else { return Ok(Begin::Expired) };
    let too_old = call.now().duration_since(token.made_at) >= LIFE;
    let of_another_life = token.from.max(token.to).is_some_and(|version| version > tenant.version);
    Ok(if too_old || of_another_life { Begin::Expired } else { Begin::Round(token) })
}

fn first(call: &Call, params: &Params) -> Result<Token, Refused> {
    let select = odata::select(params.get("$select"), &PROPERTIES);
    let only = params.get("$filter").map(|text| ids(text).ok_or_else(|| unsupported(call, "Only id eq is supported.")));
    Ok(Token {
        from: None,
        to: None,
        select: select.map_err(|name| bad_query(call, &BadQuery::Unknown(name)))?,
        only: only.transpose()?,
        made_at: call.now(),
        after: None,
        ordinal: 0,
        empty: false,
    })
}

/// `id eq 'x' or id eq 'y'`, at most 50.
fn ids(filter: &str) -> Option<Vec<EntraObjectId>> {
    let all = comparisons(filter, "or").filter(|all| all.len() <= 50)?;
    all.iter().map(|one| (one.property == "id").then(|| one.literal.parse().ok()).flatten()).collect()
}

fn expired(call: &Call, base: &str) -> Response {
    let text = "The sync state generation is not found; it is too old.";
    let mut response = graph_error(StatusCode::GONE, "syncStateNotFound", text, call.now());
    if let Ok(location) = HeaderValue::from_str(&format!("{base}?$deltatoken=")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn page(call: &Call, world: &World, mut token: Token, base: &str) -> Response {
    call.page(token.ordinal);
    let now = call.now();
    let to = *token.to.get_or_insert_with(|| world.tenant.visible_version(now));
    let all = changes(&world.tenant, &token, to, now);
    let shown = call.share().of(all.len());
    let left = |(id, _): &(EntraObjectId, Change<'_>)| token.after.is_none_or(|after| *id > after);
    let rest: Vec<_> = all.into_iter().take(shown).filter(left).collect();
    let mut random = StdRng::seed_from_u64(call.roll().seed);
    let hostile = !call.sim().hostile.is_calm();
    let empty = hostile && !token.empty && random.random_bool(0.1);
    let size = if empty { 0 } else { call.page_size(PAGE) };
    let more = rest.len() > size;
    let page = &rest[..size.min(rest.len())];
    let last = page.last().map(|(id, _)| *id).or(token.after);
    let mut value: Vec<Value> = page.iter().map(|(id, change)| change.show(*id, token.select.as_deref())).collect();
    if hostile {
        disorder(&mut value, &mut random);
    }
    let body = if more || empty {
        let next = Token { to: Some(to), after: last, ordinal: token.ordinal + 1, empty, ..token };
        json!({"value": value, "@odata.nextLink": format!("{base}?$skiptoken={}", link::encode(&next))})
    } else {
        let next = Token { from: Some(to), to: None, after: None, ordinal: 0, empty: false, made_at: now, ..token };
        json!({"value": value, "@odata.deltaLink": delta_link(base, &next)})
    };
    ok(&body)
}

fn delta_link(base: &str, token: &Token) -> String {
    format!("{base}?$deltatoken={}", link::encode(token))
}

/// The link that ends a round here, from the link to its next page: what was not told yet is never told.
pub(in crate::sim) fn ended(next: &str) -> Option<String> {
    let (base, token) = next.split_once("?$skiptoken=")?;
    let token: Token = link::decode(token)?;
    let ended = Token { from: token.to, to: None, after: None, ordinal: 0, empty: false, ..token };
    Some(delta_link(base, &ended))
}

/// Any order, and some items twice.
fn disorder(value: &mut Vec<Value>, random: &mut StdRng) {
    let twice: Vec<Value> = value.iter().filter(|_| random.random_bool(0.05)).cloned().collect();
    value.extend(twice);
    value.shuffle(random);
}

/// What a round tells of one user.
enum Change<'a> {
    /// The user as it is now.
    User(&'a TenantUser),
    /// The mark that it is gone.
    Gone(&'a DeletedUser),
}

impl Change<'_> {
    fn show(&self, id: EntraObjectId, select: Option<&[String]>) -> Value {
        match self {
            Self::User(user) => project(item(id, user), select),
            Self::Gone(user) => {
                let reason = if user.permanent { "deleted" } else { "changed" }.to_owned();
                json!({"id": id, "@removed": Removed { reason }})
            }
        }
    }
}

/// Everything that a round tells, by id.
fn changes<'a>(tenant: &'a Tenant, token: &Token, to: u64, now: Timestamp) -> Vec<(EntraObjectId, Change<'a>)> {
    let wanted = |id: &EntraObjectId| token.only.as_ref().is_none_or(|only| only.contains(id));
    let within = |version: u64| token.from.is_none_or(|from| version > from && version <= to);
    let users = tenant.users_at(now).filter(|(id, user)| wanted(id) && within(user.version));
    let gone = tenant.deleted.iter().filter(|(id, user)| token.from.is_some() && wanted(id) && within(user.version));
    let users = users.map(|(id, user)| (*id, Change::User(user)));
    let mut all: Vec<_> = users.chain(gone.map(|(id, user)| (*id, Change::Gone(user)))).collect();
    all.sort_by_key(|(id, _)| *id);
    all
}
