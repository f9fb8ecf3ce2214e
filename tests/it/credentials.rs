//! Secrets, rights and references that are wrong: a clear reason, who acts, and healing without anybody's help but the
//! mending. Nothing of a Secret or of a person shows where it must not.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};
use teams_connector_operator::devenv::environment::Setup;
use teams_connector_operator::devenv::objects;
use teams_connector_operator::sim::world::test_credentials as test;

use crate::harness;
use crate::stage::{ACCOUNT, POLICY, Stage};

const GOTO: &str = "goto-credentials";
const ENTRA: &str = "entra-credentials";
const REFRESH: (&str, &str) = ("refreshToken", test::GOTO_REFRESH_TOKEN);
const ID: (&str, &str) = ("clientId", test::GOTO_CLIENT_ID);
const SECRET: (&str, &str) = ("clientSecret", test::GOTO_CLIENT_SECRET);
/// A value that nobody takes, and that must show nowhere.
const WRONG: &str = "canary-that-nobody-takes";

/// What somebody does.
#[derive(Clone)]
enum Hand {
    /// A Secret with exactly these keys.
    Put(&'static str, Vec<(&'static str, &'static str)>),
    /// A Secret is deleted.
    Delete(&'static str),
    /// An edit of the world.
    Edit(Value),
    /// A value at a JSON pointer of the world.
    World(String, Value),
    /// Every access token that was issued is void.
    VoidTokens,
}

impl Hand {
    async fn act(&self, stage: &Stage) {
        match self {
            Self::Put(name, keys) => put_secret(stage, name, keys).await,
            Self::Delete(name) => delete_secret(stage, name).await,
            Self::Edit(edit) => stage.control().edit(edit).await.unwrap(),
            Self::World(pointer, value) => {
                stage.control().patch_world(&json!([replace(pointer, value)])).await.unwrap();
            }
            Self::VoidTokens => void_tokens(stage).await,
        }
    }
}

fn secrets(stage: &Stage) -> Api<Secret> {
    Api::namespaced(stage.environment.client().clone(), stage.environment.namespace())
}

/// Nobody looks while it is replaced: time stands.
async fn put_secret(stage: &Stage, name: &str, keys: &[(&str, &str)]) {
    drop(secrets(stage).delete(name, &DeleteParams::default()).await);
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let metadata = kube::api::ObjectMeta { name: Some(name.to_owned()), ..kube::api::ObjectMeta::default() };
    let secret = Secret { metadata, string_data: Some(keys), ..Secret::default() };
    secrets(stage).create(&PostParams::default(), &secret).await.unwrap();
}

async fn delete_secret(stage: &Stage, name: &str) {
    secrets(stage).delete(name, &DeleteParams::default()).await.unwrap();
}

fn replace(pointer: &str, value: &Value) -> Value {
    json!({"op": "replace", "path": pointer, "value": value})
}

async fn void_tokens(stage: &Stage) {
    void_tokens_of(stage, "goto").await;
    void_tokens_of(stage, "tenant").await;
}

/// Every access token of one side is void; the number of the last call before.
async fn void_tokens_of(stage: &Stage, side: &str) -> u64 {
    let void = replace(&format!("/{side}/accessTokens"), &json!({}));
    stage.control().patch_world(&json!([void])).await.unwrap();
    stage.control().last_sequence().await.unwrap()
}

/// The Secrets as the samples have them.
fn right() -> Vec<Hand> {
    vec![
        Hand::Put(GOTO, vec![ID, SECRET, REFRESH]),
        Hand::Put(ENTRA, vec![("clientSecret", test::ENTRA_CLIENT_SECRET)]),
    ]
}

/// How a trouble shows.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// Somebody is waited for.
    Human,
    /// Repeating cannot help.
    Stalled,
}

struct Trouble {
    what: &'static str,
    cause: Vec<Hand>,
    mend: Vec<Hand>,
    condition: &'static str,
    reason: &'static str,
    shown: Shown,
    actor: &'static str,
    words: Vec<&'static str>,
}

/// A trouble of a Secret.
fn secret(what: &'static str, cause: Vec<Hand>, reason: &'static str, words: &[&'static str]) -> Trouble {
    Trouble {
        what,
        cause,
        mend: right(),
        condition: "CredentialsValid",
        reason,
        shown: Shown::Human,
        actor: "PlatformTeam",
        words: words.to_vec(),
    }
}

fn secret_troubles() -> Vec<Trouble> {
    let goto = |keys: &[(&'static str, &'static str)]| vec![Hand::Put(GOTO, keys.to_vec())];
    let entra = |key: &'static str, value: &'static str| vec![Hand::Put(ENTRA, vec![(key, value)])];
    vec![
        secret("GoTo's Secret is deleted", vec![Hand::Delete(GOTO)], "SecretNotFound", &[GOTO, "does not exist"]),
        secret("Entra's Secret is deleted", vec![Hand::Delete(ENTRA)], "SecretNotFound", &[ENTRA, "does not exist"]),
        secret("empty", goto(&[ID, ("clientSecret", ""), REFRESH]), "KeyMissing", &[GOTO, "clientSecret"]),
        secret("blank", goto(&[("clientId", " \n"), SECRET, REFRESH]), "KeyMissing", &[GOTO, "clientId"]),
        secret("misspelt", goto(&[ID, ("client_secret", "x"), REFRESH]), "KeyMissing", &[GOTO, "clientSecret"]),
        secret("no grant", goto(&[ID, SECRET]), "KeyMissing", &[GOTO, "refreshToken or personalAccessToken"]),
        secret("Entra's key is another", entra("secret", "x"), "KeyMissing", &[ENTRA, "clientSecret"]),
        secret("Entra's value is empty", entra("clientSecret", ""), "KeyMissing", &[ENTRA, "clientSecret"]),
        secret(
            "GoTo refuses the client",
            goto(&[ID, ("clientSecret", WRONG), REFRESH]),
            "CredentialsRejected",
            &["client id or client secret is wrong"],
        ),
        secret(
            "GoTo refuses the refresh token",
            goto(&[ID, SECRET, ("refreshToken", WRONG)]),
            "CredentialsRejected",
            &["refresh token or personal access token expired, revoked or of another client"],
        ),
        secret(
            "GoTo refuses the personal access token",
            goto(&[ID, SECRET, ("personalAccessToken", WRONG)]),
            "CredentialsRejected",
            &["refresh token or personal access token expired, revoked or of another client"],
        ),
        secret(
            "Entra refuses the secret",
            entra("clientSecret", WRONG),
            "CredentialsRejected",
            &["client id or client secret is wrong"],
        ),
        expired(),
    ]
}

/// The client secret ends while a token is still good: it shows at the next token.
fn expired() -> Trouble {
    let expires = format!("/tenant/applications/{}/secrets/0", test::ENTRA_CLIENT_ID);
    let with =
        |ends: Value| Hand::World(expires.clone(), json!({"value": test::ENTRA_CLIENT_SECRET, "expiresAt": ends}));
    Trouble {
        mend: vec![with(Value::Null)],
        ..secret(
            "Entra's secret has expired",
            vec![with(json!("2026-01-05T08:00:00Z")), Hand::VoidTokens],
            "CredentialsExpired",
            &["the client secret has expired"],
        )
    }
}

/// A right that was taken away.
fn right_troubles() -> Vec<Trouble> {
    let permission = |name: &'static str| Trouble {
        what: name,
        cause: vec![Hand::Edit(json!({"edit": "removeAppPermission", "permission": name}))],
        mend: vec![Hand::Edit(json!({"edit": "grantAppPermission", "permission": name}))],
        condition: "PermissionsGranted",
        reason: "PermissionMissing",
        shown: Shown::Human,
        actor: "GlobalAdministrator",
        words: vec![name],
    };
    let client = format!("/goto/clients/{}/scopes", test::GOTO_CLIENT_ID);
    let all = ["identity:", "users.v1.lines.read", "voice-admin.v1.read"];
    let scope = |name: &'static str| Trouble {
        what: name,
        cause: vec![
            Hand::World(client.clone(), all.into_iter().filter(|known| *known != name).collect()),
            Hand::VoidTokens,
        ],
        mend: vec![Hand::World(client.clone(), json!(all)), Hand::VoidTokens],
        condition: "PermissionsGranted",
        reason: "PermissionMissing",
        shown: Shown::Human,
        actor: "GoToSuperAdministrator",
        words: vec![name],
    };
    let roles =
        |roles: Value| Hand::Edit(json!({"edit": "setAdminRoles", "user": "kofi@contoso.example", "roles": roles}));
    let mut troubles: Vec<Trouble> = [
        "User.Read.All",
        "LicenseAssignment.Read.All",
        "TeamsTelephoneNumber.Read.All",
        "TeamsUserConfiguration.Read.All",
        "Application.Read.All",
    ]
    .map(permission)
    .into();
    troubles.extend(all.map(scope));
    troubles.push(Trouble {
        what: "no super admin any more",
        cause: vec![roles(json!([]))],
        mend: vec![roles(json!(["SUPER_USER"]))],
        condition: "CredentialsValid",
        reason: "NotSuperAdministrator",
        shown: Shown::Human,
        actor: "GoToSuperAdministrator",
        words: vec!["super admin"],
    });
    troubles
}

