use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::clients::error::Class;
use crate::clients::listing::IncompleteCause;
use crate::clients::testing::{Answer, Bench, Seen, TENANT, answer, ok};
use uuid::Uuid;

const USER_1: &str = "00000000-0000-4000-8000-000000000001";
const FIRST_DELTA: &str = "GET /v1.0/users/delta?$select=id%2CuserPrincipalName%2Cmail%2CdisplayName%2CaccountEnabled\
    %2CuserType%2CusageLocation%2CassignedPlans";

fn error(status: u16, code: &str) -> Answer {
    answer(status, json!({"error": {"code": code, "message": "text"}}).to_string())
}

/// `{graph}` in a body stands for the server.
fn page(seen: &Seen, body: &Value) -> Answer {
    answer(200, body.to_string().replace("{graph}", &format!("http://{}", seen.header("host"))))
}

fn delta_user() -> Value {
    json!({"id": USER_1, "userPrincipalName": "a@contoso.com", "mail": null, "assignedPlans": [
        {"capabilityStatus": "Enabled", "servicePlanId": "4828c8ec-dc2e-4779-b502-87ac9ce28ab7"}]})
}

#[tokio::test]
async fn the_token_is_asked_for_with_the_client_secret() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| ok(&json!({"value": []})))).await;
    bench.graph().subscribed_skus().await.unwrap();
    let token = &bench.seen()[0];
    assert_eq!(token.line(), format!("POST /{TENANT}/oauth2/v2.0/token"));
    assert_eq!(token.header("content-type"), "application/x-www-form-urlencoded");
    let scope: String = url::form_urlencoded::byte_serialize(format!("{}.default", bench.url).as_bytes()).collect();
    assert_eq!(
        token.body,
        format!("client_id=entra-client&client_secret=entra+s%2Bcret&grant_type=client_credentials&scope={scope}")
    );
    let call = &bench.seen()[1];
    assert_eq!((call.line().as_str(), call.header("authorization")), ("GET /v1.0/subscribedSkus", "Bearer at-0"));
    assert!(Uuid::try_parse(call.header("client-request-id")).is_ok());
}

#[tokio::test]
async fn a_delta_round_follows_its_links_verbatim_and_gives_a_cursor() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "$skiptoken=a%2Bb" => {
            Some(page(seen, &json!({"value": [], "@odata.nextLink": "{graph}/v1.0/users/delta?$skiptoken=c"})))
        }
        "$skiptoken=c" => Some(page(
            seen,
            &json!({"value": [{"id": USER_1, "@removed": {"reason": "changed"}}],
            "@odata.deltaLink": "{graph}/v1.0/users/delta?$deltatoken=d"}),
        )),
        "$deltatoken=d" => {
            Some(page(seen, &json!({"value": [], "@odata.deltaLink": "{graph}/v1.0/users/delta?$deltatoken=e"})))
        }
        _ if seen.is_token_call() => None,
        _ => Some(page(
            seen,
            &json!({"value": [delta_user()], "@odata.nextLink": "{graph}/v1.0/users/delta?$skiptoken=a%2Bb"}),
        )),
    })
    .await;
    let graph = bench.graph();
    let (changes, cursor) = graph.users_delta(None, Some).await.unwrap().into_parts();
    assert_eq!(changes.items().len(), 2);
    assert!(changes.items()[1].removed.is_some());
    let (changes, _) = graph.users_delta(Some(&cursor), Some).await.unwrap().into_parts();
    assert!(changes.items().is_empty());
    let delta = |query: &str| format!("GET /v1.0/users/delta?{query}");
    let expected = [FIRST_DELTA.to_owned(), delta("$skiptoken=a%2Bb"), delta("$skiptoken=c"), delta("$deltatoken=d")];
    assert_eq!(bench.lines(), expected);
}

/// T30: a page that just stops is not the end of a round.
#[tokio::test]
async fn a_delta_round_without_a_cursor_at_its_end_is_cut_short() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| ok(&json!({"value": [delta_user()]})))).await;
    let incomplete = bench.graph().users_delta(None, Some).await.unwrap_err();
    assert!(matches!(incomplete.cause, IncompleteCause::Truncated));
}

/// R5: somebody of whom only the id is told, as where a right is missing, is not gone; who is removed has no more than that.
#[tokio::test]
async fn a_user_without_a_name_makes_the_round_incomplete() {
    let round = async |user: Value| {
        let bench = Bench::start(move |seen| {
            let body = json!({"value": [user], "@odata.deltaLink": "{graph}/v1.0/users/delta?$deltatoken=d"});
            (!seen.is_token_call()).then(|| page(seen, &body))
        });
        bench.await.graph().users_delta(None, Some).await.map(|round| round.into_parts().0.items().len())
    };
    let nameless = json!({"id": USER_1, "userPrincipalName": null, "mail": null});
    let incomplete = round(nameless).await.unwrap_err();
    assert!(matches!(incomplete.cause, IncompleteCause::PropertyMissing), "{incomplete:?}");
    assert_eq!(round(json!({"id": USER_1, "@removed": {"reason": "deleted"}})).await.unwrap(), 1);
}

