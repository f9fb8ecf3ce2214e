//! What is read wrongly changes nobody's state: faults on every source, seen through every version of every object.
//!
//! Time stands unless a test moves it, so a test says which reading is hit. Which kinds the less important sources get
//! depends on the seed.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teams_connector_operator::devenv::objects;

use crate::stage::{ACCOUNT, POLICY, Stage, Watch};

/// So long after a complete reading there is time for one more with faults, and for a whole one behind it that a vendor's bad moment
/// delays, before Ready follows, by readings every two minutes.
const ENDURED: SignedDuration = SignedDuration::from_mins(1);

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
        if !faults.iter().any(|fault| fault.kind.spreads()) {
            // The vendors have bad moments of their own: one other source may have had one. Waiting for a better moment would
            // be a second reading with the same faults.
            let causes = causes(self.stage).await;
            let others: Vec<_> = causes.iter().filter(|(name, cause)| cause.is_some() && !expected(name)).collect();
            assert!(others.len() <= 1, "{doing}: not read either: {others:?}");
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

    /// The same with a reading that began after that; when it was complete.
    async fn read_whole(&self) -> Timestamp {
        self.stage.control().clear_faults().await.unwrap();
        self.watch.during("the faults have ended");
        let before = self.stage.full_readings().await;
        let read = async || self.stage.full_readings().await > before;
        self.stage.advance_until("a reading without faults", "20s", 30, read).await;
        self.heal().await;
        now(self.stage).await
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

async fn now(stage: &Stage) -> Timestamp {
    stage.control().clock().await.unwrap()["now"].as_str().unwrap().parse().unwrap()
}

async fn besiege(name: &str, listings: &[Source], others: &[Source], account: &[Source]) {
    let stage = Stage::prepare(name).await;
    stage.connect("2m").await;
    let siege = Siege::begin(&stage).await;
    let phases = phases(stage.environment.simulator().seed(), listings, others, account);
    let mut complete = siege.read_whole().await;
    for phase in phases {
        // However long a phase takes: Ready follows the age of what was read.
        if now(&stage).await.duration_since(complete) > ENDURED {
            complete = siege.read_whole().await;
        }
        siege.endure(&phase).await;
        if phase.iter().any(|fault| fault.kind.closes()) {
            complete = siege.read_whole().await;
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

/// The rules of a fault that lasts.
fn lasting(source: Source, kind: Kind) -> Value {
    let matches = json!({"api": source.api, "method": "GET", "route": source.route});
    json!([{"match": matches, "then": kind.effect()}])
}

/// So many further readings of everything.
async fn read_again(stage: &Stage, readings: u64) {
    let goal = stage.full_readings().await + readings;
    stage.advance_until("further readings", "30s", 60, async || stage.full_readings().await >= goal).await;
    // The last of them may still wait for a vendor's patience.
    stage.advance("60s").await;
}

/// Condition contract: Ready follows an outage once the newest complete reading is older than three intervals, not before.
/// Users stay as they are all the time.
async fn an_outage_unreadies_after_three_intervals_and_moves_nobody(stage: &Stage) {
    let before = stage.picture().await;
    let tolerated = now(stage).await;
    let watch = stage.watch(before.clone());
    stage.control().add_faults(&lasting(TEAMS_USERS, Kind::Status(503, None))).await.unwrap();
    let unready = async || {
        let (account, policy) = (stage.get("tca", ACCOUNT).await, stage.get("usp", POLICY).await);
        [account, policy].iter().all(|object| objects::reason(object, "Ready") == Some("MicrosoftUnreachable"))
    };
    stage.advance_until("Ready follows", "20s", 60, unready).await;
    let earliest = tolerated.checked_add(SignedDuration::from_mins(4)).unwrap();
    let differences = watch.end().await;
    for difference in differences {
        assert!(difference.starts_with(": tca/") || difference.starts_with(": usp/"), "{difference}");
    }
    for object in [stage.get("tca", ACCOUNT).await, stage.get("usp", POLICY).await] {
        let ready = object["status"]["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Ready").unwrap();
        let since: Timestamp = ready["lastTransitionTime"].as_str().unwrap().parse().unwrap();
        assert!(since > earliest, "{since}: the newest complete reading is younger than three intervals");
    }
    stage.control().clear_faults().await.unwrap();
    stage.rest().await;
}

/// R4, R5, T31: even two readings that agree on an empty list take nothing away: nobody loses the mark or the pin, nothing is
/// written outside, and all stand as before once the lie ends.
async fn a_lie_that_is_repeated_takes_nothing_away(stage: &Stage, source: Source) {
    let before = stage.standing().await;
    let watch = stage.watch(stage.picture().await);
    stage.control().add_faults(&lasting(source, Kind::Empty)).await.unwrap();
    read_again(stage, 3).await;
    let during = stage.standing().await;
    for (name, _) in before.iter().filter(|(_, (state, _))| state == "Connected") {
        let (shown, reason) = during[name].clone();
        let reported = matches!((&*shown, &*reason), ("Retained", "InGracePeriod") | ("Blocked", "Disconnected"));
        assert!(reported, "{name}: {shown} {reason}");
    }
    let connected =
        |line: &&String| before.iter().any(|(name, (state, _))| state == "Connected" && line.contains(name));
    for line in watch.end().await.iter().filter(connected) {
        let kept = !line.contains("is gone") && !line.contains(".spec.managed") && !line.contains(".spec.teamsUserId");
        assert!(kept, "{line}");
    }
    stage.control().clear_faults().await.unwrap();
    stage.advance_until("all stand as before", "30s", 30, async || stage.standing().await == before).await;
    stage.rest().await;
}

/// T27, P11: a vendor who wants ten hours of patience is left alone but for a probe after one, and Ready stays.
async fn a_long_retry_after_is_kept(stage: &Stage) {
    let siege = Siege::begin(stage).await;
    let rule = json!([{"match": {"api": "goto-admin"}, "times": 1, "then": Kind::Status(429, Some(36_000)).effect()}]);
    stage.control().add_faults(&rule).await.unwrap();
    stage.advance_until("the gate is closed", "60s", 60, async || siege.hits().await[0] > 0).await;
    stage.advance("2h").await;
    stage.rest().await;
    siege.unchanged("ten hours of patience");
    let journal = stage.control().journal(&format!("api=goto-admin&since={}", siege.from)).await.unwrap();
    let calls: Vec<(Timestamp, u64)> = journal["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["at"].as_str().unwrap().parse().unwrap(), call["status"].as_u64().unwrap()))
        .collect();
    let closed = calls.iter().position(|(_, status)| *status == 429).unwrap();
    let pause = calls[closed + 1].0.duration_since(calls[closed].0);
    assert!(pause.as_mins() >= 60, "the next call came after {pause:#}");
    siege.end().await;
}

/// R4, R5, T34: a process that starts lists the tenant anew; a page lost there without a sign is no second opinion.
async fn a_first_round_that_loses_users_is_made_again(stage: &Stage) {
    let siege = Siege::begin(stage).await;
    stage.environment.operator().kill().await.unwrap();
    let rule = Fault { source: TEAMS_USERS, kind: Kind::Empty };
    stage.control().add_faults(&[rule.rule()]).await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    read_again(stage, 2).await;
    assert_eq!(siege.hits().await, [1]);
    siege.unchanged("the first round after a start");
    siege.end().await;
}

/// Faults that last, on one environment at rest.
#[tokio::test(flavor = "multi_thread")]
async fn faults_that_last_take_nothing_away() {
    let stage = Stage::prepare("faults-lasting").await;
    stage.connect("2m").await;
    let from = stage.control().last_sequence().await.unwrap();
    an_outage_unreadies_after_three_intervals_and_moves_nobody(&stage).await;
    a_lie_that_is_repeated_takes_nothing_away(&stage, GOTO_USERS).await;
    a_lie_that_is_repeated_takes_nothing_away(&stage, PAIRS).await;
    a_first_round_that_loses_users_is_made_again(&stage).await;
    stage.read_every("45m").await;
    a_long_retry_after_is_kept(&stage).await;
    assert_eq!(stage.control().writes_since(from).await.unwrap(), Vec::<Value>::new());
}

/// The sources that no first write depends on, then all that it does, beginning anywhere.
fn one_after_the_other(seed: u64) -> (Vec<Source>, Vec<Source>) {
    let listings = [GOTO_USERS, LINES, TEAMS_USERS, PAIRS];
    let all = [&listings[..], &OF_GOTO, &OF_THE_OTHERS, &OF_THE_ACCOUNT].concat();
    let (idle, mut needed): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|source| matches!(source.name, "seats" | "pushAuthorization"));
    let turn = usize::try_from(seed).unwrap() % needed.len();
    needed.rotate_left(turn);
    (idle, needed)
}

fn rules(seed: u64, sources: &[Source]) -> Vec<Value> {
    let kinds = [Kind::Status(503, None), Kind::MalformedJson, Kind::Html(200), Kind::ResetMidBody];
    let start = usize::try_from(seed).unwrap();
    let fault = |(at, source): (usize, &Source)| Fault { source: *source, kind: kinds[(start + at) % kinds.len()] };
    sources.iter().enumerate().map(fault).map(Fault::rule).collect()
}

/// Nothing is written outside while one source is missing; whichever it is.
async fn nothing_is_begun_before_everything_is_read(stage: &Stage) {
    let seed = stage.environment.simulator().seed();
    let (idle, needed) = one_after_the_other(seed);
    let mut missing = [idle, needed].concat();
    stage.control().add_faults(&rules(seed, &missing)).await.unwrap();
    stage.start("2m").await;
    while !missing.is_empty() {
        stage.control().clear_faults().await.unwrap();
        stage.control().add_faults(&rules(seed, &missing)).await.unwrap();
        read_again(stage, 1).await;
        assert_eq!(stage.control().writes_since(0).await.unwrap(), Vec::<Value>::new(), "{}", missing[0].route);
        let still: Vec<_> = causes(stage).await.into_iter().filter(|(_, cause)| cause.is_some()).collect();
        assert!(!still.is_empty(), "{} was read", missing[0].route);
        // Four at a time, then one by one.
        missing.drain(..if missing.len() > 8 { 4 } else { 1 });
    }
    stage.control().clear_faults().await.unwrap();
}

async fn sign_in_is_awaited(stage: &Stage) {
    stage
        .advance_until("the sign-in is awaited", "15s", 60, async || {
            let account = stage.get("tca", ACCOUNT).await;
            objects::reason(&account, "ActionRequired") == Some("AwaitingPushSignIn")
                && account["status"]["pendingActions"][0]["link"].is_string()
        })
        .await;
}

/// While everybody waits for the sign-in the users stay where they are, whatever is read.
async fn faults_while_the_push_is_awaited(stage: &Stage) {
    let watch = stage.watch(stage.picture().await);
    for (source, kind) in [
        (PAIRS, Kind::Truncated),
        (PAIRS, Kind::Empty),
        (VOICE, Kind::Truncated),
        (TEAMS_USERS, Kind::ResetMidBody),
        (GOTO_USERS, Kind::LyingTotal),
        (LINES, Kind::Empty),
    ] {
        let fault = Fault { source, kind };
        watch.during(&fault.name());
        stage.control().add_faults(&[fault.rule()]).await.unwrap();
        read_again(stage, 1).await;
        stage.control().clear_faults().await.unwrap();
    }
    read_again(stage, 1).await;
    let users = watch.end().await.into_iter().filter(|line| line.contains("tcu/") || line.contains("usrun/"));
    assert_eq!(users.collect::<Vec<_>>(), Vec::<String>::new());
}

/// Faults in the middle of the push and of the read-back.
async fn faults_while_the_push_is_read_back(stage: &Stage) {
    let sync_state = OF_THE_ACCOUNT[7];
    for (source, kind) in [
        (sync_state, Kind::Html(200)),
        (PAIRS, Kind::MalformedJson),
        (VOICE, Kind::Empty),
        (ASSIGNMENTS, Kind::Status(429, None)),
        (PAIRS, Kind::LyingTotal),
    ] {
        stage.control().add_faults(&lasting(source, kind)).await.unwrap();
        stage.advance("20s").await;
        stage.control().clear_faults().await.unwrap();
    }
}

/// R4, T30: faults from the first call on and in the middle of the first run: nothing is begun on half a reading, nothing is
/// done twice, and nobody goes back.
#[tokio::test(flavor = "multi_thread")]
async fn faults_during_the_first_run_delay_it_and_repeat_nothing() {
    let stage = Stage::prepare("faults-first").await;
    let watch = stage.watch(stage.picture().await);
    nothing_is_begun_before_everything_is_read(&stage).await;
    sign_in_is_awaited(&stage).await;
    faults_while_the_push_is_awaited(&stage).await;
    stage.sign_in().await;
    faults_while_the_push_is_read_back(&stage).await;
    stage.finish(2).await;
    stage.rest().await;
    assert_eq!(stage.environment.list("usrun").await.unwrap().len(), 1);
    let counters = stage.control().journal("wrote=true").await.unwrap()["counters"].clone();
    assert_eq!(counters["connector POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch"], 1, "{counters}");
    assert_eq!(counters["connector POST /accounts/{accountKey}/syncs"], 2, "one import and one push: {counters}");
    for (user, states) in watch.states() {
        let forward = [&["Connected"][..], &["Pending", "Connected"], &["Blocked"], &["Waiting"]];
        assert!(
            forward.contains(&states.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
            "{user}: {states:?}"
        );
    }
    watch.end().await;
}

/// R4, T30: a page lost in the middle of a listing, an error on a later page: on a tenant whose listings have several pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_a_later_page_changes_nobody() {
    let stage = Stage::prepare_with("faults-pages", |setup| {
        setup.simulator.retain(|flag| flag != "--demo");
        setup.simulator.extend(["--users", "260", "--licenses", "3"].map(str::to_owned));
    })
    .await;
    stage.start("2m").await;
    stage.finish(3).await;
    stage.rest().await;
    let siege = Siege::begin(&stage).await;
    let later = |source: Source, marker: &str, kind: Kind| {
        let matches = json!({"api": source.api, "route": source.route, "query": marker});
        (source, json!([{"match": matches, "then": kind.effect()}]))
    };
    for (source, rule) in [
        later(LINES, "pageMarker", Kind::Truncated),
        later(LINES, "pageMarker", Kind::Empty),
        later(LINES, "pageMarker", Kind::Status(503, None)),
        later(CANDIDATES, "pageMarker", Kind::Truncated),
        later(CANDIDATES, "pageMarker", Kind::LyingTotal),
        later(EXTENSIONS, "pageMarker", Kind::Truncated),
        later(NUMBERS, "pageMarker", Kind::Html(502)),
        later(VOICE, "$skip", Kind::ResetMidBody),
    ] {
        siege.watch.during(&rule.to_string());
        stage.control().add_faults(&rule).await.unwrap();
        let seen = async || causes(&stage).await[source.name].is_some();
        stage.advance_until(&rule.to_string(), "20s", 30, seen).await;
        siege.unchanged(&rule.to_string());
        siege.heal().await;
    }
    siege.end().await;
}