/// Whether an object shows a trouble in one condition and what follows from it.
fn shows(object: &Value, trouble: &Trouble) -> bool {
    objects::condition(object, trouble.condition) == Some("False")
        && objects::reason(object, trouble.condition) == Some(trouble.reason)
}

fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    let mut conditions = object["status"]["conditions"].as_array().unwrap().iter();
    conditions.find(|condition| condition["type"] == kind).unwrap()["message"].as_str().unwrap()
}

/// Condition contract: one reason, what was found, who acts; Ready=False with it, and either a human is waited for or it is
/// stalled, never both.
fn check(object: &Value, trouble: &Trouble) {
    let what = trouble.what;
    let is = |kind: &str| objects::condition(object, kind);
    let told = message(object, trouble.condition);
    for word in trouble.words.iter().chain([&trouble.actor]) {
        assert!(told.contains(word), "{what}: {word} is not in: {told}");
    }
    assert_eq!((is("Ready"), objects::reason(object, "Ready")), (Some("False"), Some(trouble.reason)), "{what}");
    match trouble.shown {
        Shown::Human => {
            assert_eq!(
                (is("Reconciling"), is("ActionRequired"), is("Stalled")),
                (Some("True"), Some("True"), None),
                "{what}"
            );
            assert_eq!(objects::reason(object, "ActionRequired"), Some(trouble.reason), "{what}");
            assert_eq!(object["status"]["pendingActions"][0]["actor"], trouble.actor, "{what}");
        }
        Shown::Stalled => {
            assert_eq!((is("Stalled"), is("Reconciling")), (Some("True"), None), "{what}");
            assert_eq!(objects::reason(object, "Stalled"), Some(trouble.reason), "{what}");
        }
    }
    let waiting = object["status"]["waitingFor"].as_str();
    if object["kind"] == "TeamsConnectorAccount" {
        assert!(waiting.is_some_and(|waiting| waiting.starts_with(trouble.actor)), "{what}: {waiting:?}");
    }
}

