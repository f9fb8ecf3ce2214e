//! Every listing that a removal is concluded from, and each way in which it can fall short.

use super::*;

/// A listing: where it is, and how its pages lead on.
struct Listing {
    api: Api,
    route: &'static str,
    path: String,
    counted: bool,
}

fn listings() -> Vec<Listing> {
    let listing = |api, route, path: String, counted| Listing { api, route, path, counted };
    let (account, pbx) = (test::ACCOUNT_KEY, test::ORGANIZATION_ID);
    let voice = |name: &str| format!("/voice-admin/v1/{name}?accountKey={account}&pageSize=100");
    let connector = |name: &str| format!("/accounts/{account}/pbxs/{pbx}/{name}?pageSize=100");
    let admin = "/admin/rest/v1/accounts/{accountKey}/users";
    let users = format!("/admin/rest/v1/accounts/{account}/users?pageSize=100");
    let lines = format!("/users/v1/users?accountKey={account}");
    vec![
        listing(Api::GotoAdmin, admin, users, true),
        listing(Api::GotoApi, "/users/v1/users", lines, false),
        listing(Api::GotoApi, "/voice-admin/v1/extensions", voice("extensions"), false),
        listing(Api::GotoApi, "/voice-admin/v1/phone-numbers", voice("phone-numbers"), false),
        listing(Api::Graph, "/v1.0/users/delta", "/v1.0/users/delta".to_owned(), false),
        listing(Api::Graph, "/v1.0/users", "/v1.0/users?$top=100".to_owned(), false),
        listing(Api::Connector, CANDIDATES, connector("candidates"), true),
        listing(Api::Connector, CONNECTED, connector("users"), true),
    ]
}

const CANDIDATES: &str = "/accounts/{accountKey}/pbxs/{organizationId}/candidates";
const CONNECTED: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users";

struct Reader {
    bench: Bench,
    goto: String,
    graph: String,
}

impl Reader {
    /// 450 people of whom every listing shows at least 404: the tenant knows 90 percent of them, and those are connected.
    async fn new() -> Self {
        let mut world = generated(450);
        let known: Vec<_> = world.tenant.users.values().map(|user| user.user_principal_name.clone()).collect();
        let all = serde_json::from_value(json!({"edit": "each", "who": {"users": known}, "change": "addPair"}));
        world.edit(all.unwrap(), test::START).unwrap();
        let bench = Bench::start(SimConfig { world, requests_per_second: None, ..config() }).await;
        let (goto, graph) = (bench.goto_token().await, bench.graph_token().await);
        Self { bench, goto, graph }
    }

    fn token(&self, api: Api) -> &str {
        match api {
            Api::Graph => &self.graph,
            Api::Connector => test::CONNECTOR_TOKEN,
            _ => &self.goto,
        }
    }

    async fn status(&self, listing: &Listing) -> (u16, Value) {
        self.bench.json(listing.api, &listing.path, self.token(listing.api)).await
    }

    /// The number of items of all pages, and the totals that the pages tell.
    async fn whole(&self, listing: &Listing) -> (usize, Vec<u64>) {
        let (mut count, mut totals, mut path) = (0, Vec::new(), Some(listing.path.clone()));
        let base = self.bench.sim.endpoints().of(listing.api).to_owned();
        while let Some(at) = path.take() {
            let body = self.bench.ok(listing.api, &at, self.token(listing.api)).await;
            let items = ["items", "results", "value"].into_iter().find_map(|name| body[name].as_array()).unwrap();
            count += items.len();
            totals.extend(body["total"].as_u64());
            path = match (body["nextPageMarker"].as_str(), body["@odata.nextLink"].as_str()) {
                (Some(marker), _) => Some(format!("{}&pageMarker={marker}", listing.path)),
                (_, Some(link)) => Some(link.strip_prefix(base.as_str()).unwrap().to_owned()),
                _ => {
                    let more = listing.api == Api::GotoAdmin && !items.is_empty();
                    more.then(|| format!("{}&offset={count}", listing.path))
                }
            };
            if listing.route == "/v1.0/users/delta" && path.is_none() {
                assert!(body["@odata.deltaLink"].is_string(), "a round ends with its link");
            }
        }
        (count, totals)
    }

    /// The same while the fault lasts.
    async fn faulty(&self, listing: &Listing, then: Value) -> (usize, Vec<u64>) {
        self.bench.fault(json!({"match": {"api": listing.api, "route": listing.route}, "then": then}));
        let read = self.whole(listing).await;
        self.bench.sim.state().faults.clear();
        read
    }
}

fn all_are(totals: &[u64], expected: usize, listing: &Listing) {
    let expected = u64::try_from(expected).unwrap();
    assert_eq!(!totals.is_empty(), listing.counted, "{}", listing.route);
    assert!(totals.iter().all(|total| *total == expected), "{} {totals:?}", listing.route);
}

