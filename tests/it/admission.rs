//! What the API server accepts and refuses: the schemas and rules of the four kinds, on the real one.
//!
//! Good objects are made from the schemas with every field filled; each bound is then broken once. A bound that nothing
//! here knows how to keep or to break fails the test, so that none is added without a sample.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};
use teams_connector_operator::api::all_crds;
use teams_connector_operator::devenv::objects;

use crate::harness;

/// Our kinds by their short names.
const KINDS: [(&str, &str); 4] = [
    ("tca", "TeamsConnectorAccount"),
    ("usp", "UserSyncPolicy"),
    ("usrun", "UserSyncRun"),
    ("tcu", "TeamsConnectorUser"),
];
const LONG_NAME: &str = "a-name-that-is-one-longer-than-forty-char";

fn crd(kind: &str) -> CustomResourceDefinition {
    all_crds().unwrap().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap()
}

fn schema(kind: &str) -> Value {
    let crd = serde_json::to_value(crd(kind)).unwrap();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

/// A value that keeps every bound of a schema, with every field.
fn good(schema: &Value, path: &str) -> Value {
    if let Some(allowed) = schema["enum"].as_array() {
        return allowed[0].clone();
    }
    match schema["type"].as_str().unwrap() {
        "object" if schema.get("properties").is_some() => {
            let fields = schema["properties"].as_object().unwrap().iter();
            Value::Object(fields.map(|(name, field)| (name.clone(), good(field, &format!("{path}.{name}")))).collect())
        }
        "array" => json!([good(&schema["items"], &format!("{path}[0]"))]),
        "integer" => json!(1),
        "boolean" => json!(true),
        "string" => good_text(schema, path).into(),
        other => panic!("{path}: no sample of type {other}"),
    }
}

fn good_text(schema: &Value, path: &str) -> String {
    match (schema["pattern"].as_str(), schema["format"].as_str()) {
        (Some(text), _) => pattern(text, path).sample.to_owned(),
        (None, Some("date-time")) => "2026-01-05T08:00:00Z".to_owned(),
        (None, None) => "x".to_owned(),
        (None, Some(other)) => panic!("{path}: no sample of the format {other}"),
    }
}

/// A text that fits a pattern, and how one of any length is made where the pattern has no length of its own.
struct Pattern {
    regex: &'static str,
    sample: &'static str,
    filled: Option<(&'static str, &'static str, &'static str)>,
}

const PATTERNS: [Pattern; 7] = [
    Pattern {
        regex: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        sample: "00000000-0000-4000-8000-0000000000ff",
        filled: None,
    },
    Pattern { regex: "^[0-9]{1,20}$", sample: "1234567890", filled: Some(("", "9", "")) },
    Pattern { regex: "^[A-Z]{2}$", sample: "PT", filled: None },
    Pattern { regex: "^([0-9]+(h|m|s))+$", sample: "1h", filled: None },
    Pattern {
        regex: r"^https://[^\s/?#@]+(/[^\s?#]*)?$",
        sample: "https://connector.example.test/v1",
        filled: Some(("https://", "x", "")),
    },
    Pattern { regex: r"^[^@\s]+@[^@\s]+$", sample: "maria@contoso.example", filled: Some(("", "x", "@x")) },
    Pattern {
        regex: "^sha256:[0-9a-f]{64}$",
        sample: "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
        filled: None,
    },
];

fn pattern(text: &str, path: &str) -> &'static Pattern {
    PATTERNS.iter().find(|known| known.regex == text).unwrap_or_else(|| panic!("{path}: no sample of {text}"))
}

/// The longest text that a schema allows, where its pattern can be filled up.
fn longest(schema: &Value, path: &str) -> Option<String> {
    let length = usize::try_from(schema["maxLength"].as_u64()?).unwrap();
    let filled = schema["pattern"].as_str().map_or(Some(("", "x", "")), |text| pattern(text, path).filled);
    let (before, letter, after) = filled?;
    Some(format!("{before}{}{after}", letter.repeat(length - before.len() - after.len())))
}

/// One change of an object.
struct Change {
    /// JSON pointer.
    pointer: String,
    /// `None`: the field is taken away.
    value: Option<Value>,
    /// The field that the refusal names, and words of it that tell what is allowed.
    field: String,
    remedy: String,
}

impl Change {
    fn apply(&self, object: &Value) -> Value {
        let mut changed = object.clone();
        let (parent, name) = self.pointer.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap();
        match (&self.value, parent) {
            (Some(value), Value::Array(items)) => items[name.parse::<usize>().unwrap()] = value.clone(),
            (Some(value), Value::Object(fields)) => drop(fields.insert(name.to_owned(), value.clone())),
            (None, Value::Object(fields)) => drop(fields.remove(name).unwrap()),
            (_, other) => panic!("{}: {other}", self.pointer),
        }
        changed
    }
}

/// Collects, for each bound below a schema, a value that breaks it alone or at least names it.
struct Bounds {
    bad: Vec<Change>,
    /// Values at the edge, which are allowed.
    edge: Vec<Change>,
}

impl Bounds {
    fn of(schema: &Value, root: &str) -> Self {
        let mut bounds = Self { bad: Vec::new(), edge: Vec::new() };
        bounds.visit(&schema["properties"][root], &format!("/{root}"), root);
        bounds
    }

    fn visit(&mut self, schema: &Value, pointer: &str, field: &str) {
        self.of_value(schema, pointer, field);
        for name in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
            let (pointer, field) = (format!("{pointer}/{name}"), format!("{field}.{name}"));
            self.bad.push(Change { pointer, value: None, field, remedy: "Required value".to_owned() });
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            self.visit(below, &format!("{pointer}/{name}"), &format!("{field}.{name}"));
        }
        if schema["items"].is_object() {
            self.visit(&schema["items"], &format!("{pointer}/0"), &format!("{field}[0]"));
        }
    }

    fn of_value(&mut self, schema: &Value, pointer: &str, field: &str) {
        let mut bad = |value: Value, remedy: String| {
            self.bad.push(Change { pointer: pointer.to_owned(), value: Some(value), field: field.to_owned(), remedy });
        };
        let kind = schema["type"].as_str().unwrap();
        let other = if kind == "string" { json!(5) } else { json!("x") };
        bad(
            other,
            format!("must be of type {}", schema["format"].as_str().filter(|_| kind == "string").unwrap_or(kind)),
        );
        for (bound, limit) in schema.as_object().unwrap() {
            let number = limit.as_f64();
            match (bound.as_str(), number) {
                ("maxLength", Some(most)) => {
                    let length = usize::try_from(limit.as_u64().unwrap()).unwrap() + 1;
                    bad("9".repeat(length).into(), format!("may not be more than {most} bytes"));
                }
                ("minLength", Some(least)) => bad(json!(""), format!("should be at least {least} chars long")),
                ("pattern", _) => bad(json!(" "), format!("should match '{}'", limit.as_str().unwrap())),
                ("enum", _) => bad(json!("Nonsense"), format!("supported values: {}", quoted(limit))),
                ("maxItems", Some(most)) => bad(items(schema, 1), format!("must have at most {most} items")),
                ("minItems", Some(least)) => bad(json!([]), format!("should have at least {least} items")),
                ("minimum", Some(least)) => bad(json!(-1), format!("should be greater than or equal to {least}")),
                ("maximum", Some(most)) => {
                    bad(json!(4_000_000_000_u32), format!("should be less than or equal to {most}"));
                }
                ("format", _) if limit == "date-time" => {
                    bad(json!("yesterday"), "must be of type date-time".to_owned());
                }
                ("format", _) if limit == "int64" => {}
                _ => assert!(KNOWN.contains(&bound.as_str()), "{field}: nothing breaks {bound}"),
            }
        }
        let edge = longest(schema, field).map(Value::from).into_iter();
        let edge = edge.chain(schema["maxItems"].is_u64().then(|| items(schema, 0)));
        let change = |value| Change {
            pointer: pointer.to_owned(),
            value: Some(value),
            field: field.to_owned(),
            remedy: String::new(),
        };
        self.edge.extend(edge.map(change));
    }
}