/// Each trouble shows, and ends when it is mended; meanwhile nobody's state changes.
async fn suffer(stage: &Stage, troubles: &[Trouble]) {
    for trouble in troubles {
        let watch = stage.watch(stage.picture().await);
        for hand in &trouble.cause {
            hand.act(stage).await;
        }
        let seen = async || shows(&stage.get("tca", ACCOUNT).await, trouble);
        stage.advance_until(trouble.what, "30s", 20, seen).await;
        check(&stage.get("tca", ACCOUNT).await, trouble);
        for hand in &trouble.mend {
            hand.act(stage).await;
        }
        stage.rest().await;
        let users = watch.end().await.into_iter().filter(|line| !line.contains("tca/") && !line.contains("usp/"));
        assert_eq!(users.collect::<Vec<_>>(), Vec::<String>::new(), "{}", trouble.what);
        stage.warning(ACCOUNT, trouble.reason).await;
    }
}

/// Without tokens that end early, as the vendors' now and then do: here each refused token is one too many.
fn calm(setup: &mut Setup) {
    setup.simulator.push("--calm".to_owned());
}

fn trace(setup: &mut Setup) {
    setup.values = json!({"extraEnv": [{"name": "TEAMS_CONNECTOR_LOG", "value": "trace"}]});
}

/// T10, T28, T36, S7: Secrets that are missing, incomplete or refused, after all was well: named, and mended by nothing but
/// the Secret. Nobody loses anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_named_and_heals_when_it_is_mended() {
    let stage = Stage::prepare_with("secrets", trace).await;
    stage.connect("2m").await;
    let from = stage.control().last_sequence().await.unwrap();
    suffer(&stage, &secret_troubles()).await;
    a_personal_access_token_does_instead(&stage).await;
    a_token_of_the_connectors_own(&stage).await;
    assert_eq!(stage.control().writes_since(from).await.unwrap(), Vec::<Value>::new());
    assert_discreet(&stage).await;
}

/// T29: rights that are missing are named one by one, with who can give them.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_heals_when_it_is_given() {
    let stage = Stage::prepare_with("rights", trace).await;
    stage.connect("2m").await;
    let from = stage.control().last_sequence().await.unwrap();
    suffer(&stage, &right_troubles()).await;
    references_that_lead_nowhere(&stage).await;
    two_policies_for_one_pbx(&stage).await;
    assert_eq!(stage.control().writes_since(from).await.unwrap(), Vec::<Value>::new());
    assert_discreet(&stage).await;
}