/// S10: the access token must not travel to another host.
#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    for link in
        ["http://evil.example/v1.0/users/delta?t=1", "http://a:b@{host}/v1.0/users", "https://{host}/v1.0/users"]
    {
        let bench = Bench::start(move |seen| {
            let link = link.replace("{host}", seen.header("host"));
            (!seen.is_token_call()).then(|| ok(&json!({"value": [], "@odata.nextLink": link})))
        })
        .await;
        let incomplete = bench.graph().users_delta(None, Some).await.unwrap_err();
        assert!(matches!(incomplete.cause, IncompleteCause::ForeignLink), "{link}");
        let incomplete = bench.graph().user_configurations(Some).await.err().unwrap();
        assert!(matches!(incomplete.cause, IncompleteCause::ForeignLink), "{link}");
        assert_eq!(bench.lines().len(), 2);
    }
}

/// T34: a dead cursor is the caller's to drop, together with its base.
#[tokio::test]
async fn a_dead_cursor_asks_for_a_full_listing() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "$deltatoken=d" => Some(error(410, "syncStateNotFound")),
        _ if seen.is_token_call() => None,
        _ => Some(page(seen, &json!({"value": [], "@odata.deltaLink": "{graph}/v1.0/users/delta?$deltatoken=d"}))),
    })
    .await;
    let graph = bench.graph();
    let (_, cursor) = graph.users_delta(None, Some).await.unwrap().into_parts();
    assert_eq!(graph.users_delta(Some(&cursor), Some).await.unwrap_err().class(), Class::Resync);
    assert_eq!(bench.lines().len(), 2);
}

#[tokio::test]
async fn a_full_round_whose_token_dies_is_begun_once_more() {
    let firsts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&firsts);
    let bench = Bench::start(move |seen| match seen.query.as_str() {
        "$skiptoken=a" => Some(error(400, "Directory_ExpiredPageToken")),
        _ if seen.is_token_call() => None,
        _ if counted.fetch_add(1, Ordering::SeqCst) == 0 => Some(page(
            seen,
            &json!({"value": [delta_user()], "@odata.nextLink": "{graph}/v1.0/users/delta?$skiptoken=a"}),
        )),
        _ => Some(page(seen, &json!({"value": [], "@odata.deltaLink": "{graph}/v1.0/users/delta?$deltatoken=d"}))),
    })
    .await;
    let (changes, _) = bench.graph().users_delta(None, Some).await.unwrap().into_parts();
    assert!(changes.items().is_empty(), "nothing of the broken round is left");
    assert_eq!(firsts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_listing_whose_page_token_expires_twice_is_incomplete() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "$skiptoken=a" => Some(error(400, "Directory_ExpiredPageToken")),
        _ if seen.is_token_call() => None,
        _ => Some(page(seen, &json!({"value": [], "@odata.nextLink": "{graph}/v1.0/x?$skiptoken=a"}))),
    })
    .await;
    let incomplete = bench.graph().user_configurations(Some).await.err().unwrap();
    assert!(matches!(incomplete.cause, IncompleteCause::ExpiredPageToken));
    assert_eq!(incomplete.class(), Class::Retry);
    assert_eq!(bench.lines().len(), 4);
}

#[tokio::test]
async fn user_configurations_name_the_users_whom_teams_cannot_serve() {
    let bench = Bench::start(|seen| {
        let item = json!({"id": USER_1, "accountType": "ineligibleUser", "isEnterpriseVoiceEnabled": true,
            "telephoneNumbers": [{"telephoneNumber": "+12065550100", "assignmentCategory": "primary"}]});
        (!seen.is_token_call()).then(|| ok(&json!({"value": [item]})))
    })
    .await;
    let found = bench.graph().user_configurations(Some).await.unwrap();
    assert_eq!(found.items()[0].account_type.as_deref(), Some("ineligibleUser"));
    let call = bench.seen().pop().unwrap();
    assert_eq!(call.line(), "GET /v1.0/admin/teams/userConfigurations");
    assert_eq!(call.header("prefer"), "include-unknown-enum-members");
}

fn number(id: usize) -> Value {
    json!({"id": format!("n{id}"), "telephoneNumber": format!("+1206555010{id}"), "numberType": "directRouting"})
}

const NUMBERS: &str = "GET /v1.0/admin/teams/telephoneNumberManagement/numberAssignments";

