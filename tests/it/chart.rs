//! The chart: what it renders to, and what it lets the operator do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::wait::await_condition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use teams_connector_operator::devenv::chart::{self, Release};

use crate::harness;

async fn render(values: Value) -> Release {
    chart::render(harness::control_plane().await.programs(), "operators", &values).await.unwrap()
}

fn typed<T: DeserializeOwned>(document: &DynamicObject) -> T {
    serde_json::from_value(serde_json::to_value(document).unwrap()).unwrap()
}

fn rules(document: &DynamicObject) -> Vec<PolicyRule> {
    serde_json::from_value(document.data["rules"].clone()).unwrap()
}

/// S3, S4: the rights of the operator, in full. A change of this snapshot is a change of what users grant.
#[tokio::test]
async fn the_rules_are_these_and_no_more() {
    let release = render(json!({})).await;
    let own = |role: &&DynamicObject| role.metadata.name.as_deref() == Some("teams-connector-operator");
    let [role] = release.of_kind("ClusterRole").filter(own).collect::<Vec<_>>()[..] else { panic!("one ClusterRole") };
    let lines: Vec<String> = rules(role).iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
    for binding in release.of_kind("ClusterRoleBinding") {
        assert_eq!(binding.data["roleRef"]["name"], "teams-connector-operator", "people are bound by people");
    }
}