/// A personal access token in place of a refresh token is used, and the refresh token no longer.
async fn a_personal_access_token_does_instead(stage: &Stage) {
    put_secret(stage, GOTO, &[ID, SECRET, ("personalAccessToken", test::GOTO_PAT)]).await;
    let revoked = format!("/goto/refreshTokens/{}/revoked", test::GOTO_REFRESH_TOKEN);
    Hand::World(revoked.clone(), json!(true)).act(stage).await;
    void_tokens(stage).await;
    let readings = stage.full_readings().await + 2;
    stage.advance_until("two readings", "30s", 20, async || stage.full_readings().await >= readings).await;
    stage.rest().await;
    Hand::World(revoked, json!(false)).act(stage).await;
    for hand in right() {
        hand.act(stage).await;
    }
    stage.rest().await;
}

/// A connector with a token of its own: its Secret is named like the others.
async fn a_token_of_the_connectors_own(stage: &Stage) {
    let reference = json!({"spec": {"connector": {"api": {"credentialsSecretRef": {"name": "connector-token"}}}}});
    stage.patch("tca", ACCOUNT, &reference).await;
    let own = |cause: Vec<Hand>, reason, words: &[&'static str]| Trouble {
        mend: vec![Hand::Put("connector-token", vec![("token", test::CONNECTOR_TOKEN)])],
        ..secret("the connector's token", cause, reason, words)
    };
    suffer(
        stage,
        &[
            own(vec![], "SecretNotFound", &["connector-token"]),
            own(
                vec![Hand::Put("connector-token", vec![("Token", WRONG)])],
                "KeyMissing",
                &["connector-token", "token"],
            ),
            own(vec![Hand::Put("connector-token", vec![("token", WRONG)])], "CredentialsRejected", &["refused"]),
        ],
    )
    .await;
    stage.patch("tca", ACCOUNT, &json!({"spec": {"connector": {"api": {"credentialsSecretRef": null}}}})).await;
    stage.rest().await;
}

/// Another account object from the sample.
fn other_account(stage: &Stage, change: impl FnOnce(&mut Value)) -> DynamicObject {
    let account = stage.samples("2m").into_iter().find(|it| it.metadata.name.as_deref() == Some(ACCOUNT)).unwrap();
    let mut account = serde_json::to_value(account).unwrap();
    account["metadata"]["name"] = json!("fabrikam");
    change(&mut account["spec"]);
    serde_json::from_value(account).unwrap()
}

/// A policy for a PBX through an account.
fn policy(name: &str, account: &str) -> DynamicObject {
    let policy = json!({
        "apiVersion": "teamsconnector.dev/v1alpha1",
        "kind": "UserSyncPolicy",
        "metadata": {"name": name},
        "spec": {
            "accountRef": {"name": account},
            "pbx": {"organizationId": test::ORGANIZATION_ID},
            "matching": {"automatic": {"teamsAttribute": "UserPrincipalName"}},
        },
    });
    serde_json::from_value(policy).unwrap()
}

async fn account_is_ready(stage: &Stage, name: &str) {
    let ready = async || objects::condition(&stage.get("tca", name).await, "Ready") == Some("True");
    stage.advance_until(&format!("{name} is ready"), "30s", 20, ready).await;
}

/// A new account shows a trouble.
async fn new_account_shows(stage: &Stage, trouble: &Trouble, change: impl FnOnce(&mut Value)) {
    stage.environment.apply(&[other_account(stage, change)]).await.unwrap();
    stage.observed("tca", "fabrikam").await;
    let seen = async || shows(&stage.get("tca", "fabrikam").await, trouble);
    stage.advance_until(trouble.what, "10s", 20, seen).await;
    check(&stage.get("tca", "fabrikam").await, trouble);
    stage.warning("fabrikam", trouble.reason).await;
}