/// A short page is no proof of the end.
#[tokio::test]
async fn numbers_without_a_link_are_skipped_through_to_an_empty_page() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "$top=1000" => Some(ok(&json!({"value": [number(1), number(2)]}))),
        "$top=1000&$skip=2" => Some(ok(&json!({"value": [number(3)]}))),
        "$top=1000&$skip=3" => Some(ok(&json!({"value": []}))),
        _ => None,
    })
    .await;
    assert_eq!(bench.graph().number_assignments(Some).await.unwrap().items().len(), 3);
    let skipped = |skip: &str| format!("{NUMBERS}?$top=1000{skip}");
    assert_eq!(bench.lines(), [skipped(""), skipped("&$skip=2"), skipped("&$skip=3")]);
}

#[tokio::test]
async fn numbers_with_links_end_with_the_last_link() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "$top=1000" => Some(page(seen, &json!({"value": [number(1)], "@odata.nextLink": "{graph}/next?t=1"}))),
        "t=1" => Some(ok(&json!({"value": [number(2)]}))),
        _ => None,
    })
    .await;
    assert_eq!(bench.graph().number_assignments(Some).await.unwrap().items().len(), 2);
    assert_eq!(bench.lines().len(), 2);
}

#[tokio::test]
async fn numbers_that_do_not_heed_the_skip_are_incomplete() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| ok(&json!({"value": [number(1)]})))).await;
    let incomplete = bench.graph().number_assignments(Some).await.err().unwrap();
    assert!(matches!(incomplete.cause, IncompleteCause::PageDidNotAdvance));
}

#[tokio::test]
async fn a_count_that_the_items_do_not_reach_is_a_mismatch() {
    let bench =
        Bench::start(|seen| (!seen.is_token_call()).then(|| ok(&json!({"value": [], "@odata.count": 3})))).await;
    let incomplete = bench.graph().user_configurations(Some).await.err().unwrap();
    assert!(matches!(incomplete.cause, IncompleteCause::CountMismatch { expected: 3, got: 0 }));
}

/// S16, T29.
#[tokio::test]
async fn the_permissions_that_a_tenant_has_not_given_are_named() {
    const OWN: &str = "33333333-cccc-4333-8333-333333333333";
    const GRAPH_OBJECT: &str = "00000000-0000-4000-8000-0000000000b2";
    let bench = Bench::start(|seen| {
        let row = |role: &str, resource: &str| json!({"id": "x", "appRoleId": role, "resourceId": resource});
        match seen.path.as_str() {
            "/v1.0/servicePrincipals(appId='33333333-cccc-4333-8333-333333333333')" => {
                Some(ok(&json!({"id": "00000000-0000-4000-8000-0000000000b1", "appId": OWN})))
            }
            "/v1.0/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')" => {
                Some(ok(&json!({"id": GRAPH_OBJECT, "appId": GRAPH_APP_ID})))
            }
            "/v1.0/servicePrincipals/00000000-0000-4000-8000-0000000000b1/appRoleAssignments" => {
                Some(ok(&json!({"value": [
                row("df021288-bdef-4463-88db-98f22de89214", GRAPH_OBJECT),
                row("39b17d18-680c-41f4-b9c2-5f30629e7cb6", GRAPH_OBJECT),
                row("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", GRAPH_OBJECT),
                row("a91eadaf-2c3c-4362-908b-fb172d208fc6", USER_1)]})))
            }
            _ => None,
        }
    })
    .await;
    let missing = bench.graph().own_permissions(OWN).await.unwrap().missing();
    let names: Vec<_> = missing.iter().map(|permission| permission.name).collect();
    assert_eq!(names, ["LicenseAssignment.Read.All", "TeamsUserConfiguration.Read.All"]);
    assert!(bench.lines()[0].ends_with("?$select=id%2CappId"));
    let refused = bench.graph().own_permissions("x') or ('").await.unwrap_err();
    assert_eq!(refused.class(), Class::Permanent);
}

#[tokio::test]
async fn a_refused_permission_is_named_by_the_route() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| error(403, "forbidden"))).await;
    let graph = bench.graph();
    let class = graph.number_assignments(Some).await.err().unwrap().class();
    assert_eq!(class, Class::Permission("TeamsTelephoneNumber.Read.All".to_owned()));
    let class = graph.user(USER_1.parse().unwrap()).await.err().unwrap().class();
    assert_eq!(class, Class::Permission("User.Read.All".to_owned()));
}

#[test]
fn each_needed_permission_is_there_once_and_reads_only() {
    let ids: std::collections::BTreeSet<_> = NEEDED_PERMISSIONS.iter().map(|permission| permission.app_role).collect();
    assert_eq!(ids.len(), NEEDED_PERMISSIONS.len());
    assert!(NEEDED_PERMISSIONS.iter().all(|permission| permission.name.ends_with(".Read.All")));
}
