//! Reading a run and setting its decision.

use anyhow::anyhow;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use teams_connector_operator::api::{Decision, UserSyncRun};

use super::decidable;
use crate::cli::cluster::Cluster;

/// Tells in `managedFields` that a person wrote through this command.
const FIELD_MANAGER: &str = "teams-connector-operator-decision";

/// The runs of a namespace.
pub(super) struct Runs<'a> {
    api: Api<UserSyncRun>,
    namespace: &'a str,
}

impl<'a> Runs<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self { api: Api::namespaced(cluster.client.clone(), &cluster.namespace), namespace: &cluster.namespace }
    }

    /// The run as it is now.
    pub(super) async fn read(&self, name: &str) -> anyhow::Result<UserSyncRun> {
        self.api.get(name).await.map_err(|error| self.unread(name, &error))
    }

    /// Sets the decision, if it is still the run that was printed and nobody has decided.
    pub(super) async fn record(&self, run: &UserSyncRun, decision: Decision, by: &str) -> anyhow::Result<()> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Json::<()>(patch(run, decision, by)?);
        match self.api.patch(&run.name_any(), &params, &patch).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(run, &error).await),
        }
    }

    fn unread(&self, name: &str, error: &kube::Error) -> anyhow::Error {
        let namespace = self.namespace;
        match error {
            kube::Error::Api(status) if status.is_not_found() && status.details.is_some() => anyhow!(
                "there is no run {name} in the namespace {namespace}: `kubectl -n {namespace} get usersyncruns` lists them"
            ),
            kube::Error::Api(status) if status.is_not_found() => {
                anyhow!("this cluster has no UserSyncRuns: name another --context, or install the operator")
            }
            kube::Error::Api(status) if status.is_forbidden() => self.forbidden(&status.message),
            other => anyhow!("the run {name} cannot be read: {}", said(other)),
        }
    }

    /// The API server answers a failed test and a broken rule alike: a look tells what the run is by now.
    async fn refused(&self, run: &UserSyncRun, error: &kube::Error) -> anyhow::Error {
        if let kube::Error::Api(status) = error
            && status.is_forbidden()
        {
            return self.forbidden(&status.message);
        }
        match self.changed(run).await {
            Some(changed) => changed,
            None => anyhow!("the decision was not taken: {}", said(error)),
        }
    }

    async fn changed(&self, printed: &UserSyncRun) -> Option<anyhow::Error> {
        let name = printed.name_any();
        let Some(now) = self.api.get_opt(&name).await.ok()? else {
            return Some(anyhow!("{name} was deleted in the meantime: nothing was decided"));
        };
        if now.uid() != printed.uid() || now.spec.plan_hash != printed.spec.plan_hash {
            return Some(anyhow!(
                "{name} is not the run that was printed any more: nothing was decided; look at it again"
            ));
        }
        decidable::check(&now).err()
    }

    /// An admission policy speaks for itself; everything else is a missing right.
    fn forbidden(&self, message: &str) -> anyhow::Error {
        match message.split_once("denied request: ") {
            Some((_, rule)) => anyhow!("the decision was not taken: {}", one_line(rule)),
            None => anyhow!(
                "you may not do this in the namespace {}: whoever administers it must bind you to the role of the chart \
                 that ends in -approve ({})",
                self.namespace,
                one_line(message)
            ),
        }
    }
}

/// Touches nothing but the decision and holds only for the run that was printed.
fn patch(run: &UserSyncRun, decision: Decision, by: &str) -> serde_json::Result<json_patch::Patch> {
    serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/uid", "value": run.uid()},
        {"op": "test", "path": "/spec/planHash", "value": run.spec.plan_hash},
        // The API server's `test` takes an absent field for null.
        {"op": "test", "path": "/spec/decision", "value": null},
        {"op": "add", "path": "/spec/decision", "value": decision},
        {"op": "add", "path": "/spec/decidedBy", "value": by},
    ]))
}

/// What went wrong, in one line.
pub(super) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => one_line(&status.message),
        other => one_line(&other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use teams_connector_operator::api::Decision;

    use super::patch;
    use crate::cli::decide::text::samples::disconnect;

    /// R6, S17: the printed run and no other, decision and name and nothing else.
    #[test]
    fn the_patch_tests_what_was_printed_and_adds_two_fields() {
        let patch = patch(&disconnect(), Decision::Approve, "maria").unwrap();
        let lines: Vec<String> = patch.0.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"op":"test","path":"/metadata/uid","value":"9691223a-b770-4d8b-a9f6-30e8c80bb765"}
        {"op":"test","path":"/spec/planHash","value":"sha256:8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f"}
        {"op":"test","path":"/spec/decision","value":null}
        {"op":"add","path":"/spec/decision","value":"Approve"}
        {"op":"add","path":"/spec/decidedBy","value":"maria"}
        "#);
    }
}
