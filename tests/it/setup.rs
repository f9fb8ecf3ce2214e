//! Guide steps 9 to 20: from an untouched connector to Ready, with every human where the guide has one.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use teams_connector_operator::sim::world::test_credentials as test;

use crate::stage::{ACCOUNT, Stage};

/// The world before anybody opened the dashboard: the integration is bought for two PBXs, and nothing else was done.
async fn untouched(name: &str) -> Stage {
    let stage = Stage::prepare_with(name, |setup| {
        setup.simulator.iter_mut().filter(|flag| *flag == "--demo").for_each(|flag| "--untouched".clone_into(flag));
    })
    .await;
    let spec = json!({
        "pbxs": [
            {"organizationId": test::ORGANIZATION_ID, "displayName": "Head office"},
            {"organizationId": test::BRANCH_ID, "displayName": "Branch"}
        ],
        "administrators": [{"email": "joao@contoso.example", "role": "SyncOperator"}],
        "domain": {"activation": {"usageLocation": "PT"}}
    });
    stage.environment.apply(&stage.samples("5m")).await.unwrap();
    stage.patch("tca", ACCOUNT, &json!({"spec": spec})).await;
    stage.environment.operator().start_ready().await.unwrap();
    stage
}

/// What humans must do now: who, what, and where.
async fn pending(stage: &Stage) -> Vec<(String, String, Option<String>)> {
    let account = stage.get("tca", ACCOUNT).await;
    let text = |action: &Value, field: &str| action[field].as_str().map(str::to_owned);
    let actions = account["status"]["pendingActions"].as_array().cloned().unwrap_or_default();
    let told = |it: &Value| (text(it, "actor").unwrap(), text(it, "id").unwrap(), text(it, "link"));
    actions.iter().map(told).collect()
}

async fn waits_for(stage: &Stage, actor: &str, id: &str) -> Option<String> {
    let what = format!("{actor} is asked: {id}");
    stage
        .advance_until(&what, "30s", 60, async || {
            pending(stage).await.iter().any(|(who, action, _)| who == actor && action == id)
        })
        .await;
    pending(stage).await.into_iter().find(|(_, action, _)| action == id).unwrap().2
}

/// Guide steps 6 to 20, R21: card 1, invitation, administrators, two PBXs, switches, consents, import, domains with their temporary
/// users, and verification, each in its turn, each once. A human is asked for what only a human can do, and told where; the two
/// spare seats come back.
#[tokio::test(flavor = "multi_thread")]
async fn from_an_untouched_connector_to_ready() {
    let stage = untouched("untouched").await;
    let seats = spare_seats(&stage).await;
    waits_for(&stage, "Manager", "AcceptInvitation").await;
    waits_for(&stage, "GlobalAdministrator", "GrantConsent").await;
    // It is asked for once somebody is.
    let leads = |link: &Option<String>| link.as_ref().is_some_and(|link| link.starts_with(stage.control().url()));
    let linked = async || pending(&stage).await.iter().any(|(_, id, link)| id == "GrantConsent" && leads(link));
    stage.advance_until("the link leads to the connector", "30s", 20, linked).await;
    let account = stage.get("tca", ACCOUNT).await;
    let permission = &account["status"]["consents"][0]["permissions"][0];
    assert!(permission["reason"].is_string(), "he sees what he consents to: {permission}");
    assert_eq!(reason(&account, "AdministratorsReady"), Some("WaitingForPrerequisite"));

    stage.control().human("acceptInvitation").await.unwrap();
    waits_for(&stage, "Manager", "RemindAdministrators").await;
    stage.control().human("grantConsent").await.unwrap();
    stage.advance_until("the temporary users hold the seats", "2m", 60, async || spare_seats(&stage).await == 0).await;
    let settled = async || {
        let account = stage.get("tca", ACCOUNT).await;
        let holds = |kind: &str| condition(&account, kind) == Some("True");
        holds("ConnectionVerified") && holds("DomainActivated") && holds("TemporaryUserRemoved")
    };
    stage.advance_until("the connection is verified", "10m", 60, settled).await;
    assert_eq!(spare_seats(&stage).await, seats, "the license count is back at its start");
    stage.finish(2).await;
    let left: Vec<_> = pending(&stage).await.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(left, ["RemindAdministrators"], "an administrator who never accepts does not stop telephony");
    stage.control().human("acceptAdministrator").await.unwrap();
    let ready = async || condition(&stage.get("tca", ACCOUNT).await, "Ready") == Some("True");
    stage.advance_until("the account is ready", "1m", 30, ready).await;
    insta::assert_snapshot!(counted(&stage).await, @r"
    4 connector PATCH P/services/teams
    1 connector POST A/administrators/{email}/invitation
    1 connector POST A/consents/requests
    1 connector POST A/invitation
    1 connector POST A/push-authorization/requests
    2 connector POST A/syncs
    1 connector POST P/users:batch
    2 connector POST P/verifications
    1 connector PUT A
    1 connector PUT A/administrators/{email}
    2 connector PUT A/domains/{name}/verification
    2 connector PUT P
    2 graph DELETE /v1.0/users/{id}
    2 graph POST /v1.0/domains
    2 graph POST /v1.0/domains/{id}/verify
    2 graph POST /v1.0/users
    4 graph POST /v1.0/users/{id}/assignLicense
    ");
}

/// Free seats of the product that the temporary users get.
async fn spare_seats(stage: &Stage) -> i64 {
    let world = stage.control().world().await.unwrap();
    let skus = world["tenant"]["skus"].as_object().unwrap();
    let (id, sku) = skus.iter().find(|(_, sku)| sku["partNumber"] == "ENTERPRISEPACK").unwrap();
    let users = world["tenant"]["users"].as_object().unwrap().values();
    let used = users.filter(|user| user.to_string().contains(id.as_str())).count();
    sku["enabledUnits"].as_i64().unwrap() - i64::try_from(used).unwrap()
}

/// How often each call of the set-up changed something.
async fn counted(stage: &Stage) -> String {
    let mut counts = BTreeMap::<String, u32>::new();
    for call in stage.control().writes_since(0).await.unwrap() {
        let text = |field: &str| call[field].as_str().unwrap().to_owned();
        // Whether a deleted user can be deleted for good at once is the tenant's affair.
        if text("route").contains("deletedItems") {
            continue;
        }
        let route = text("route").replace("/accounts/{accountKey}", "A").replace("A/pbxs/{organizationId}", "P");
        *counts.entry(format!("{} {} {route}", text("api"), text("method"))).or_default() += 1;
    }
    counts.iter().map(|(call, count)| format!("{count} {call}")).collect::<Vec<_>>().join("\n")
}