/// T30, T31, R4: empty with 200, 90 % shorter, stopped after a page, a total that lies; each for every listing, and whole after.
#[tokio::test]
async fn every_listing_falls_short_in_each_way() {
    let reader = Reader::new().await;
    for listing in &listings() {
        let (length, totals) = reader.whole(listing).await;
        assert!(length > 400, "{} {length}", listing.route);
        all_are(&totals, length, listing);
        for (percent, expected) in [(10, length / 10), (0, 0)] {
            let (count, totals) = reader.faulty(listing, json!({"shorterList": {"percent": percent}})).await;
            assert_eq!(count, expected, "{} {percent}", listing.route);
            all_are(&totals, expected, listing);
        }
        let (count, totals) = reader.faulty(listing, json!({"stopsAfterPage": {"page": 2}})).await;
        assert!(count == 200 || count == 400, "{} {count}", listing.route);
        all_are(&totals, length, listing);
        let (count, totals) = reader.faulty(listing, json!({"totalOff": {"by": -3}})).await;
        assert_eq!(count, length, "{}", listing.route);
        all_are(&totals, length - 3, listing);
        assert_eq!(reader.whole(listing).await.0, length);
    }
}

/// R5: a withdrawn permission may look like absence; the script says it for any listing, in the dialect of its API.
#[tokio::test]
async fn every_listing_answers_404_when_the_script_says_so() {
    let reader = Reader::new().await;
    reader.bench.fault(json!({"then": {"status": {"code": 404}}}));
    for listing in &listings() {
        let (status, body) = reader.status(listing).await;
        let code = if listing.api == Api::Graph { &body["error"]["code"] } else { &body["errorCode"] };
        assert!(status == 404 && code.is_string(), "{} {body}", listing.route);
    }
}

/// R5, T29: the same by its cause: an account out of reach is 404 at GoTo, a missing scope 403 or 401, a missing permission 403.
#[tokio::test]
async fn a_withdrawn_permission_is_seen_by_every_listing_and_given_back() {
    let reader = Reader::new().await;
    let statuses = async || {
        let mut all = Vec::new();
        for listing in &listings() {
            all.push(reader.status(listing).await.0);
        }
        all
    };
    let edits = |edits: [Value; 4]| edits.into_iter().for_each(|edit| reader.bench.edit(edit));
    reader.bench.edit(json!({"edit": "setGotoAccountAccess", "granted": false}));
    reader.bench.edit(json!({"edit": "removeAppPermission", "permission": "User.Read.All"}));
    reader.bench.edit(json!({"edit": "removeAppPermission", "permission": "User.ReadWrite.All"}));
    reader.bench.edit(json!({"edit": "setConnectorTokens", "tokens": []}));
    assert_eq!(statuses().await, [404, 404, 404, 404, 403, 403, 401, 401]);
    edits([
        json!({"edit": "setGotoAccountAccess", "granted": true}),
        json!({"edit": "removeGotoScope", "scope": "identity:"}),
        json!({"edit": "removeGotoScope", "scope": "voice-admin.v1.read"}),
        json!({"edit": "setConnectorTokens", "tokens": [test::CONNECTOR_TOKEN]}),
    ]);
    assert_eq!(statuses().await, [401, 200, 403, 403, 403, 403, 200, 200]);
    edits([
        json!({"edit": "grantGotoScope", "scope": "identity:"}),
        json!({"edit": "grantGotoScope", "scope": "voice-admin.v1.read"}),
        json!({"edit": "grantAppPermission", "permission": "User.Read.All"}),
        json!({"edit": "setConnectorTokens", "tokens": [test::CONNECTOR_TOKEN]}),
    ]);
    assert_eq!(statuses().await, [200; 8]);
}

/// T34: delta tells of a deletion, of the restored user, and of the one who is gone for good.
#[tokio::test]
async fn delta_tells_of_deletion_and_return() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let mut link = bench.ok(Api::Graph, "/v1.0/users/delta", &token).await["@odata.deltaLink"].clone();
    let ann = "00000000-0000-4000-8000-000100000001";
    let steps = [
        ("deleteTeamsUser", json!("changed")),
        ("restoreTeamsUser", Value::Null),
        ("deleteTeamsUser", json!("changed")),
        ("purgeTeamsUser", json!("deleted")),
    ];
    for (edit, reason) in steps {
        bench.edit(json!({"edit": edit, "teamsUser": ann}));
        let path = link.as_str().unwrap().strip_prefix(bench.sim.endpoints().of(Api::Graph)).unwrap().to_owned();
        let page = bench.ok(Api::Graph, &path, &token).await;
        let told = &page["value"][0];
        assert_eq!((&told["id"], &told["@removed"]["reason"]), (&json!(ann), &reason), "{edit}");
        assert_eq!(told["userPrincipalName"].is_string(), reason.is_null(), "{edit}");
        link = page["@odata.deltaLink"].clone();
    }
}
