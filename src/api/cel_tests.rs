//! The CEL rules of the CRDs, run without an API server: for each rule an object that it lets pass and one that it refuses.

use std::collections::BTreeSet;

use kube::core::cel::Validator;
use serde_json::{Value, json};

use super::all_crds;

/// A change that exactly one rule refuses.
struct Bad {
    kind: &'static str,
    /// Pointer and new value; `None` takes the field away.
    change: (&'static str, Option<Value>),
    /// Whether the good object is the old one.
    update: bool,
    message: &'static str,
}

fn bad(kind: &'static str, pointer: &'static str, value: impl Into<Option<Value>>, message: &'static str) -> Bad {
    Bad { kind, change: (pointer, value.into()), update: false, message }
}

fn edit(kind: &'static str, pointer: &'static str, value: impl Into<Option<Value>>, message: &'static str) -> Bad {
    Bad { kind, change: (pointer, value.into()), update: true, message }
}

fn long_name() -> Value {
    json!("a-name-that-is-one-longer-than-forty-char")
}

fn samples() -> Vec<Bad> {
    let (account, policy) = ("TeamsConnectorAccount", "UserSyncPolicy");
    let interval = "interval must be between 1m and 24h";
    vec![
        bad(account, "/metadata/name", long_name(), "the name of an account has at most 40 characters"),
        bad(account, "/spec/interval", json!("59s"), interval),
        bad(account, "/spec/interval", json!("24h1s"), interval),
        bad(
            account,
            "/spec/microsoft365/credentials/clientSecret",
            None,
            "exactly one kind of credentials is needed: set clientSecret",
        ),
        bad(account, "/spec/connector/api", None, "driver Api needs api.endpoint"),
        edit(
            account,
            "/spec/goto/accountKey",
            json!("7777777777777777777"),
            "accountKey cannot be changed: create a second account object instead",
        ),
        edit(
            account,
            "/spec/microsoft365/tenantId",
            json!("77777777-7777-4777-8777-777777777777"),
            "tenantId cannot be changed: create a second account object instead",
        ),
        edit(
            account,
            "/spec/connector/driver",
            json!("Guided"),
            "driver cannot be changed: create a second account object instead",
        ),
        bad(policy, "/metadata/name", long_name(), "the name of a policy has at most 40 characters"),
        bad(policy, "/spec/matching/automatic", None, "matching needs at least one process: set automatic or manual"),
        edit(
            policy,
            "/spec/accountRef/name",
            json!("fabrikam"),
            "accountRef cannot be changed: create another policy instead",
        ),
        edit(
            policy,
            "/spec/pbx/organizationId",
            json!("77777777-7777-4777-8777-777777777777"),
            "pbx cannot be changed: create another policy instead",
        ),
    ]
    .into_iter()
    .chain(removal_samples())
    .collect()
}

/// Rules about losing service, and about the decision of a run.
fn removal_samples() -> Vec<Bad> {
    let (policy, run) = ("UserSyncPolicy", "UserSyncRun");
    vec![
        bad(
            policy,
            "/spec/removal/gracePeriod",
            json!("720h1s"),
            "removal.gracePeriod is at most 720h: use action Retain to keep people for longer",
        ),
        bad(
            policy,
            "/spec/removal/guard/alwaysAllow",
            json!(51),
            "guard.alwaysAllow cannot be above guard.maxCount: lower alwaysAllow or raise maxCount",
        ),
        bad(policy, "/spec/removal/guard/window", json!("59m"), "guard.window must be between 1h and 720h"),
        bad(policy, "/spec/removal/guard/window", json!("720h1s"), "guard.window must be between 1h and 720h"),
        edit(run, "/spec/actions/0/user", json!("7"), "a run is frozen: only decision and decidedBy can be set"),
        edit(
            run,
            "/spec/createdAt",
            json!("2026-03-01T08:00:01Z"),
            "a run is frozen: only decision and decidedBy can be set",
        ),
        edit(
            run,
            "/spec/decision",
            json!("Deny"),
            "decision is set once: to decide otherwise, edit the policy or delete the run, and a new run follows",
        ),
        edit(
            run,
            "/spec/decidedBy",
            json!("joao@contoso.example"),
            "decidedBy is set together with decision and not changed",
        ),
        edit(run, "/spec/decidedBy", None, "decidedBy is set together with decision and not changed"),
        bad(run, "/spec/decision", None, "decidedBy needs a decision: set decision to Approve or Deny"),
    ]
}

fn good(kind: &str) -> Value {
    let spec = match kind {
        "TeamsConnectorAccount" => json!({
            "goto": {"accountKey": "1234567890123456789", "credentialsSecretRef": {"name": "goto-login"}},
            "pbxs": [{"organizationId": "00000000-0000-4000-8000-0000000000ff"}],
            "microsoft365": {
                "tenantId": "11111111-1111-4111-8111-111111111111",
                "credentials": {"clientSecret": {
                    "clientId": "22222222-2222-4222-8222-222222222222",
                    "secretRef": {"name": "graph-login", "key": "value"}
                }}
            },
            "connector": {"driver": "Api", "api": {"endpoint": "https://connector.example.test/v1"}},
            "manager": {"firstName": "Maria", "lastName": "Silva", "email": "maria@contoso.example"},
            "interval": "15m"
        }),
        "UserSyncPolicy" => json!({
            "accountRef": {"name": "contoso"},
            "pbx": {"organizationId": "00000000-0000-4000-8000-0000000000ff"},
            "matching": {"automatic": {"teamsAttribute": "UserPrincipalName"}},
            "protectedUsers": ["ceo@contoso.example"],
            "adoption": "All",
            "deletionPolicy": "Delete",
            "removal": {"action": "Remove", "gracePeriod": "72h", "guard": {"maxPercent": 5, "maxCount": 50, "alwaysAllow": 1, "window": "48h"}}
        }),
        "UserSyncRun" => json!({
            "policyRef": {"name": "head-office"},
            "type": "Connect",
            "createdAt": "2026-03-01T08:00:00Z",
            "policyHash": format!("sha256:{}", "0b".repeat(32)),
            "actions": [{"user": "2000000000000000001", "op": "Put", "args": {}, "expected": {"inConnector": false}}],
            "planHash": format!("sha256:{}", "0a".repeat(32)),
            "decision": "Approve",
            "decidedBy": "maria@contoso.example"
        }),
        _ => json!({
            "policyRef": {"name": "head-office"},
            "gotoUserKey": "2000000000000000001",
            "managed": "None",
            "firstSeen": "2026-03-01T08:00:00Z"
        }),
    };
    json!({"apiVersion": "teamsconnector.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec})
}

fn schema(kind: &str) -> Value {
    let crd = all_crds().unwrap().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap().pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

fn refusals(kind: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let result = Validator::new().validate(&schema(kind), object, old);
    result.err().into_iter().flat_map(|errors| errors.into_vec().into_iter().map(|error| error.message)).collect()
}

fn changed(kind: &str, (pointer, value): &(&str, Option<Value>)) -> Value {
    let mut object = good(kind);
    if let Some(value) = value {
        *object.pointer_mut(pointer).unwrap() = value.clone();
    } else {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    }
    object
}

fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                found.insert(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|field| messages(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
        _ => {}
    }
}

#[test]
fn good_objects_pass_every_rule_when_created_and_when_updated() {
    for crd in all_crds().unwrap() {
        let kind = crd.spec.names.kind;
        let object = good(&kind);
        assert_eq!(refusals(&kind, &object, None), Vec::<String>::new(), "{kind}");
        assert_eq!(refusals(&kind, &object, Some(&object)), Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn each_bad_object_is_refused_by_its_rule_alone() {
    for Bad { kind, change, update, message } in samples() {
        let old = update.then(|| good(kind));
        assert_eq!(refusals(kind, &changed(kind, &change), old.as_ref()), vec![message], "{}", change.0);
    }
}

/// A rule without a bad sample might refuse nothing.
#[test]
fn every_rule_has_a_bad_sample() {
    let mut rules = BTreeSet::new();
    for crd in all_crds().unwrap() {
        messages(&schema(&crd.spec.names.kind), &mut rules);
    }
    let sampled: BTreeSet<_> = samples().iter().map(|bad| bad.message.to_owned()).collect();
    assert_eq!(rules, sampled);
}