/// What a schema says beside its bounds; rules have samples of their own.
const KNOWN: [&str; 10] = [
    "type",
    "description",
    "properties",
    "items",
    "required",
    "default",
    "nullable",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
];

fn quoted(values: &Value) -> String {
    values.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// As many items as are allowed and `more`, none twice.
fn items(schema: &Value, more: u64) -> Value {
    let item = |number: u64| {
        let mut item = good(&schema["items"], "");
        if item.is_string() {
            item = format!("x{number}").into();
        }
        if let Some(id) = item.get_mut("organizationId") {
            *id = format!("00000000-0000-4000-8000-{number:012}").into();
        }
        if let Some(email) = item.get_mut("email") {
            *email = format!("x{number}@contoso.example").into();
        }
        if let Some(goto) = item.get_mut("goto") {
            *goto = format!("{number}").into();
        }
        item
    };
    (0..schema["maxItems"].as_u64().unwrap() + more).map(item).collect()
}

/// The API server, in a namespace of its own.
struct Door {
    namespace: String,
    client: kube::Client,
}

impl Door {
    async fn open(name: &str) -> Self {
        let client = harness::control_plane().await.admin().await.unwrap();
        Self { namespace: harness::new_namespace(name).await, client }
    }

    fn api(&self, short: &str) -> Api<DynamicObject> {
        objects::api(&self.client, &self.namespace, short).unwrap()
    }

    async fn create(&self, short: &str, object: &Value, dry_run: bool) -> Result<DynamicObject, String> {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let created = self.api(short).create(&PostParams { dry_run, ..PostParams::default() }, &object).await;
        created.map_err(|error| refusal(&error))
    }

    async fn patch(&self, short: &str, name: &str, patch: &Value) -> Result<DynamicObject, String> {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        self.api(short).patch(name, &params, &Patch::Merge(patch)).await.map_err(|error| refusal(&error))
    }

    async fn patch_status(&self, short: &str, name: &str, status: &Value) -> Result<DynamicObject, String> {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": status}));
        self.api(short).patch_status(name, &params, &patch).await.map_err(|error| refusal(&error))
    }
}

/// The causes of a refusal for what is wrong with the object, one a line: field, then words.
fn refusal(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else { panic!("{error}") };
    assert_eq!(status.code, 422, "{status:?}");
    let mut lines = String::new();
    for cause in status.details.iter().flat_map(|details| &details.causes) {
        writeln!(lines, "{}: {}", cause.field, cause.message).unwrap();
    }
    lines
}

/// A good object with every field, and its good status.
fn sample(kind: &str, name: &str) -> (Value, Value) {
    let schema = schema(kind);
    let (spec, status) = (good(&schema["properties"]["spec"], "spec"), good(&schema["properties"]["status"], "status"));
    let object =
        json!({"apiVersion": "teamsconnector.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    (object, status)
}

fn names(change: &Change, refused: &str) -> bool {
    refused.lines().any(|line| line.starts_with(&format!("{}: ", change.field)) && line.contains(&change.remedy))
}

/// S14: each bound of each spec refuses what breaks it, naming the field and what is allowed, and accepts what just keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_spec_names_the_field_and_what_is_allowed() {
    let door = Door::open("bounds").await;
    let mut broken = 0;
    for (short, kind) in KINDS {
        let (object, _) = sample(kind, "x");
        door.create(short, &object, true).await.unwrap();
        let bounds = Bounds::of(&schema(kind), "spec");
        for change in &bounds.bad {
            let refused = door.create(short, &change.apply(&object), true).await.unwrap_err();
            assert!(names(change, &refused), "{kind} {}: {}\n{refused}", change.field, change.remedy);
        }
        for change in &bounds.edge {
            let accepted = door.create(short, &change.apply(&object), true).await;
            assert!(accepted.is_ok(), "{kind} {}: {}", change.field, accepted.unwrap_err());
        }
        broken += bounds.bad.len();
    }
    assert!(broken > 150, "{broken}");
}

/// S14: the same for what the operator writes into a status.
#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_a_status_names_the_field_and_what_is_allowed() {
    let door = Door::open("status-bounds").await;
    for (short, kind) in KINDS {
        let (object, status) = sample(kind, "x");
        door.create(short, &object, false).await.unwrap();
        door.patch_status(short, "x", &status).await.unwrap();
        for change in Bounds::of(&schema(kind), "status").bad.iter().filter(|change| change.pointer != "/status") {
            let changed = change.apply(&json!({"status": status}))["status"].take();
            // A merge patch takes away what is null; what is absent would stay.
            let refused = door.patch_status(short, "x", &changed).await.unwrap_err();
            assert!(names(change, &refused), "{kind} {}: {}\n{refused}", change.field, change.remedy);
        }
    }
}

/// A change that one rule refuses.
struct Rule {
    short: &'static str,
    change: (&'static str, Option<Value>),
    field: &'static str,
    message: &'static str,
}

fn rule(
    short: &'static str,
    pointer: &'static str,
    value: impl Into<Option<Value>>,
    field: &'static str,
    message: &'static str,
) -> Rule {
    Rule { short, change: (pointer, value.into()), field, message }
}

/// Rules of a new object.
fn on_create() -> Vec<Rule> {
    let interval = "interval must be between 1m and 24h";
    vec![
        rule("tca", "/metadata/name", json!(LONG_NAME), "<nil>", "the name of an account has at most 40 characters"),
        rule("tca", "/spec/interval", json!("59s"), "spec.interval", interval),
        rule("tca", "/spec/interval", json!("24h1s"), "spec.interval", interval),
        rule(
            "tca",
            "/spec/microsoft365/credentials/clientSecret",
            None,
            "spec.microsoft365.credentials",
            "exactly one kind of credentials is needed: set clientSecret",
        ),
        rule("tca", "/spec/connector/api", None, "spec.connector", "driver Api needs api.endpoint"),
        rule("usp", "/metadata/name", json!(LONG_NAME), "<nil>", "the name of a policy has at most 40 characters"),
        rule(
            "usp",
            "/spec/matching",
            json!({}),
            "spec.matching",
            "matching needs at least one process: set automatic or manual",
        ),
        rule(
            "usp",
            "/spec/removal/gracePeriod",
            json!("721h"),
            "spec.removal.gracePeriod",
            "removal.gracePeriod is at most 720h: use action Retain to keep people for longer",
        ),
        rule(
            "usp",
            "/spec/removal/guard/alwaysAllow",
            json!(2),
            "spec.removal.guard",
            "guard.alwaysAllow cannot be above guard.maxCount: lower alwaysAllow or raise maxCount",
        ),
        rule(
            "usp",
            "/spec/removal/guard/window",
            json!("59m"),
            "spec.removal.guard.window",
            "guard.window must be between 1h and 720h",
        ),
        rule("usrun", "/spec/decision", None, "spec", "decidedBy needs a decision: set decision to Approve or Deny"),
    ]
}

/// Rules of an edit: what decides whose service it is cannot be changed.
fn on_update() -> Vec<Rule> {
    let guid = || json!("77777777-7777-4777-8777-777777777777");
    let (account, policy) = ("create a second account object instead", "create another policy instead");
    let message = |field: &str, instead: &str| -> &'static str {
        Box::leak(format!("{field} cannot be changed: {instead}").into_boxed_str())
    };
    let mut rules = vec![
        rule("tca", "/spec/goto/accountKey", json!("7"), "spec.goto.accountKey", message("accountKey", account)),
        rule("tca", "/spec/microsoft365/tenantId", guid(), "spec.microsoft365.tenantId", message("tenantId", account)),
        rule("usp", "/spec/accountRef/name", json!("other"), "spec.accountRef", message("accountRef", policy)),
        rule("usp", "/spec/pbx/organizationId", guid(), "spec.pbx", message("pbx", policy)),
    ];
    let frozen: [(&str, Value); 5] = [
        ("/spec/policyRef/name", json!("other")),
        ("/spec/type", json!("Disconnect")),
        ("/spec/createdAt", json!("2026-01-05T08:00:01Z")),
        ("/spec/policyHash", json!(format!("sha256:{}", "0b".repeat(32)))),
        ("/spec/actions", json!([])),
    ];
    let frozen = frozen.into_iter().filter(|(pointer, _)| *pointer != "/spec/actions");
    rules.extend(frozen.map(|(pointer, value)| {
        rule("usrun", pointer, value, "spec", "a run is frozen: only decision and decidedBy can be set")
    }));
    rules.push(rule(
        "usrun",
        "/spec/decision",
        json!("Deny"),
        "spec",
        "decision is set once: to decide otherwise, edit the policy or delete the run, and a new run follows",
    ));
    rules.push(rule(
        "usrun",
        "/spec/decidedBy",
        json!("somebody-else"),
        "spec",
        "decidedBy is set together with decision and not changed",
    ));
    rules
}

fn kind_of(short: &str) -> &'static str {
    KINDS.into_iter().find(|kind| kind.0 == short).unwrap().1
}