/// S5, S17: the roles for people in full, and which add to roles of the cluster: never those that decide or show personal data.
#[tokio::test]
async fn the_roles_for_people_are_these() {
    let release = render(json!({"roles": {"edit": true}})).await;
    insta::assert_snapshot!(people(&release).join("\n"));
    let names = |values: Value| async move {
        let release = render(values).await;
        people(&release).iter().map(|role| role.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (approve, reading) = ("ClusterRole approve", "ClusterRole view-people");
    let aggregated = "ClusterRole view aggregated to view";
    assert_eq!(names(json!({})).await, [approve, reading, aggregated]);
    assert_eq!(names(json!({"roles": {"view": false}})).await, [approve, reading]);
    let within = names(json!({"watchNamespaces": ["north"], "roles": {"edit": true}})).await;
    assert_eq!(within, ["approve", "view-people", "view", "edit"].map(|role| format!("Role {role}")));
}

/// Kind, suffix, aggregation and rules of each role that is not the operator's own.
fn people(release: &Release) -> Vec<String> {
    let roles = release.of_kind("ClusterRole").chain(release.of_kind("Role"));
    roles
        .filter_map(|role| {
            let suffix = role.metadata.name.as_ref()?.strip_prefix("teams-connector-operator-")?;
            let labels = role.metadata.labels.iter().flatten();
            let to = labels.filter_map(|(name, _)| name.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"));
            let to = to.map(|role| format!(" aggregated to {role}")).collect::<Vec<_>>().concat();
            let lines = rules(role).iter().map(|rule| format!("\n  {}", line(rule))).collect::<Vec<_>>().concat();
            Some(format!("{} {suffix}{to}:{lines}", role.types.as_ref()?.kind))
        })
        .collect()
}

/// S5 by the real aggregation: the cluster's view, edit and admin get accounts and policies, and no runs and users.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_the_cluster_show_no_personal_data_and_decide_nothing() {
    let client = harness::control_plane().await.admin().await.unwrap();
    let release = render(json!({"roles": {"edit": true}})).await;
    let roles: Vec<_> = release.of_kind("ClusterRole").cloned().collect();
    chart::apply(&client, &roles, "default").await.unwrap();
    let cluster_roles: Api<ClusterRole> = Api::all(client);
    for (name, verb) in [("view", "watch"), ("edit", "delete"), ("admin", "delete")] {
        let has_it =
            |role: Option<&ClusterRole>| role.is_some_and(|role| granted(role, "usersyncpolicies").contains(verb));
        let waiting = await_condition(cluster_roles.clone(), name, has_it);
        let role = tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap().unwrap().unwrap();
        for hidden in ["usersyncruns", "teamsconnectorusers"] {
            assert_eq!(granted(&role, hidden), BTreeSet::new(), "{name} {hidden}");
        }
        assert_eq!(granted(&role, "teamsconnectoraccounts").contains("update"), name != "view", "{name}");
    }
}

/// What a role lets somebody do with a resource of ours.
fn granted(role: &ClusterRole, resource: &str) -> BTreeSet<String> {
    let rules = role.rules.iter().flatten();
    let about =
        |list: &Option<Vec<String>>, word: &str| list.iter().flatten().any(|other| other == word || other == "*");
    let ours = rules.filter(|rule| about(&rule.api_groups, "teamsconnector.dev") && about(&rule.resources, resource));
    ours.flat_map(|rule| rule.verbs.clone()).collect()
}

/// S17: off by default, since it is cluster-wide; its binding keeps to the namespaces that are served.
#[tokio::test]
async fn the_decision_policy_is_there_on_demand() {
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let off = render(json!({})).await;
    assert!(kinds.iter().all(|kind| off.of_kind(kind).next().is_none()));
    let on = render(json!({"decisionPolicy": {"enabled": true}, "watchNamespaces": ["north", "south"]})).await;
    let specs: Vec<Value> =
        kinds.iter().flat_map(|kind| on.of_kind(kind)).map(|one| one.data["spec"].clone()).collect();
    insta::assert_json_snapshot!(specs);
    let everywhere = render(json!({"decisionPolicy": {"enabled": true}})).await;
    let [binding] = everywhere.of_kind(kinds[1]).collect::<Vec<_>>()[..] else { panic!("one binding") };
    assert_eq!(binding.data["spec"].get("matchResources"), None);
}

/// S14: off by default; where it is on, it leaves out the named and the labeled namespaces, and keeps to those that are served.
#[tokio::test]
async fn the_deletion_policy_is_there_on_demand() {
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let values =
        json!({"deletionPolicy": {"enabled": true, "namespaces": ["north"]}, "watchNamespaces": ["north", "south"]});
    let on = render(values).await;
    let specs: Vec<Value> =
        kinds.iter().flat_map(|kind| on.of_kind(kind)).map(|one| one.data["spec"].clone()).collect();
    insta::assert_json_snapshot!(specs);
    let off = render(json!({"deletionPolicy": {"namespaces": ["north"]}})).await;
    assert!(kinds.iter().all(|kind| off.of_kind(kind).next().is_none()));
}

fn line(rule: &PolicyRule) -> String {
    let joined = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().join(",");
    let names = rule.resource_names.as_ref().map(|names| format!(" named {}", names.join(","))).unwrap_or_default();
    let groups = joined(&rule.api_groups);
    let group = if groups.is_empty() { "core" } else { &groups };
    format!("{} of {group} {}{names}", rule.verbs.join(","), joined(&rule.resources))
}

/// S4: no `*`, nothing that hands rights on, no list of Secrets.
#[tokio::test]
async fn no_rule_is_a_wildcard_or_an_escalation_in_either_mode() {
    for values in [json!({}), json!({"watchNamespaces": ["north", "south"]})] {
        let release = render(values).await;
        let roles = release.of_kind("ClusterRole").chain(release.of_kind("Role"));
        let granted: Vec<PolicyRule> = roles.flat_map(rules).collect();
        assert!(!granted.is_empty());
        for rule in granted {
            let PolicyRule { api_groups, resources, verbs, non_resource_urls, resource_names } = rule;
            let (groups, resources) = (api_groups.unwrap_or_default(), resources.unwrap_or_default());
            assert_eq!(non_resource_urls, None);
            for word in groups.iter().chain(&resources).chain(&verbs) {
                assert!(!word.contains('*'), "{word}");
            }
            for verb in ["escalate", "bind", "impersonate", "deletecollection"] {
                assert!(!verbs.iter().any(|other| other == verb), "{verb}");
            }
            if resources == ["secrets"] && verbs != ["get"] && verbs != ["create"] {
                assert_eq!(resource_names.as_deref(), Some(&["teams-connector-tokens".to_owned()][..]), "{verbs:?}");
            }
        }
    }
}

/// S3: under `watchNamespaces` there is no right outside of them.
#[tokio::test]
async fn with_watch_namespaces_every_right_is_in_one_of_them() {
    let release = render(json!({"watchNamespaces": ["north", "south"]})).await;
    assert_eq!(release.of_kind("ClusterRole").chain(release.of_kind("ClusterRoleBinding")).count(), 0);
    for kind in ["Role", "RoleBinding"] {
        let mut places = BTreeMap::<_, Vec<_>>::new();
        for role in release.of_kind(kind) {
            let (name, namespace) = (role.metadata.name.clone(), role.metadata.namespace.clone().unwrap());
            places.entry(name.unwrap()).or_default().push(namespace);
        }
        assert!(places.contains_key("teams-connector-operator"), "{kind}");
        assert!(places.values().all(|namespaces| *namespaces == ["north", "south"]), "{kind}: {places:?}");
    }
    for binding in release.of_kind("RoleBinding") {
        let subjects = &binding.data["subjects"];
        assert_eq!(
            *subjects,
            json!([{"kind": "ServiceAccount", "name": "teams-connector-operator", "namespace": "operators"}])
        );
    }
    assert!(release.operator().unwrap().args.contains(&"--watch-namespaces=north,south".to_owned()));
}

/// S12: the restricted profile, one replica that is never doubled, the two probes.
#[tokio::test]
async fn the_pod_is_restricted_and_single() {
    let release = render(json!({})).await;
    let [deployment] = release.of_kind("Deployment").collect::<Vec<_>>()[..] else { panic!("one Deployment") };
    let spec = typed::<Deployment>(deployment).spec.unwrap();
    assert_eq!(spec.replicas, Some(1));
    assert_eq!(spec.strategy.unwrap().type_.as_deref(), Some("Recreate"));
    let pod = spec.template.spec.unwrap();
    assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
    assert_eq!(pod.enable_service_links, Some(false));
    let security = pod.security_context.unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let [container] = pod.containers.as_slice() else { panic!("one container") };
    let security = container.security_context.clone().unwrap();
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.read_only_root_filesystem, Some(true));
    assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
    let path =
        |probe: &Option<k8s_openapi::api::core::v1::Probe>| probe.clone().unwrap().http_get.unwrap().path.unwrap();
    assert_eq!(
        (path(&container.liveness_probe), path(&container.readiness_probe)),
        ("/livez".to_owned(), "/readyz".to_owned())
    );
}

/// S12 by the real admission: a namespace that enforces the restricted profile admits the Pod of the Deployment.
#[tokio::test(flavor = "multi_thread")]
async fn the_restricted_profile_admits_the_pod() {
    let plane = harness::control_plane().await;
    let namespace = harness::new_namespace("restricted").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    plane.kubectl_stdout(&["label", "namespace", &namespace, label]).await.unwrap();
    let release = render(json!({})).await;
    let deployment: Deployment = typed(release.of_kind("Deployment").next().unwrap());
    let template = deployment.spec.unwrap().template;
    let account = template.spec.as_ref().unwrap().service_account_name.clone().unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": template.spec});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}});
    harness::apply(&namespace, &account.to_string()).await;
    harness::apply(&namespace, &pod.to_string()).await;
}

/// What the process under test is started with comes from here, so every value must arrive.
#[tokio::test]
async fn every_value_becomes_a_flag() {
    let values = json!({
        "watchNamespaces": ["telephony"],
        "endpoints": {"gotoAuth": "https://a:1", "gotoAdmin": "https://b:2", "gotoApi": "https://c:3", "entra": "https://d:4", "graph": "https://e:5"},
        "connector": {"allowedHosts": ["connector.example", "[::1]"]},
        "caBundle": {"file": "/tmp/ca.pem"},
        "listen": {"address": "127.0.0.1", "port": 9090},
        "logFormat": "text",
        "extraArgs": ["--clock-url=http://127.0.0.1:4000"],
        "extraEnv": [{"name": "RUST_LOG", "value": "debug"}],
    });
    let operator = render(values).await.operator().unwrap();
    insta::assert_json_snapshot!((operator.args, operator.env));
}

/// A value that cannot work is refused by helm, not by the cluster.
#[tokio::test]
async fn the_schema_refuses_what_cannot_work() {
    let refused = [
        json!({"replicas": 2}),
        json!({"replica": 1}),
        json!({"watchNamespaces": ["Not_A_Namespace"]}),
        json!({"logFormat": "xml"}),
        json!({"serviceAccount": {"create": false}}),
        json!({"endpoints": {"graph": "graph.example"}}),
        json!({"caBundle": {"file": "/a", "secret": {"name": "b"}}}),
        json!({"roles": {"edit": "yes"}}),
        json!({"roles": {"approve": false}}),
        json!({"decisionPolicy": {"enable": true}}),
        json!({"deletionPolicy": {"namespaces": "north"}}),
    ];
    let programs = harness::control_plane().await.programs();
    for values in refused {
        assert!(chart::render(programs, "operators", &values).await.is_err(), "{values}");
    }
}

/// The CRDs survive an uninstall, are left out on demand, and are those of `crds/`.
#[tokio::test]
async fn the_crds_of_the_chart_are_kept_and_are_the_generated_ones() {
    let release = render(json!({})).await;
    let rendered: Vec<&DynamicObject> = release.of_kind("CustomResourceDefinition").collect();
    let generated = chart::parse_folder(&harness::package().join("crds")).unwrap();
    assert_eq!(rendered.len(), generated.len());
    for (rendered, generated) in rendered.iter().zip(&generated) {
        assert_eq!(rendered.metadata.annotations.as_ref().unwrap()["helm.sh/resource-policy"], "keep");
        assert_eq!(rendered.metadata.name, generated.metadata.name);
        let spec = |document| typed::<CustomResourceDefinition>(document).spec;
        assert!(spec(rendered) == spec(generated), "{:?} differs: run `make generate`", rendered.metadata.name);
    }
    assert_eq!(render(json!({"crds": {"install": false}})).await.of_kind("CustomResourceDefinition").count(), 0);
}
