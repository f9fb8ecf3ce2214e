//! What is read wrongly changes nobody's state: faults on every source, seen through every version of every object.
//!
//! Time stands unless a test moves it, so a test says which reading is hit. Which kinds the less important sources get
//! depends on the seed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects;

use crate::stage::{ACCOUNT, POLICY, Stage, Watch};

/// A source as the account's status names it, and a call that it is read by.
#[derive(Clone, Copy)]
struct Source {
    name: &'static str,
    api: &'static str,
    route: &'static str,
    /// A listing, perhaps one that names its total; else a single answer.
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Counted,
    Uncounted,
    Single,
}

const fn source(name: &'static str, api: &'static str, route: &'static str, form: Form) -> Source {
    Source { name, api, route, form }
}

use Form::{Counted, Single, Uncounted};

const GOTO_USERS: Source = source("gotoUsers", "goto-admin", "/admin/rest/v1/accounts/{accountKey}/users", Counted);
const LINES: Source = source("lines", "goto-api", "/users/v1/users", Uncounted);
const EXTENSIONS: Source = source("extensions", "goto-api", "/voice-admin/v1/extensions", Uncounted);
const NUMBERS: Source = source("telephoneNumbers", "goto-api", "/voice-admin/v1/phone-numbers", Uncounted);
const TEAMS_USERS: Source = source("teamsUsers", "graph", "/v1.0/users/delta", Uncounted);
const ASSIGNMENTS: Source =
    source("numberAssignments", "graph", "/v1.0/admin/teams/telephoneNumberManagement/numberAssignments", Uncounted);
const VOICE: Source = source("voice", "graph", "/v1.0/admin/teams/userConfigurations", Uncounted);
const ENTITLEMENT: Source =
    source("entitlements", "connector", "/accounts/{accountKey}/pbxs/{organizationId}/entitlement", Single);
const CANDIDATES: Source =
    source("candidates", "connector", "/accounts/{accountKey}/pbxs/{organizationId}/candidates", Counted);
const PAIRS: Source =
    source("connectorUsers", "connector", "/accounts/{accountKey}/pbxs/{organizationId}/users", Counted);

/// What users are judged by, beside the listings that absence is concluded from.
const OF_GOTO: [Source; 2] = [EXTENSIONS, NUMBERS];
const OF_THE_OTHERS: [Source; 4] = [ASSIGNMENTS, VOICE, ENTITLEMENT, CANDIDATES];

/// What the account is judged by; policies hold nothing of it.
const OF_THE_ACCOUNT: [Source; 12] = [
    source("gotoAccess", "goto-admin", "/admin/rest/v1/me", Single),
    source("permissions", "graph", "/v1.0/servicePrincipals/{id}/appRoleAssignments", Uncounted),
    source("permissions", "graph", "/v1.0/servicePrincipals(appId='{appId}')", Single),
    source("seats", "graph", "/v1.0/subscribedSkus", Uncounted),
    source("accountRecord", "connector", "/accounts/{accountKey}", Single),
    source("consents", "connector", "/accounts/{accountKey}/consents", Counted),
    source("domains", "connector", "/accounts/{accountKey}/domains", Counted),
    source("importsAndPushes", "connector", "/accounts/{accountKey}/sync-state", Single),
    source("importsAndPushes", "connector", "/accounts/{accountKey}/syncs", Counted),
    source("pushAuthorization", "connector", "/accounts/{accountKey}/push-authorization", Single),
    source("services", "connector", "/accounts/{accountKey}/pbxs/{organizationId}/services/teams", Single),
    source("verifications", "connector", "/accounts/{accountKey}/pbxs/{organizationId}/verifications/latest", Single),
];

/// One fault.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A page lost: half of the items, no next page, status 200.
    Truncated,
    /// An empty list, a total of 0, status 200: nothing in it tells that it is a lie.
    Empty,
    /// A total that does not add up.
    LyingTotal,
    Status(u16, Option<u64>),
    Html(u16),
    MalformedJson,
    ResetMidBody,
    ResetBefore,
}

const LOUD: [Kind; 9] = [
    Kind::Status(429, None),
    Kind::Status(429, Some(90)),
    Kind::Status(500, None),
    Kind::Status(503, None),
    Kind::Html(200),
    Kind::Html(502),
    Kind::MalformedJson,
    Kind::ResetMidBody,
    Kind::ResetBefore,
];