fn all_messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                found.insert(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|field| all_messages(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all_messages(item, found)),
        _ => {}
    }
}

impl Rule {
    fn change(&self) -> Change {
        let (pointer, value) = self.change.clone();
        Change { pointer: pointer.to_owned(), value, field: self.field.to_owned(), remedy: self.message.to_owned() }
    }
}

/// S14, T44: each rule refuses its bad sample in its own words, and lets the good one pass, at creation and at an edit. The
/// driver alone has one value only, which the schema names.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_refuses_its_bad_sample_in_its_own_words() {
    let door = Door::open("rules").await;
    let mut shown = BTreeSet::from(["driver cannot be changed: create a second account object instead".to_owned()]);
    for (short, kind) in KINDS {
        let (object, _) = sample(kind, "good");
        door.create(short, &object, false).await.unwrap();
        door.patch(short, "good", &json!({"metadata": {"labels": {"a": "b"}}, "spec": object["spec"]})).await.unwrap();
    }
    for rule in on_create() {
        let (object, _) = sample(kind_of(rule.short), "bad");
        let refused = door.create(rule.short, &rule.change().apply(&object), true).await.unwrap_err();
        assert!(names(&rule.change(), &refused), "{}\n{refused}", rule.message);
        shown.insert(rule.message.to_owned());
    }
    for rule in on_update() {
        let (object, _) = sample(kind_of(rule.short), "good");
        let changed = rule.change().apply(&object);
        let refused = door.patch(rule.short, "good", &json!({"spec": changed["spec"]})).await.unwrap_err();
        assert!(names(&rule.change(), &refused), "{}\n{refused}", rule.message);
        shown.insert(rule.message.to_owned());
    }
    let driver = door.patch("tca", "good", &json!({"spec": {"connector": {"driver": "Guided"}}})).await.unwrap_err();
    assert!(
        driver.contains("spec.connector.driver: Unsupported value: \"Guided\": supported values: \"Api\""),
        "{driver}"
    );
    let mut rules = BTreeSet::new();
    for (_, kind) in KINDS {
        all_messages(&schema(kind), &mut rules);
    }
    assert_eq!(rules, shown);
}