/// References that lead nowhere: stalled, with the field; mended by the spec alone.
async fn references_that_lead_nowhere(stage: &Stage) {
    let stalled = |what, condition, reason, words: &[&'static str]| Trouble {
        what,
        cause: Vec::new(),
        mend: Vec::new(),
        condition,
        reason,
        shown: Shown::Stalled,
        actor: "PlatformTeam",
        words: words.to_vec(),
    };
    let foreign = stalled("a foreign account", "CredentialsValid", "TenantMismatch", &["7777777777777777777"]);
    new_account_shows(stage, &foreign, |spec| spec["goto"]["accountKey"] = json!("7777777777777777777")).await;
    stage.remove("tca", "fabrikam").await;

    let unlisted = "https://connector.elsewhere.example.test";
    let words = ["spec.connector.api.endpoint", "elsewhere"];
    let host = stalled("a host that is not allowed", "CredentialsValid", "InvalidSpec", &words);
    new_account_shows(stage, &host, |spec| spec["connector"]["api"]["endpoint"] = json!(unlisted)).await;
    let allowed = stage.environment.connector_url().unwrap();
    stage.patch("tca", "fabrikam", &json!({"spec": {"connector": {"api": {"endpoint": allowed}}}})).await;
    account_is_ready(stage, "fabrikam").await;
    stage.remove("tca", "fabrikam").await;

    let ghost = json!([{"organizationId": "77777777-7777-4777-8777-777777777777", "displayName": "Branch"}]);
    let missing = stalled("no such PBX", "Entitled", "PbxNotFound", &["Branch", "no such PBX"]);
    new_account_shows(stage, &missing, |spec| spec["pbxs"] = ghost.clone()).await;
    let unlisted = stalled(
        "a PBX that is not listed",
        "ReferencesResolved",
        "PbxNotFound",
        &["spec.pbx.organizationId", "fabrikam does not list"],
    );
    stage.environment.apply(&[policy("branch", "fabrikam")]).await.unwrap();
    stage.observed("usp", "branch").await;
    check(&stage.get("usp", "branch").await, &unlisted);
    stage.warning("branch", "PbxNotFound").await;
    let right = json!({"spec": {"pbxs": [{"organizationId": test::ORGANIZATION_ID}]}});
    stage.patch("tca", "fabrikam", &right).await;
    account_is_ready(stage, "fabrikam").await;
    let resolved = async || objects::condition(&stage.get("usp", "branch").await, "ReferencesResolved") == Some("True");
    stage.advance_until("the policy finds its PBX", "30s", 20, resolved).await;
    stage.remove("usp", "branch").await;
    stage.remove("tca", "fabrikam").await;
}

/// R8: the younger of two policies for one PBX is stalled and writes nothing, here and outside; it goes on when the older one
/// is deleted.
async fn two_policies_for_one_pbx(stage: &Stage) {
    let conflict = Trouble {
        what: "two policies for one PBX",
        cause: Vec::new(),
        mend: Vec::new(),
        condition: "ReferencesResolved",
        reason: "ConflictingPolicy",
        shown: Shown::Stalled,
        actor: "PlatformTeam",
        words: vec![POLICY, "older"],
    };
    let before = stage.picture().await;
    stage.environment.apply(&[policy("second", ACCOUNT)]).await.unwrap();
    stage.observed("usp", "second").await;
    stage.advance("5m").await;
    check(&stage.get("usp", "second").await, &conflict);
    stage.warning("second", "ConflictingPolicy").await;
    let mut now = stage.picture().await;
    now.remove("usp/second");
    assert_eq!(before, now);
    stage.delete("usp", POLICY).await;
    let goes_on = async || {
        let second = stage.get("usp", "second").await;
        objects::condition(&second, "Ready") == Some("True") && objects::condition(&second, "Stalled").is_none()
    };
    stage.advance_until("the younger policy goes on", "30s", 20, goes_on).await;
    let users = stage.environment.list("tcu").await.unwrap();
    assert!(users.keys().all(|name| name.starts_with("second-")), "{:?}", users.keys());
    assert_eq!(users.len(), 6);
}

/// What must show nowhere: every Secret and token, and what people are called and reached by.
async fn canaries(stage: &Stage) -> Vec<String> {
    let world = stage.control().world().await.unwrap();
    let keys = |pointer: &str| world.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut canaries = [keys("/goto/refreshTokens"), keys("/goto/accessTokens"), keys("/tenant/accessTokens")].concat();
    canaries.extend(
        [
            WRONG,
            test::GOTO_CLIENT_SECRET,
            test::GOTO_REFRESH_TOKEN,
            test::GOTO_PAT,
            test::ENTRA_CLIENT_SECRET,
            test::CONNECTOR_TOKEN,
        ]
        .map(str::to_owned),
    );
    canaries.extend(["test-at-", "test-rt-", "test-graph-", "NEW-canary"].map(str::to_owned));
    // The manager's address is in the spec; nobody else's is.
    for person in ["ann.lee", "joao", "lena", "maria", "omar"] {
        canaries.extend([format!("{person}@contoso"), format!("{person}%40contoso")]);
    }
    canaries.extend(["0004f2000001@", "1555555", "Fischer", "Haddad", "Santos"].map(str::to_owned));
    let encoded: Vec<String> =
        canaries.iter().map(|text| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text)).collect();
    canaries
        .extend(encoded.into_iter().map(|text| text.trim_end_matches('=').to_owned()).filter(|text| text.len() > 12));
    canaries
}

