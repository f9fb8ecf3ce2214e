//! The control port: plain HTTP on loopback, never hostile, no part of the journal.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::card5::{Row, card5, press};
use super::clock::{Mode, Reading, Wait};
use super::faults::Rule;
use super::journal::Filter;
use super::query::{Params, Plus};
use super::reply::{json_reply, ok};
use super::world::{Refusal, World, WorldEdit, state_hash};
use super::{SimState, humans};
use crate::domain::{AccountKey, OrganizationId};

/// All routes.
pub(super) fn router() -> Router<SimState> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/endpoints", get(endpoints))
        .route("/clock", get(read_clock).post(set_clock))
        .route("/world", get(read_world).put(put_world).patch(patch_world))
        .route("/world/edit", axum::routing::post(edit_world))
        .route("/state-hash", get(hash))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/card5", get(read_card5).post(card5_of_rows))
        .route("/card5/users", get(read_card5_users).post(card5_users_of_rows))
        .merge(humans::router())
        .layer(DefaultBodyLimit::disable())
}

/// Why the control port refuses: always said in words, with 422 for what cannot be understood.
pub(super) struct Problem {
    status: StatusCode,
    text: String,
}

impl Problem {
    fn unprocessable(text: &(impl ToString + ?Sized)) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, text: text.to_string() }
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::unprocessable(&error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::CONFLICT);
        Self { status, text: refusal.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json_reply(self.status, &json!({"error": self.text}))
    }
}

type Answer = Result<Response, Problem>;

/// A JSON body; unknown fields are refused by the types.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    Ok(serde_json::from_slice(body)?)
}

fn params(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
    // A time such as 2026-01-05T08:00:00+00:00 may come with its plus as it is: it is no space.
    Params::parse(uri, known, Plus::Literal).map_err(|error| Problem::unprocessable(&error))
}

fn time(params: &Params, name: &str) -> Result<Option<Timestamp>, Problem> {
    params
        .get(name)
        .map(|text| text.parse().map_err(|_| Problem::unprocessable(&format!("{name} is no time"))))
        .transpose()
}

async fn endpoints(State(sim): State<SimState>) -> Response {
    ok(&sim.endpoints())
}

async fn read_clock(State(sim): State<SimState>, uri: Uri) -> Answer {
    let params = params(&uri, &["known", "after"])?;
    let known = time(&params, "known")?;
    let sleeps = params.get("after") != Some("never");
    let after = if sleeps { time(&params, "after")? } else { None };
    let wait = match (known, after) {
        (None, None) => return Ok(ok(&sim.clock.read())),
        (None, Some(at)) => Wait::Until(at),
        (Some(known), None) if sleeps => Wait::Busy { known },
        (Some(known), after) => Wait::Idle { known, after },
    };
    Ok(ok(&sim.clock.poll(wait).await))
}

/// `{"mode": …, "speed": …}`, `{"advance": "90m"}` or `{"advanceTo": T}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockOrder {
    mode: Option<String>,
    speed: Option<f64>,
    advance: Option<SignedDuration>,
    advance_to: Option<Timestamp>,
}

async fn set_clock(State(sim): State<SimState>, body: Bytes) -> Answer {
    let order: ClockOrder = parse(&body)?;
    let reading = match order {
        ClockOrder { mode: Some(mode), speed, advance: None, advance_to: None } => {
            sim.clock.set_mode(mode_named(&mode, speed)?)
        }
        ClockOrder { mode: None, speed: None, advance: Some(by), advance_to: None } => {
            let target = sim.now().checked_add(by).map_err(|error| Problem::unprocessable(&error))?;
            advance(&sim, target).await
        }
        ClockOrder { mode: None, speed: None, advance: None, advance_to: Some(target) } => advance(&sim, target).await,
        _ => return Err(Problem::unprocessable("give one of: mode (with speed for Auto), advance, advanceTo")),
    };
    Ok(ok(&reading))
}

async fn advance(sim: &SimState, target: Timestamp) -> Reading {
    sim.advance_to(target).await
}

fn mode_named(name: &str, speed: Option<f64>) -> Result<Mode, Problem> {
    match (name, speed) {
        ("Explicit", None) => Ok(Mode::Explicit),
        ("Jump", None) => Ok(Mode::Jump),
        ("Auto", speed) => {
            let speed = speed.unwrap_or(1.0);
            let valid = speed.is_finite() && speed > 0.0;
            if valid { Ok(Mode::Auto { speed }) } else { Err(Problem::unprocessable("speed must be above 0")) }
        }
        _ => Err(Problem::unprocessable("mode must be Explicit, Jump, or Auto with an optional speed")),
    }
}

async fn read_world(State(sim): State<SimState>) -> Response {
    ok(&*sim.world())
}