/// Edges of the rules, and what is written the other way round: all accepted.
#[tokio::test(flavor = "multi_thread")]
async fn what_just_keeps_a_rule_is_accepted() {
    let door = Door::open("edges").await;
    let edges = [
        ("tca", "/metadata/name", json!(&LONG_NAME[..40])),
        ("tca", "/spec/interval", json!("1m")),
        ("tca", "/spec/interval", json!("24h")),
        ("tca", "/spec/interval", json!("1h30m")),
        ("tca", "/spec/microsoft365/tenantId", json!("ABCDEFAB-7777-4777-8777-777777777777")),
        ("tca", "/spec/connector/api/endpoint", json!("https://connector.example.test:8443")),
        ("usp", "/metadata/name", json!(&LONG_NAME[..40])),
        ("usp", "/spec/matching/automatic/teamsAttribute", json!("Mail")),
        ("usp", "/spec/matching", json!({"manual": {"entries": []}})),
        (
            "usp",
            "/spec/matching",
            json!({"manual": {"entries": [{"goto": "1001", "teams": "a@x"}, {"goto": "1001", "teams": "b@x"}]}}),
        ),
    ];
    for (short, pointer, value) in edges {
        let (object, _) = sample(kind_of(short), "edge");
        let change =
            Change { pointer: pointer.to_owned(), value: Some(value), field: String::new(), remedy: String::new() };
        door.create(short, &change.apply(&object), true).await.unwrap();
    }
}