/// S7, S8, S9: none of them is in the log, even at trace level, in an event, in the status of an account, a policy or a run's
/// outcome, or in a metric.
async fn assert_discreet(stage: &Stage) {
    let environment = &stage.environment;
    let log = environment.operator().logs().unwrap();
    let mut places = vec![("metrics".to_owned(), environment.operator().metrics().await.unwrap())];
    for kind in ["event", "tca", "usp"] {
        for (name, mut object) in environment.list(kind).await.unwrap() {
            object["spec"].take();
            places.push((format!("{kind}/{name}"), object.to_string()));
        }
    }
    assert!(log.contains("TRACE"), "the log is at trace level");
    for canary in canaries(stage).await {
        for (place, text) in &places {
            assert!(!text.contains(&canary), "{canary} is in {place}");
        }
        let line = log.lines().find(|line| line.contains(&canary));
        assert_eq!(line, None, "{canary} is in the log");
    }
}

/// T10, T28: a Secret that is missing is looked at again after 5 s, growing to 5 min, one GET each time and no call outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_looked_at_again_after_five_seconds_growing_to_five_minutes() {
    let stage = Stage::prepare("secret-later").await;
    let without = stage.samples("10m").into_iter().filter(|it| it.metadata.name.as_deref() != Some(GOTO));
    stage.environment.apply(&without.collect::<Vec<_>>()).await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    let next = async || {
        let account = stage.get("tca", ACCOUNT).await;
        let at: Timestamp = account["status"]["failure"]["nextAttemptTime"].as_str()?.parse().ok()?;
        Some((account["status"]["failure"]["count"].as_u64()?, at))
    };
    stage.advance_until("the Secret is missed", "1s", 10, async || next().await.is_some()).await;
    let mut gaps = Vec::new();
    for _ in 0..10 {
        let (count, at) = next().await.unwrap();
        stage.control().post("/clock", &json!({"advanceTo": at})).await.unwrap();
        stage.advance("1s").await;
        let told = |account: &Value| account["status"]["failure"]["count"].as_u64() > Some(count);
        stage.environment.wait_for("tca", ACCOUNT, "the look is told", told).await.unwrap();
        let (again, later) = next().await.unwrap();
        assert_eq!((again, gets(&stage).await), (count + 1, count + 1), "one GET for each look");
        gaps.push(later.duration_since(at).as_secs());
    }
    assert!((9..=12).contains(&gaps[0]) && gaps.windows(2).all(|two| two[0] <= two[1] + 1), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 301) && gaps[9] >= 299, "{gaps:?}");
    let calls = stage.control().journal("").await.unwrap();
    assert_eq!(calls["calls"].as_array().unwrap().len(), 0, "nobody is called without credentials");
    put_secret(&stage, GOTO, &[ID, SECRET, REFRESH]).await;
    let valid = async || objects::condition(&stage.get("tca", ACCOUNT).await, "CredentialsValid") == Some("True");
    stage.advance_until("it heals by itself", "30s", 11, valid).await;
}

/// GETs of GoTo's Secret by the operator.
async fn gets(stage: &Stage) -> u64 {
    let requests = stage.environment.audit(harness::control_plane().await).unwrap();
    let gets = requests.iter().filter(|it| it.verb == "get" && it.resource == "secrets" && it.name == GOTO);
    gets.count() as u64
}

/// T10, T11: account, policy and Secrets in every order: each step tells what is missing, and the last one heals all.
#[tokio::test(flavor = "multi_thread")]
async fn account_policy_and_secrets_may_come_in_any_order() {
    let stage = Stage::prepare("orders").await;
    stage.environment.operator().start_ready().await.unwrap();
    let parts = ["account", "policy", "secrets"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let order = order.map(|part| parts[part]);
        let mut there = Vec::new();
        for part in order {
            let wanted = |it: &DynamicObject| match it.types.as_ref().unwrap().kind.as_str() {
                "TeamsConnectorAccount" => part == "account",
                "UserSyncPolicy" => part == "policy",
                _ => part == "secrets",
            };
            let documents: Vec<_> = stage.samples("10m").into_iter().filter(wanted).collect();
            stage.environment.apply(&documents).await.unwrap();
            there.push(part);
            match part {
                "account" => drop(stage.observed("tca", ACCOUNT).await),
                "policy" => drop(stage.observed("usp", POLICY).await),
                _ => {}
            }
            stage.advance("1m").await;
            tells_what_is_missing(&stage, &there).await;
        }
        stage.finish(2).await;
        clear(&stage).await;
    }
    let puts = "connector POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch";
    let counters = stage.control().journal("wrote=true").await.unwrap()["counters"].clone();
    assert_eq!(counters[puts], 1, "who is connected is taken over, not added again: {counters}");
}

