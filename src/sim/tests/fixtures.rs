use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::clients::goto::wire as goto;
use crate::clients::graph::wire as graph;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// What the type keeps of a sample it keeps unchanged, and it keeps every named field.
fn round_trips<T: Serialize + DeserializeOwned>(name: &str, kept: &[&str]) {
    let sample = fixture(name);
    let typed: T = serde_json::from_value(sample.clone()).unwrap();
    let again = serde_json::to_value(&typed).unwrap();
    assert_within(&again, &sample, name);
    for pointer in kept {
        assert_eq!(again.pointer(pointer), sample.pointer(pointer), "{name} {pointer}");
        assert!(again.pointer(pointer).is_some(), "{name} {pointer}");
    }
}

fn assert_within(part: &Value, whole: &Value, place: &str) {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            for (name, value) in part {
                assert_within(value, whole.get(name).unwrap_or(&Value::Null), &format!("{place}/{name}"));
            }
        }
        (Value::Array(part), Value::Array(whole)) => {
            assert_eq!(part.len(), whole.len(), "{place}");
            part.iter().zip(whole).for_each(|(part, whole)| assert_within(part, whole, place));
        }
        _ => assert_eq!(part, whole, "{place}"),
    }
}

#[test]
fn published_samples_of_goto_fit_the_wire_types() {
    round_trips::<goto::TokenReply>(
        "goto/token_refresh.json",
        &["/access_token", "/expires_in", "/scope", "/principal"],
    );
    round_trips::<goto::TokenReply>("goto/token_pat.json", &["/loa", "/token_type"]);
    round_trips::<goto::TokenReply>("goto/token_code.json", &["/refresh_token"]);
    round_trips::<goto::TokenError>("goto/token_error.json", &["/error", "/error_description"]);
    round_trips::<goto::ErrorBody>("goto/error.json", &["/errorCode", "/message", "/reference"]);
    round_trips::<goto::Me>("goto/me.json", &["/accountKey", "/accounts/0/key", "/accounts/0/name"]);
    let user = ["/results/0/key", "/results/0/email", "/results/0/adminRoles", "/fromIndex", "/toIndex", "/total"];
    round_trips::<goto::AdminPage<goto::AdminUser>>("goto/admin_users.json", &user);
    let lines = ["/items/0/userKey", "/items/0/lines/0/organization/id", "/items/1/lines", "/nextPageMarker"];
    round_trips::<goto::MarkerPage<goto::UserLines>>("goto/users.json", &lines);
    let number = ["/items/0/number", "/items/0/routeTo/type", "/items/0/status"];
    round_trips::<goto::MarkerPage<goto::PhoneNumber>>("goto/phone_numbers.json", &number);
    round_trips::<goto::MarkerPage<goto::Extension>>("goto/extensions.json", &["/items/0/number", "/items/0/type"]);
}

#[test]
fn published_samples_of_microsoft_fit_the_wire_types() {
    round_trips::<graph::TokenReply>("graph/token.json", &["/token_type", "/expires_in", "/access_token"]);
    round_trips::<graph::TokenError>("graph/token_error.json", &["/error", "/error_description", "/error_codes/0"]);
    round_trips::<graph::ErrorBody>("graph/error.json", &["/error/code", "/error/message", "/error/innerError/code"]);
    round_trips::<graph::ErrorBody>("graph/teams_forbidden.json", &["/error/code", "/error/innerError"]);
    let sku = ["/value/0/skuId", "/value/0/consumedUnits", "/value/0/prepaidUnits/enabled"];
    round_trips::<graph::Page<graph::SubscribedSku>>("graph/subscribed_skus.json", &sku);
    let user = ["/value/0/userPrincipalName", "/value/0/assignedPlans/0/servicePlanId", "/@odata.nextLink"];
    round_trips::<graph::Page<graph::User>>("graph/users.json", &user);
    let gone = ["/value/0/@removed/reason", "/@odata.deltaLink"];
    round_trips::<graph::Page<graph::User>>("graph/users_delta.json", &gone);
    let number = ["/value/0/telephoneNumber", "/value/0/assignmentTargetId", "/value/0/assignmentStatus"];
    round_trips::<graph::Page<graph::NumberAssignment>>("graph/number_assignments.json", &number);
    let configuration = ["/telephoneNumbers/0/telephoneNumber", "/isEnterpriseVoiceEnabled", "/featureTypes/0"];
    round_trips::<graph::UserConfiguration>("graph/user_configuration.json", &configuration);
    let role = ["/value/0/appRoleId", "/value/0/resourceId"];
    round_trips::<graph::Page<graph::AppRoleAssignment>>("graph/app_role_assignments.json", &role);
}

/// The simulator's own answers fit the types, too, hostile days included.
#[tokio::test]
async fn what_the_simulator_sends_fits_the_wire_types() {
    let bench = Bench::demo().await;
    let (goto_token, graph_token) = (bench.goto_token().await, bench.graph_token().await);
    let users = format!("/users/v1/users?accountKey={}", test::ACCOUNT_KEY);
    let body = bench.ok(Api::GotoApi, &users, &goto_token).await;
    let page: goto::MarkerPage<goto::UserLines> = serde_json::from_value(body).unwrap();
    assert_eq!(page.items.len(), 7);
    let body = bench.ok(Api::Graph, "/v1.0/users/delta", &graph_token).await;
    let page: graph::Page<graph::User> = serde_json::from_value(body).unwrap();
    assert!(page.value.iter().all(|user| user.assigned_plans.as_ref().is_some_and(|plans| !plans.is_empty())));
}
