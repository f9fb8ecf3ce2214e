//! The development control plane is the real thing.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Resource as _};
use teams_connector_operator::devenv::{audit::Request, kubeconfig};

use crate::harness;

/// S3, S4: the token is the ServiceAccount's own, and RBAC decides. P1: each of its requests is in the audit log.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_may_do_only_what_its_role_says_and_every_request_is_counted() {
    let plane = harness::control_plane().await;
    let namespace = harness::new_namespace("rbac").await;
    let role = format!(
        "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: reader}}}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: reader}}, \
           rules: [{{apiGroups: [''], resources: [configmaps], verbs: [list]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: reader}}, \
           roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}, \
           subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]}}"
    );
    harness::apply(&namespace, &role).await;
    let client = kubeconfig::client(&plane.kubeconfig_for(&namespace, "reader").await.unwrap()).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    maps.list(&ListParams::default()).await.unwrap();
    let new = ConfigMap {
        metadata: ObjectMeta { name: Some("x".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let refused = maps.create(&PostParams::default(), &new).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.is_forbidden()));

    let requests = plane.audit(&namespace, "reader").unwrap();
    let request = |verb: &str, name: &str, code| Request {
        verb: verb.to_owned(),
        resource: ConfigMap::plural(&()).into_owned(),
        namespace: namespace.clone(),
        name: name.to_owned(),
        code,
    };
    assert_eq!(requests, [request("list", "", 200), request("create", "", 403)]);
    assert_eq!(requests.iter().filter(|request| request.writes()).count(), 1);
}

/// T41: a deleted namespace really ends, because the controller-manager runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_goes_away_with_what_is_in_it() {
    let plane = harness::control_plane().await;
    let namespace = harness::new_namespace("gone").await;
    harness::apply(&namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}").await;
    let namespaces: Api<Namespace> = Api::all(plane.admin().await.unwrap());
    let uid = namespaces.get(&namespace).await.unwrap().metadata.uid.unwrap();
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    let gone = await_condition(namespaces, &namespace, conditions::is_deleted(&uid));
    tokio::time::timeout(Duration::from_mins(1), gone).await.unwrap().unwrap();
}

/// What people use is the real kubectl.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_and_the_api_server_are_of_one_version() {
    let plane = harness::control_plane().await;
    let versions = plane.kubectl_stdout(&["version", "-o", "json"]).await.unwrap();
    let versions: serde_json::Value = serde_json::from_str(&versions).unwrap();
    assert_eq!(versions["clientVersion"]["minor"], versions["serverVersion"]["minor"]);
    assert!(versions["serverVersion"]["minor"].as_str().unwrap().parse::<u32>().unwrap() >= 34);
}