/// Refused although no single field is wrong: a PBX twice, a plain http endpoint, credentials in the URL, an interval that is
/// no time at all, a field that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_get_wrong_is_refused_where_it_is() {
    let door = Door::open("mistakes").await;
    let (account, _) = sample("TeamsConnectorAccount", "x");
    let mistakes = [
        (
            "/spec/pbxs",
            json!([account["spec"]["pbxs"][0], account["spec"]["pbxs"][0]]),
            "spec.pbxs[1]: Duplicate value",
        ),
        ("/spec/connector/api/endpoint", json!("http://connector.example.test"), "spec.connector.api.endpoint"),
        (
            "/spec/connector/api/endpoint",
            json!("https://me:secret@connector.example.test"),
            "spec.connector.api.endpoint",
        ),
        ("/spec/goto/accountKey", json!(1_234_567_890_123_456_789_u64), "spec.goto.accountKey"),
        ("/spec/interval", json!("999999999999999999h"), "spec.interval"),
        ("/spec/interval", json!("10"), "spec.interval"),
    ];
    for (pointer, value, told) in mistakes {
        let change =
            Change { pointer: pointer.to_owned(), value: Some(value), field: String::new(), remedy: String::new() };
        let refused = door.create("tca", &change.apply(&account), true).await.unwrap_err();
        assert!(refused.lines().any(|line| line.starts_with(told)), "{pointer}: {refused}");
    }
    let plane = harness::control_plane().await;
    for (_, kind) in KINDS {
        let (mut object, _) = sample(kind, "typo");
        object["spec"]["colour"] = json!("red");
        let file = harness::run_directory().join(format!("{kind}.json"));
        std::fs::write(&file, object.to_string()).unwrap();
        let file = file.display().to_string();
        let refused = plane.kubectl(&["-n", &door.namespace, "create", "--dry-run=server", "-f", &file]).await.unwrap();
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && told.contains("unknown field \"spec.colour\""), "{told}");
    }
}