async fn put_world(State(sim): State<SimState>, body: Bytes) -> Answer {
    let world: World = parse(&body)?;
    *sim.world() = world;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A JSON Patch (RFC 6902), at one moment: what happens in the world meanwhile is not lost, as it would be between a `GET` and a `PUT`.
async fn patch_world(State(sim): State<SimState>, body: Bytes) -> Answer {
    let patch: json_patch::Patch = parse(&body)?;
    let mut world = sim.world();
    let mut value = serde_json::to_value(&*world)?;
    json_patch::patch(&mut value, &patch).map_err(|error| Problem::unprocessable(&error))?;
    *world = serde_json::from_value(value)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// One edit or a list of them; the first that is refused ends the list. Whom an edit of many users is for is told.
async fn edit_world(State(sim): State<SimState>, body: Bytes) -> Answer {
    let edits: Vec<WorldEdit> = match parse::<Value>(&body)? {
        list @ Value::Array(_) => serde_json::from_value(list)?,
        one => vec![serde_json::from_value(one)?],
    };
    let now = sim.now();
    let mut world = sim.world();
    let mut chosen = None;
    for edit in edits {
        if let WorldEdit::Each { who, .. } = &edit {
            chosen.get_or_insert_with(Vec::new).extend(world.chosen(who)?);
        }
        world.edit(edit, now)?;
    }
    Ok(chosen.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |users| ok(&json!({"users": users}))))
}

async fn hash(State(sim): State<SimState>) -> Response {
    ok(&json!({"hash": state_hash(&sim.world())}))
}

async fn faults(State(sim): State<SimState>) -> Response {
    ok(&sim.faults.list())
}

async fn add_faults(State(sim): State<SimState>, body: Bytes) -> Answer {
    let rules: Vec<Rule> = parse(&body)?;
    sim.faults.add(rules);
    Ok(ok(&sim.faults.list()))
}

async fn clear_faults(State(sim): State<SimState>) -> StatusCode {
    sim.faults.clear();
    StatusCode::NO_CONTENT
}

async fn journal(State(sim): State<SimState>, uri: Uri) -> Answer {
    let params = params(&uri, &["api", "method", "route", "wrote", "since"])?;
    let text = |name: &str| params.get(name).map(|text| Value::String(text.to_owned()));
    let bare = |name: &'static str| params.get(name).map(serde_json::from_str::<Value>).transpose();
    let fields = [
        ("api", text("api")),
        ("method", text("method")),
        ("route", text("route")),
        ("wrote", bare("wrote")?),
        ("since", bare("since")?),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let filter: Filter = serde_json::from_value(Value::Object(given.collect::<Map<_, _>>()))?;
    Ok(ok(&sim.journal.list(&filter)))
}

async fn clear_journal(State(sim): State<SimState>) -> StatusCode {
    sim.journal.clear();
    StatusCode::NO_CONTENT
}

/// Which card; without `account` and `pbx` the first one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardOrder {
    account: Option<AccountKey>,
    pbx: Option<OrganizationId>,
    #[serde(default)]
    rows: Option<Vec<Row>>,
}

impl CardOrder {
    fn of_query(uri: &Uri) -> Result<Self, Problem> {
        let params = params(uri, &["account", "pbx"])?;
        let text = |name: &str| params.get(name).map(|text| Value::String(text.to_owned()));
        Ok(serde_json::from_value(json!({"account": text("account"), "pbx": text("pbx")}))?)
    }

    fn of_rows(body: &[u8]) -> Result<Self, Problem> {
        let order: Self = parse(body)?;
        if order.rows.is_none() { Err(Problem::unprocessable("rows are missing")) } else { Ok(order) }
    }

    /// Asks the dashboard.
    fn show<T: Serialize>(&self, sim: &SimState, ask: Ask<T>) -> Answer {
        let now = sim.now();
        let world = sim.world();
        let (first, pbx) = world.pbx_or_first(self.pbx)?;
        let account = self.account.as_ref().unwrap_or(&first);
        Ok(ok(&ask(&world, account, pbx, now, self.rows.as_deref())))
    }
}

/// A question about the card of a PBX.
type Ask<T> = fn(&World, &AccountKey, OrganizationId, Timestamp, Option<&[Row]>) -> T;

async fn read_card5(State(sim): State<SimState>, uri: Uri) -> Answer {
    CardOrder::of_query(&uri)?.show(&sim, card5)
}

async fn card5_of_rows(State(sim): State<SimState>, body: Bytes) -> Answer {
    CardOrder::of_rows(&body)?.show(&sim, card5)
}

async fn read_card5_users(State(sim): State<SimState>, uri: Uri) -> Answer {
    CardOrder::of_query(&uri)?.show(&sim, press)
}

async fn card5_users_of_rows(State(sim): State<SimState>, body: Bytes) -> Answer {
    CardOrder::of_rows(&body)?.show(&sim, press)
}