impl Kind {
    /// Every kind that makes sense for a source.
    fn of(source: Source) -> Vec<Self> {
        let mut kinds = LOUD.to_vec();
        if source.form != Single {
            kinds.extend([Self::Truncated, Self::Empty, Self::Status(404, None)]);
        }
        if source.form == Counted {
            kinds.push(Self::LyingTotal);
        }
        kinds
    }

    fn effect(self) -> Value {
        match self {
            Self::Truncated => json!("truncatedPage"),
            Self::Empty => json!("emptyPage"),
            Self::LyingTotal => json!("lyingTotal"),
            Self::Status(code, None) => json!({"status": {"code": code}}),
            Self::Status(code, Some(after)) => json!({"status": {"code": code, "retryAfter": after}}),
            Self::Html(status) => json!({"html": {"status": status}}),
            Self::MalformedJson => json!("malformedJson"),
            Self::ResetMidBody => json!("resetMidBody"),
            Self::ResetBefore => json!("resetBeforeCommit"),
        }
    }

    /// Nothing in the answer tells that it is wrong, so only one reading is hit: two that agree are believed.
    fn is_a_lie(self) -> bool {
        matches!(self, Self::Truncated | Self::Empty)
    }

    /// No call of the same API is sent for longer than a reading waits, so such a fault is alone.
    fn closes(self) -> bool {
        matches!(self, Self::Status(_, Some(_)))
    }

    /// Other sources of the same API may suffer too: the gate closes, or a shared connection breaks.
    fn spreads(self) -> bool {
        matches!(self, Self::Status(429, _) | Self::ResetMidBody | Self::ResetBefore)
    }
}

#[derive(Clone, Copy)]
struct Fault {
    source: Source,
    kind: Kind,
}

impl Fault {
    fn rule(self) -> Value {
        let times = self.kind.is_a_lie().then_some(1);
        let matches = json!({"api": self.source.api, "method": "GET", "route": self.source.route});
        json!({"match": matches, "times": times, "then": self.kind.effect()})
    }

    fn name(self) -> String {
        format!("{} on {} {}", self.kind.effect(), self.source.name, self.source.route)
    }
}

/// Faults one after the other on an environment at rest.
struct Siege<'a> {
    stage: &'a Stage,
    watch: Watch,
    from: u64,
}

impl<'a> Siege<'a> {
    async fn begin(stage: &'a Stage) -> Self {
        let watch = stage.watch(stage.picture().await);
        Self { stage, watch, from: stage.control().last_sequence().await.unwrap() }
    }

    /// One reading with these faults; each is seen where it can be, and nothing else is.
    async fn endure(&self, faults: &[Fault]) {
        let doing = faults.iter().map(|fault| fault.name()).collect::<Vec<_>>().join("; ");
        self.watch.during(&doing);
        self.stage.control().clear_faults().await.unwrap();
        self.stage.control().add_faults(&faults.iter().map(|fault| fault.rule()).collect::<Vec<_>>()).await.unwrap();
        let seen = async || {
            let causes = causes(self.stage).await;
            let hit = self.hits().await;
            let told = |fault: &&Fault| fault.kind.is_a_lie() || causes[fault.source.name].is_some();
            faults.iter().filter(told).count() == faults.len() && hit.iter().all(|hits| *hits > 0)
        };
        self.stage.advance_until(&doing, "20s", 30, seen).await;
        let expected = |name: &str| faults.iter().any(|fault| fault.source.name == name);
        let spreads = faults.iter().any(|fault| fault.kind.spreads());
        for (name, cause) in causes(self.stage).await {
            assert!(cause.is_none() || expected(&name) || spreads, "{doing}: {name} was not read either: {cause:?}");
        }
        self.unchanged(&doing);
    }

    /// The faults end, and a reading is complete again.
    async fn heal(&self) {
        self.stage.control().clear_faults().await.unwrap();
        self.watch.during("the faults have ended");
        self.stage.rest().await;
        self.unchanged("the faults have ended");
    }

    fn unchanged(&self, doing: &str) {
        assert_eq!(self.watch.differences(), Vec::<String>::new(), "{doing}");
    }