async fn tells_what_is_missing(stage: &Stage, there: &[&str]) {
    let is = |part: &str| there.contains(&part);
    if is("account") && !is("secrets") {
        let account = stage.get("tca", ACCOUNT).await;
        assert_eq!(objects::reason(&account, "Ready"), Some("SecretNotFound"), "{there:?}");
        assert_eq!(objects::condition(&account, "Stalled"), None, "{there:?}");
    }
    if is("policy") && !is("account") {
        let policy = stage.get("usp", POLICY).await;
        assert_eq!(objects::reason(&policy, "Ready"), Some("AccountNotFound"), "{there:?}");
        assert_eq!(objects::condition(&policy, "ActionRequired"), Some("True"), "{there:?}");
        assert!(message(&policy, "Ready").contains("PlatformTeam"), "{there:?}");
    }
    if is("policy") && is("account") && !is("secrets") {
        let policy = stage.get("usp", POLICY).await;
        assert_eq!(objects::condition(&policy, "ReferencesResolved"), Some("True"), "{there:?}");
        assert_eq!(objects::condition(&policy, "Ready"), Some("Unknown"), "{there:?}");
    }
}

async fn clear(stage: &Stage) {
    for (kind, name) in [("usp", POLICY), ("tca", ACCOUNT), ("secret", GOTO), ("secret", ENTRA)] {
        stage.remove(kind, name).await;
    }
}

/// A reading of everything that began after a change of Secrets; the calls since then. One may have been under way before.
async fn calls_after(stage: &Stage, since: u64) -> Vec<Value> {
    let goal = stage.full_readings().await + 2;
    stage.advance_until("the next reading", "30s", 20, async || stage.full_readings().await >= goal).await;
    stage.rest().await;
    let mut journal = stage.control().journal(&format!("since={since}")).await.unwrap();
    serde_json::from_value(journal["calls"].take()).unwrap()
}

/// The first call of some APIs asked for a token, and no call was refused for its credentials.
fn only_new_credentials(what: &str, calls: &[Value], token: &str, apis: &[&str]) {
    let first = calls.iter().find(|call| apis.contains(&call["api"].as_str().unwrap())).unwrap();
    assert_eq!(first["api"], token, "{what}: {first}");
    let refused =
        |call: &&Value| call["injected"].is_null() && matches!(call["status"].as_u64(), Some(400 | 401 | 403));
    assert_eq!(calls.iter().find(refused), None, "{what}");
}

/// T35, P12: the very next call uses the rotated Secret. The old one, and every token that was won with it, is void at the same
/// moment, so that any use of it would be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_used_by_the_very_next_call_and_the_old_one_never_again() {
    let stage = Stage::prepare_with("rotation", |setup| {
        calm(setup);
        trace(setup);
    })
    .await;
    stage.connect("2m").await;
    let goto = ["goto-auth", "goto-admin", "goto-api", "connector"];
    let new = |what: &str| format!("NEW-canary-{what}");
    let (client, token, entra) = (new("client"), new("token"), new("entra"));

    let secret = format!("/goto/clients/{}/secret", test::GOTO_CLIENT_ID);
    Hand::World(secret, json!(client)).act(&stage).await;
    let since = void_tokens_of(&stage, "goto").await;
    put_secret(&stage, GOTO, &[ID, ("clientSecret", &client), REFRESH]).await;
    only_new_credentials("client secret", &calls_after(&stage, since).await, "goto-auth", &goto);

    let grant = |token: &str| format!("/goto/refreshTokens/{token}");
    let renamed = json!([{"op": "move", "from": grant(test::GOTO_REFRESH_TOKEN), "path": grant(&token)}]);
    stage.control().patch_world(&renamed).await.unwrap();
    let since = void_tokens_of(&stage, "goto").await;
    put_secret(&stage, GOTO, &[ID, ("clientSecret", &client), ("refreshToken", &token)]).await;
    only_new_credentials("refresh token", &calls_after(&stage, since).await, "goto-auth", &goto);

    let secrets = format!("/tenant/applications/{}/secrets", test::ENTRA_CLIENT_ID);
    Hand::World(secrets, json!([{"value": entra}])).act(&stage).await;
    let since = void_tokens_of(&stage, "tenant").await;
    put_secret(&stage, ENTRA, &[("clientSecret", &entra)]).await;
    only_new_credentials("Entra's secret", &calls_after(&stage, since).await, "entra", &["entra", "graph"]);
    assert_discreet(&stage).await;
}

