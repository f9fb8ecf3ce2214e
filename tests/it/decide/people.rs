//! A namespace with the chart's roles, people who have them, and a run.

use std::path::PathBuf;
use std::process::Stdio;

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use teams_connector_operator::devenv::kubeconfig::{self, Server};
use teams_connector_operator::devenv::{chart, objects, programs};

use super::{APPROVER, OPERATOR, READER};
use crate::harness;

/// The run that is decided about.
pub(super) const RUN: &str = "head-office-8fc163ab-1";

/// The namespace; its roles are those that the chart renders.
pub(super) struct Office {
    namespace: String,
}

/// How a command ended.
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) told: String,
    pub(super) error: String,
}

impl Office {
    /// With the admission policy or without.
    pub(super) async fn open(name: &str, policy: bool) -> Self {
        let plane = harness::control_plane().await;
        let namespace = harness::new_namespace(name).await;
        let values = json!({
            "watchNamespaces": [namespace], "crds": {"install": false}, "decisionPolicy": {"enabled": policy},
        });
        let release = chart::render(plane.programs(), &namespace, &values).await.unwrap();
        release.apply(&plane.admin().await.unwrap()).await.unwrap();
        let office = Self { namespace };
        for user in [APPROVER, READER, "nobody"] {
            office.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": user}})).await;
        }
        office.bind(APPROVER, "approve").await;
        office.bind(READER, "view-people").await;
        if policy {
            office.policy_is_in_force().await;
        }
        office
    }

    async fn bind(&self, user: &str, role: &str) {
        self.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("{OPERATOR}-{role}")},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": self.namespace}],
        }))
        .await;
    }

    async fn apply(&self, document: &Value) {
        harness::apply(&self.namespace, &document.to_string()).await;
    }

    /// The API server reads new policies a moment later: a decision that the policy refuses is offered until it does.
    async fn policy_is_in_force(&self) {
        let mut offered = super::run("offered", "Connect");
        self.create_as_admin(&offered).await;
        offered["spec"]["decision"] = json!("Deny");
        let api = self.runs().await;
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while api.patch("offered", &params, &Patch::Merge(&offered)).await.is_ok() {
            assert!(std::time::Instant::now() < until, "the admission policy is not in force");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name by which the API server knows a user.
    pub(super) fn user(&self, user: &str) -> String {
        format!("system:serviceaccount:{}:{user}", self.namespace)
    }

    pub(super) async fn runs(&self) -> Api<DynamicObject> {
        let admin = harness::control_plane().await.admin().await.unwrap();
        objects::api(&admin, &self.namespace, "usrun").unwrap()
    }

    async fn runs_as(&self, user: &str) -> Api<DynamicObject> {
        let client = kubeconfig::client(&self.kubeconfig(user).await).await.unwrap();
        objects::api(&client, &self.namespace, "usrun").unwrap()
    }

    async fn kubeconfig(&self, user: &str) -> PathBuf {
        harness::control_plane().await.kubeconfig_for(&self.namespace, user).await.unwrap()
    }

    async fn create_as_admin(&self, run: &Value) -> DynamicObject {
        let run = serde_json::from_value(run.clone()).unwrap();
        self.runs().await.create(&PostParams::default(), &run).await.unwrap()
    }

    /// A run that waits for a decision, and a user of it.
    pub(super) async fn waiting(&self, run_type: &str) -> Value {
        self.apply(&json!({
            "apiVersion": "teamsconnector.dev/v1alpha1",
            "kind": "TeamsConnectorUser",
            "metadata": {"name": "head-office-2000000000000000001"},
            "spec": {
                "policyRef": {"name": "head-office"}, "gotoUserKey": "2000000000000000001", "firstSeen": "2026-01-05T08:01:48Z",
            },
            "status": {"gotoEmail": "ann.lee@contoso.example"},
        }))
        .await;
        let users =
            objects::api(&harness::control_plane().await.admin().await.unwrap(), &self.namespace, "tcu").unwrap();
        let status =
            json!({"status": {"gotoEmail": "ann.lee@contoso.example", "observedGeneration": 1, "conditions": []}});
        let name = "head-office-2000000000000000001";
        users.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        let created = self.create_as_admin(&super::run(RUN, run_type)).await;
        self.set_state("AwaitingApproval").await;
        serde_json::to_value(created).unwrap()
    }

    pub(super) async fn set_state(&self, state: &str) {
        let counters = json!({"licensesAvailable": 3, "licensesTotal": 5, "usersToAdd": 0, "usersToRemove": 2, "usersAfterSync": 0});
        let status = json!({"state": state, "counters": counters, "observedGeneration": 1, "conditions": []});
        let patch = Patch::Merge(json!({"status": status}));
        self.runs().await.patch_status(RUN, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Takes the run's place by another of the same name: another plan.
    pub(super) async fn replace_run(&self) {
        let before = self.runs().await.get(RUN).await.unwrap();
        self.runs().await.delete(RUN, &kube::api::DeleteParams::default()).await.unwrap();
        let mut other = super::run(RUN, "Disconnect");
        other["spec"]["planHash"] = json!(format!("sha256:{}", "9e".repeat(32)));
        let after = self.create_as_admin(&other).await;
        assert_ne!(before.uid(), after.uid());
        self.set_state("AwaitingApproval").await;
    }

    pub(super) async fn stored(&self) -> Value {
        serde_json::to_value(self.runs().await.get(RUN).await.unwrap()).unwrap()
    }

    pub(super) async fn patch(&self, user: &str, patch: &Value) -> kube::Result<DynamicObject> {
        self.runs_as(user).await.patch(RUN, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub(super) async fn create(&self, user: &str, run: &Value) -> kube::Result<DynamicObject> {
        let run = serde_json::from_value(run.clone()).unwrap();
        self.runs_as(user).await.create(&PostParams::default(), &run).await
    }

    /// Runs the real command as a user, without a terminal.
    pub(super) async fn run(&self, user: &str, arguments: &[&str]) -> Output {
        command(&self.kubeconfig(user).await, arguments).await
    }

    /// The same through another address of the API server.
    pub(super) async fn run_through(&self, server: &Server<'_>, user: &str, arguments: &[&str]) -> Output {
        let plane = harness::control_plane().await;
        command(&plane.kubeconfig_through(server, &self.namespace, user).await.unwrap(), arguments).await
    }

    /// The command ends with 1 and one line that has these words.
    pub(super) async fn refuses(&self, user: &str, arguments: &[&str], words: &str) {
        self.run(user, arguments).await.is_refusal(words);
    }
}

impl Output {
    pub(super) fn is_refusal(&self, words: &str) {
        assert_eq!(self.code, 1, "{} {}", self.told, self.error);
        let lines: Vec<&str> = self.error.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(words), "{words:?} is not in {:?}", self.error);
        assert!(lines[0].starts_with("teams-connector-operator: "), "{:?}", self.error);
    }
}

async fn command(kubeconfig: &std::path::Path, arguments: &[&str]) -> Output {
    let binary = programs::own("teams-connector-operator", "TEAMS_CONNECTOR_OPERATOR").unwrap();
    let mut command = tokio::process::Command::new(binary);
    command.env_clear().args(arguments).arg("--kubeconfig").arg(kubeconfig).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output { code: output.status.code().unwrap(), told: text(output.stdout), error: text(output.stderr) }
}