/// P15: the largest run fits, its rule costs no more than the API server allows, and it is frozen to the last action.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_two_thousand_actions_is_stored_and_frozen() {
    let door = Door::open("largest-run").await;
    let (mut run, status) = sample("UserSyncRun", "largest");
    let actions: Vec<Value> = (0..2000_u64)
        .map(|number| {
            json!({
                "user": format!("{number:020}"),
                "op": "Put",
                "args": {"teamsUserId": format!("00000000-0000-4000-8000-{number:012}"), "phoneNumber": format!("+{number:015}")},
                "expected": {"inConnector": true},
            })
        })
        .collect();
    run["spec"]["actions"] = actions.into();
    assert!(run["spec"].to_string().len() < 1_000_000);
    door.create("usrun", &run, false).await.unwrap();
    door.patch("usrun", "largest", &json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    door.patch("usrun", "largest", &json!({"spec": run["spec"]})).await.unwrap();
    door.patch_status("usrun", "largest", &status).await.unwrap();
    run["spec"]["actions"][1999]["args"]["phoneNumber"] = json!("+999999999999999");
    let refused = door.patch("usrun", "largest", &json!({"spec": run["spec"]})).await.unwrap_err();
    assert!(refused.contains("spec: Invalid value") && refused.contains("a run is frozen"), "{refused}");
}

fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(|text| text.len() < 4) {
            found.push(path.clone());
        }
        undescribed(field, &path, found);
    }
    if schema["items"].is_object() {
        undescribed(&schema["items"], &format!("{path}[]"), found);
    }
}

/// Every field tells what it is: that is what `kubectl explain` shows.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_field() {
    let plane = harness::control_plane().await;
    let mut found = Vec::new();
    for (_, kind) in KINDS {
        let schema = schema(kind);
        undescribed(&schema["properties"]["spec"], &format!("{kind}.spec"), &mut found);
        undescribed(&schema["properties"]["status"], &format!("{kind}.status"), &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    for (field, words) in [
        ("teamsconnectoraccounts", "One GoTo account joined to one Microsoft 365 tenant"),
        ("usp.spec.matching.automatic.teamsAttribute", "The Microsoft attribute that the GoTo e-mail address"),
        ("usrun.spec.actions.expected.inConnector", "Whether the user is in the connector"),
        ("tcu.status.reason", "The one reason"),
    ] {
        let text = plane.kubectl_stdout(&["explain", field]).await.unwrap();
        let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(words), "{text}");
    }
}

/// One word lists what people look at, without the thousands of users.
#[tokio::test(flavor = "multi_thread")]
async fn one_category_lists_accounts_policies_and_runs_but_no_users() {
    let door = Door::open("category").await;
    for (short, kind) in KINDS {
        door.create(short, &sample(kind, "one").0, false).await.unwrap();
    }
    let plane = harness::control_plane().await;
    let listed = plane.kubectl_stdout(&["-n", &door.namespace, "get", "teamsconnector", "-o", "name"]).await.unwrap();
    let names: BTreeSet<&str> = listed.lines().collect();
    let expected = [
        "teamsconnectoraccount.teamsconnector.dev/one",
        "usersyncpolicy.teamsconnector.dev/one",
        "usersyncrun.teamsconnector.dev/one",
    ];
    assert_eq!(names, BTreeSet::from(expected));
}

/// Field selectors find the users of a state, of a reason and of a policy among thousands, at the API server.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_found_by_field_selectors() {
    let door = Door::open("selectors").await;
    let mut different = Map::new();
    for (short, kind) in KINDS {
        for name in ["one", "two"] {
            let (mut object, mut status) = sample(kind, name);
            for field in ["/spec/policyRef/name", "/spec/accountRef/name"] {
                if let Some(reference) = object.pointer_mut(field) {
                    *reference = json!(name);
                }
            }
            if name == "two" && short == "tcu" {
                (status["state"], status["reason"]) = (json!("Blocked"), json!("NoLine"));
            }
            door.create(short, &object, false).await.unwrap();
            let patch = Patch::Merge(json!({"status": status}));
            door.api(short).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
            different.insert(short.to_owned(), object);
        }
    }
    for (short, selector) in [
        ("usp", "spec.accountRef.name=two"),
        ("usrun", "spec.policyRef.name=two"),
        ("tcu", "spec.policyRef.name=two"),
        ("tcu", "status.state=Blocked"),
        ("tcu", "status.reason=NoLine"),
    ] {
        let found = door.api(short).list(&ListParams::default().fields(selector)).await.unwrap();
        let names: Vec<_> = found.items.into_iter().filter_map(|object| object.metadata.name).collect();
        assert_eq!(names, ["two"], "{short} {selector}");
    }
    let refused = door.api("tcu").list(&ListParams::default().fields("status.gotoEmail=x")).await.unwrap_err();
    assert!(refused.to_string().contains("field label not supported"), "{refused}");
}