/// Whether the operator may write Secrets, as the API server sees it.
async fn may_store(stage: &Stage) -> bool {
    let namespace = stage.environment.namespace();
    let account = &stage.environment.operator().rendered().service_account;
    let attributes =
        json!({"namespace": namespace, "verb": "patch", "resource": "secrets", "name": "teams-connector-tokens"});
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let review = json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": attributes}});
    let reviews: Api<SubjectAccessReview> = Api::all(stage.environment.client().clone());
    let review = reviews.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    review.status.unwrap().allowed
}

/// Gives or takes the right to write Secrets, and returns when the API server has noticed.
async fn allow_storing(stage: &Stage, allowed: bool) {
    let mut role = stage.environment.release().of_kind("Role").next().unwrap().clone();
    if !allowed {
        let about_secrets = |rule: &Value| rule["resources"].as_array().unwrap().contains(&json!("secrets"));
        for rule in role.data["rules"].as_array_mut().unwrap().iter_mut().filter(|rule| about_secrets(rule)) {
            rule["verbs"] = json!(["get"]);
        }
    }
    stage.environment.apply(&[role]).await.unwrap();
    let noticed = async { while may_store(stage).await != allowed {} };
    tokio::time::timeout(std::time::Duration::from_mins(1), noticed).await.unwrap();
}

/// What is stored for the account.
async fn stored(stage: &Stage) -> Option<Value> {
    let secret = secrets(stage).get_opt("teams-connector-tokens").await.unwrap()?;
    let account = stage.get("tca", ACCOUNT).await;
    let value = secret.data?.remove(account["metadata"]["uid"].as_str().unwrap())?;
    serde_json::from_slice(&value.0).ok()
}

/// T37: a rotated refresh token is stored before the access token that came with it is used; without the right to store it
/// nothing is called. It survives a restart, and a token that people put into the Secret wins over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_refresh_token_is_stored_before_it_is_used() {
    let stage = Stage::prepare_with("stored", calm).await;
    stage.connect("4m").await;
    let watch = stage.watch(stage.picture().await);
    allow_storing(&stage, false).await;
    stage.control().edit(&json!({"edit": "rotateRefreshTokens"})).await.unwrap();
    let since = void_tokens_of(&stage, "goto").await;
    let goal = stage.full_readings().await + 2;
    stage.advance_until("two readings", "30s", 20, async || stage.full_readings().await >= goal).await;
    let journal = stage.control().journal(&format!("since={since}")).await.unwrap();
    let calls = journal["calls"].as_array().unwrap().clone();
    let good = |api: &str| calls.iter().filter(|call| call["api"] == api && call["status"] == 200).count();
    assert!(good("goto-auth") > 0);
    assert_eq!((good("goto-admin"), good("goto-api"), good("connector")), (0, 0, 0), "used before it was stored");
    assert_eq!(stored(&stage).await, None);

    allow_storing(&stage, true).await;
    stage.rest().await;
    let kept = stored(&stage).await.unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(test::GOTO_REFRESH_TOKEN);
    assert_eq!(kept["sourceSha256"], hex::encode(digest));
    let world = stage.control().world().await.unwrap();
    let tokens = world["goto"]["refreshTokens"].as_object().unwrap();
    let rotated = kept["refreshToken"].as_str().unwrap().to_owned();
    assert!(tokens.contains_key(&rotated) && tokens.len() == 2, "rotated once: {:?}", tokens.keys());

    stage.environment.operator().kill().await.unwrap();
    let grant = |token: &str| format!("/goto/refreshTokens/{token}");
    let retired = |token: &str| json!({"op": "add", "path": format!("{}/revoked", grant(token)), "value": true});
    stage.control().patch_world(&json!([retired(test::GOTO_REFRESH_TOKEN)])).await.unwrap();
    let since = stage.control().last_sequence().await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    let all = ["goto-auth", "goto-admin", "goto-api", "connector"];
    only_new_credentials("after a restart", &calls_after(&stage, since).await, "goto-auth", &all);

    let copied = json!({"op": "copy", "from": grant(&rotated), "path": grant("put-by-people")});
    stage.control().patch_world(&json!([copied, retired(&rotated)])).await.unwrap();
    let since = void_tokens_of(&stage, "goto").await;
    put_secret(&stage, GOTO, &[ID, SECRET, ("refreshToken", "put-by-people")]).await;
    only_new_credentials("a changed Secret", &calls_after(&stage, since).await, "goto-auth", &all);
    assert_eq!(watch.end().await, Vec::<String>::new());
}