    async fn hits(&self) -> Vec<u64> {
        let rules = self.stage.control().get("/faults").await.unwrap();
        rules.as_array().unwrap().iter().map(|rule| rule["fired"].as_u64().unwrap()).collect()
    }

    /// Nobody changed anything anywhere.
    async fn end(self) {
        self.heal().await;
        assert_eq!(self.watch.end().await, Vec::<String>::new());
        assert_eq!(self.stage.control().writes_since(self.from).await.unwrap(), Vec::<Value>::new());
    }
}

/// Why each source of the newest reading is incomplete.
async fn causes(stage: &Stage) -> BTreeMap<String, Option<String>> {
    let account = stage.get("tca", ACCOUNT).await;
    let sources = account["status"]["sources"].as_array().unwrap().iter();
    sources.map(|it| (it["name"].as_str().unwrap().to_owned(), it["cause"].as_str().map(str::to_owned))).collect()
}

/// Which faults come together: all kinds on each listing that absence is concluded from, some kinds on the other sources that
/// users are judged by, and beside them, two at a time, every kind on what the account is judged by.
fn phases(seed: u64, listings: &[Source], others: &[Source], account: &[Source]) -> Vec<Vec<Fault>> {
    let turned = |kinds: Vec<Kind>, by: usize| {
        let length = kinds.len();
        kinds.into_iter().cycle().skip(by % length).take(length).collect::<Vec<_>>()
    };
    let start = usize::try_from(seed).unwrap();
    let mut main: Vec<Fault> = Vec::new();
    for &source in listings {
        main.extend(Kind::of(source).into_iter().map(|kind| Fault { source, kind }));
    }
    for (at, &source) in others.iter().enumerate() {
        let mut kinds = turned(LOUD.to_vec(), start + 4 * at);
        kinds.truncate(2);
        let lies = [Kind::Truncated, Kind::Empty].into_iter().filter(|_| source.form != Single);
        main.extend(kinds.into_iter().chain(lies).map(|kind| Fault { source, kind }));
    }
    let depth = account.iter().map(|source| Kind::of(*source).len()).max().unwrap();
    let beside = (0..depth).flat_map(|at| {
        account.iter().enumerate().filter_map(move |(number, &source)| {
            let kind = turned(Kind::of(source), start + number).get(at).copied()?;
            (!kind.closes()).then_some(Fault { source, kind })
        })
    });
    let mut beside: Vec<Fault> = beside.collect();
    let mut phases = Vec::new();
    for fault in main {
        let mut phase = vec![fault];
        while phase.len() < 3 && !fault.kind.closes() {
            let new = |other: &Fault| phase.iter().all(|fault| fault.source.name != other.source.name);
            let Some(at) = beside.iter().position(new) else { break };
            phase.push(beside.remove(at));
        }
        phases.push(phase);
    }
    phases
}

async fn besiege(name: &str, listings: &[Source], others: &[Source], account: &[Source]) {
    let stage = Stage::prepare(name).await;
    stage.connect("2m").await;
    let siege = Siege::begin(&stage).await;
    let phases = phases(stage.environment.simulator().seed(), listings, others, account);
    for (number, phase) in phases.iter().enumerate() {
        siege.endure(phase).await;
        if phase.iter().any(|fault| fault.kind.closes()) || number % 3 == 2 {
            siege.heal().await;
        }
    }
    siege.end().await;
}

/// R4, T30, T31, T32: faults on what GoTo tells: nobody changes state, nothing is written outside, only `SourcesComplete`
/// changes, and it heals.
#[tokio::test(flavor = "multi_thread")]
async fn what_goto_tells_wrongly_changes_nobody() {
    besiege("faults-goto", &[GOTO_USERS, LINES], &OF_GOTO, &OF_THE_ACCOUNT[..6]).await;
}

/// R4, T30, T31, T32: the same for Microsoft and the connector.
#[tokio::test(flavor = "multi_thread")]
async fn what_microsoft_and_the_connector_tell_wrongly_changes_nobody() {
    besiege("faults-others", &[TEAMS_USERS, PAIRS], &OF_THE_OTHERS, &OF_THE_ACCOUNT[6..]).await;
}
