//! Guide steps 9 to 20: from an untouched connector to Ready, with every human where the guide has one.

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::connect::connector_writes;
use crate::stage::{ACCOUNT, Stage};

/// The samples' world before anybody opened the dashboard: the integration is bought, and nothing else was done in the connector.
async fn untouched(name: &str) -> Stage {
    let stage = Stage::prepare(name).await;
    let mut world = stage.control().world().await.unwrap();
    for connector in world["connectors"].as_object_mut().unwrap().values_mut() {
        for gone in ["record", "pushAuthorization", "links", "administrators", "runs", "imported", "answers"] {
            connector.as_object_mut().unwrap().remove(gone);
        }
        connector["importedVersion"] = json!(0);
        for consent in connector["consents"].as_array_mut().unwrap() {
            for gone in ["grantedBy", "grantedAt", "link"] {
                consent.as_object_mut().unwrap().remove(gone);
            }
            consent["state"] = json!("NotRequested");
        }
        for pbx in connector["pbxs"].as_object_mut().unwrap().values_mut() {
            pbx["boundAt"] = Value::Null;
            pbx["verification"] = Value::Null;
            pbx["syncEnabled"] = json!(false);
            pbx["serviceEnabled"] = json!(false);
        }
    }
    stage.control().put("/world", &world).await.unwrap();
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

/// Guide steps 11 to 20: card 1, invitation, administrators, PBX, switches, consents, import and verification, each in its turn,
/// each once; a human is asked for what only a human can do, and told where.
#[tokio::test(flavor = "multi_thread")]
async fn from_an_untouched_connector_to_ready() {
    let stage = untouched("untouched").await;
    stage.environment.apply(&stage.samples("2m")).await.unwrap();
    let administrators = json!([{"email": "joao@contoso.example", "role": "SyncOperator"}]);
    stage.patch("tca", ACCOUNT, &json!({"spec": {"administrators": administrators}})).await;
    stage.environment.operator().start_ready().await.unwrap();

    waits_for(&stage, "Manager", "AcceptInvitation").await;
    let link = waits_for(&stage, "GlobalAdministrator", "GrantConsent").await;
    assert!(link.unwrap().starts_with(stage.control().url()), "the link leads to the connector");
    let account = stage.get("tca", ACCOUNT).await;
    let permission = &account["status"]["consents"][0]["permissions"][0];
    assert!(permission["reason"].is_string(), "he sees what he consents to: {permission}");
    assert_eq!(reason(&account, "AdministratorsReady"), Some("WaitingForPrerequisite"));

    stage.control().human("acceptInvitation").await.unwrap();
    waits_for(&stage, "Manager", "RemindAdministrators").await;
    while let Some(link) = waits_or_none(&stage, "GrantConsent").await {
        stage.control().click(&link).await.unwrap();
        stage.advance("2m").await;
    }
    stage.finish(2).await;
    let account = stage.get("tca", ACCOUNT).await;
    let left: Vec<_> = pending(&stage).await.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(left, ["RemindAdministrators"], "an administrator who never accepts does not stop telephony");
    assert_eq!(condition(&account, "AdministratorsReady"), Some("False"));
    assert_eq!(condition(&account, "Ready"), Some("False"));

    let writes = connector_writes(&stage, 0).await;
    let set_up: Vec<_> =
        writes.iter().map(|write| short(write)).filter(|write| !write.contains("users:batch")).collect();
    insta::assert_snapshot!(set_up.join("\n"), @r"
    PUT A
    POST A/invitation
    PUT P
    PATCH P/services/teams
    PATCH P/services/teams
    POST A/consents/requests
    PUT A/administrators/{email}
    POST A/administrators/{email}/invitation
    POST A/syncs
    POST P/verifications
    POST A/push-authorization/requests
    POST A/syncs
    ");
}

async fn waits_or_none(stage: &Stage, id: &str) -> Option<String> {
    pending(stage).await.into_iter().find(|(_, action, _)| action == id).and_then(|(_, _, link)| link)
}

fn short(write: &str) -> String {
    write.replace("/accounts/{accountKey}", "A").replace("A/pbxs/{organizationId}", "P")
}
