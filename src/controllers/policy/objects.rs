//! Own objects of one policy: runs and users. Writes are compared first and remembered until the stores show them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::serde_json::json;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};

use super::observe::Observed;
use crate::api::{
    ADOPTED, DISCONNECTED, POLICY_LABEL, TeamsConnectorUser, TeamsConnectorUserSpec, TeamsConnectorUserStatus,
    UserSyncPolicy, UserSyncRun, UserSyncRunStatus,
};
use crate::controllers::context::Context;
use crate::controllers::error::PassError;
use crate::controllers::expectations::version;
use crate::controllers::publish;
use crate::domain::UserKey;
use crate::plan::acted::Acted;
use crate::plan::adoption::Adopted;
use crate::plan::user_plan::{NewRun, PlannedUser, RunPlan, UserPlan, Write};

const POLICY: &str = "UserSyncPolicy";
const RUN: &str = "UserSyncRun";
const USER: &str = "TeamsConnectorUser";

/// Reads and writes the own objects of one policy.
pub(super) struct Objects<'a> {
    policy: &'a UserSyncPolicy,
    ctx: &'a Context,
    uid: String,
    runs: Api<UserSyncRun>,
    users: Api<TeamsConnectorUser>,
    /// User objects as the API server answered in this pass, by name.
    written: Mutex<HashMap<String, TeamsConnectorUser>>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(policy: &'a UserSyncPolicy, ctx: &'a Context) -> Self {
        let namespace = policy.namespace().unwrap_or_default();
        Self {
            policy,
            ctx,
            uid: policy.uid().unwrap_or_default(),
            runs: Api::namespaced(ctx.client.clone(), &namespace),
            users: Api::namespaced(ctx.client.clone(), &namespace),
            written: Mutex::default(),
        }
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// Whether the stores show what earlier passes wrote.
    pub(super) fn caught_up(&self) -> bool {
        let namespace = self.policy.namespace().unwrap_or_default();
        let expectations = &self.ctx.expectations;
        let stores = &self.ctx.stores;
        expectations.seen(&self.uid, POLICY, |_| version(self.policy))
            && expectations.seen(&self.uid, RUN, |name| {
                let reference = ObjectRef::new(name).within(&namespace);
                stores.iter().find_map(|stores| version(stores.runs.get(&reference)?.as_ref()))
            })
            && expectations.seen(&self.uid, USER, |name| {
                let reference = ObjectRef::new(name).within(&namespace);
                stores.iter().find_map(|stores| version(stores.users.get(&reference)?.as_ref()))
            })
    }

    /// Marks the policy at its first complete plan, before any run or user object is stored. The resource version keeps the mark
    /// off a policy that was re-created or edited since the plan was made: then false, and the next pass plans anew.
    pub(super) async fn store_adopted(&self, adopted: Adopted) -> Result<bool, PassError> {
        self.annotate(ADOPTED, &adopted.to_string()).await
    }

    /// Marks a policy that is being deleted once nobody is left to disconnect, before any of its objects is removed: without them
    /// it could not be told any more whom it protects.
    pub(super) async fn store_disconnected(&self) -> Result<bool, PassError> {
        self.annotate(DISCONNECTED, &self.uid).await
    }

    async fn annotate(&self, name: &str, value: &str) -> Result<bool, PassError> {
        let namespace = self.policy.namespace().unwrap_or_default();
        let api: Api<UserSyncPolicy> = Api::namespaced(self.ctx.client.clone(), &namespace);
        let metadata = json!({
            "uid": self.policy.uid(),
            "resourceVersion": self.policy.resource_version(),
            "annotations": {name: value},
        });
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match api.patch(&self.policy.name_any(), &PatchParams::default(), &patch).await {
            Ok(written) => {
                self.ctx.expectations.wrote(&self.uid, POLICY, &written);
                Ok(true)
            }
            Err(kube::Error::Api(answer)) if answer.is_conflict() => Ok(false),
            Err(error) => Err(PassError::kubernetes("marking the policy")(error)),
        }
    }

    /// Stores new runs with their frozen actions, before anything else of the plan is carried out.
    pub(super) async fn store_run(&self, plan: &UserPlan) -> Result<(), PassError> {
        for run in plan.run_plans() {
            if let RunPlan::Create(new) = run {
                self.store_new_run(new).await?;
            }
        }
        Ok(())
    }

    async fn store_new_run(&self, new: &NewRun) -> Result<(), PassError> {
        let NewRun { name, spec, status } = new;
        let mut run = UserSyncRun::new(name, spec.clone());
        run.labels_mut().insert(POLICY_LABEL.to_owned(), self.policy.name_any());
        let stored = match self.runs.create(&kube::api::PostParams::default(), &run).await {
            Ok(stored) => stored,
            // A crash or a store that was behind: the same name is the same plan.
            Err(kube::Error::Api(answer)) if answer.is_already_exists() => {
                self.runs.get(name).await.map_err(PassError::kubernetes("reading a run"))?
            }
            Err(error) => return Err(PassError::kubernetes("storing a run")(error)),
        };
        self.ctx.expectations.wrote(&self.uid, RUN, &stored);
        if stored.status.as_ref().is_none_or(|status| status.state.is_none()) {
            self.write_run_status(&stored, status).await?;
        }
        Ok(())
    }

    /// Writes the statuses of the runs that the pass worked on, where they differ.
    pub(super) async fn store_run_status(&self, acted: &Acted, observed: &Observed) -> Result<(), PassError> {
        for report in &acted.runs {
            match observed.runs.iter().find(|run| run.name_any() == report.name) {
                Some(run) if run.status.as_ref().is_none_or(|stored| publish::changes(stored, &report.status)) => {
                    self.write_run_status(run, &report.status).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn write_run_status(&self, run: &UserSyncRun, status: &UserSyncRunStatus) -> Result<(), PassError> {
        let written = publish::status(&self.runs, run, status).await?;
        self.ctx.expectations.wrote(&self.uid, RUN, &written);
        Ok(())
    }

    /// Creates and updates user objects, before the connector is asked for any of them.
    pub(super) async fn store_specs(&self, plan: &UserPlan, observed: &Observed) -> Result<(), PassError> {
        let changed = plan.users.iter().filter(|user| matches!(user.write, Write::Create | Write::SpecAndStatus));
        let writes: Vec<_> = changed.map(|user| self.store_spec(user, observed)).collect();
        publish::side_by_side(writes).await.map(drop)
    }

    async fn store_spec(&self, user: &PlannedUser, observed: &Observed) -> Result<(), PassError> {
        let object = self.object(&user.key, user.spec.clone(), observed);
        let written = publish::apply(&self.users, &object).await?;
        self.ctx.expectations.wrote(&self.uid, USER, &written);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(written.name_any(), written);
        Ok(())
    }

    /// What is applied: the uid of a known object keeps the apply off a re-created one.
    fn object(&self, key: &UserKey, spec: TeamsConnectorUserSpec, observed: &Observed) -> TeamsConnectorUser {
        let name = self.name(key);
        let mut object = TeamsConnectorUser::new(&name, spec);
        object.labels_mut().insert(POLICY_LABEL.to_owned(), self.policy.name_any());
        object.meta_mut().uid = observed.user(&name).and_then(ResourceExt::uid);
        object
    }

    /// Writes the statuses of users that differ from what is stored; what acting changed goes before the plan's.
    pub(super) async fn store_statuses(
        &self,
        plan: &UserPlan,
        acted: &Acted,
        observed: &Observed,
    ) -> Result<(), PassError> {
        let newer: HashMap<_, _> = acted.users.iter().map(|user| (&user.key, user)).collect();
        let users = plan.users.iter().map(|user| newer.get(&user.key).copied().unwrap_or(user));
        let changed = users.filter(|user| user.write != Write::Nothing);
        let writes: Vec<_> = changed.map(|user| self.store_status(&user.key, &user.status, observed)).collect();
        publish::side_by_side(writes).await.map(drop)
    }

    async fn store_status(
        &self,
        key: &UserKey,
        status: &TeamsConnectorUserStatus,
        observed: &Observed,
    ) -> Result<(), PassError> {
        let name = self.name(key);
        let fresh = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let known = fresh.as_ref().or_else(|| observed.user(&name));
        match known {
            Some(object) if object.status.as_ref().is_none_or(|stored| publish::changes(stored, status)) => {
                let written = publish::status(&self.users, object, status).await?;
                self.ctx.expectations.wrote(&self.uid, USER, &written);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Removes the objects of users for whom nothing was done, and finished runs beyond the history. That disconnects nobody.
    pub(super) async fn remove_obsolete(&self, plan: &UserPlan, observed: &Observed) -> Result<(), PassError> {
        let known = plan.obsolete.iter().filter_map(|key| observed.user(&self.name(key)));
        let writes: Vec<_> = known.map(|user| remove(&self.users, user)).collect();
        publish::side_by_side(writes).await?;
        let runs = observed.runs.iter().filter(|run| plan.obsolete_runs.contains(&run.name_any()));
        publish::side_by_side(runs.map(|run| remove(&self.runs, run.as_ref())).collect()).await.map(drop)
    }

    /// Removes every run and every user object of the policy, some at a time; true once none is left.
    pub(super) async fn remove_all(&self) -> Result<bool, PassError> {
        let (users, runs) = (self.ctx.users_of(self.policy), self.ctx.runs_of(self.policy));
        publish::side_by_side(users.iter().map(|user| remove(&self.users, user.as_ref())).collect()).await?;
        publish::side_by_side(runs.iter().map(|run| remove(&self.runs, run.as_ref())).collect()).await?;
        Ok(users.is_empty() && runs.is_empty())
    }

    fn name(&self, key: &UserKey) -> String {
        format!("{}-{key}", self.policy.name_any())
    }
}

async fn remove<K>(api: &Api<K>, object: &K) -> Result<(), PassError>
where
    K: Resource + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let preconditions = Preconditions { uid: object.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(&object.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
        Err(error) => Err(PassError::kubernetes("removing an own object")(error)),
    }
}
