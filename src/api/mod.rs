//! The Kubernetes API of the operator: group `teamsconnector.dev`, four kinds, their conditions and reasons.
//!
//! **Architecture invariant:** the operator writes no `spec` and no label of an account or a policy, only finalizer and status,
//! and on a policy the annotations `adopted` and `disconnected`.

#[cfg(test)]
mod cel_tests;
pub mod conditions;
mod crds;
#[cfg(test)]
mod generated;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod matching;
mod period;
pub mod reasons;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod removal;
pub mod runbook;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod shared;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod teams_connector_account;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod teams_connector_user;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod user_sync_policy;
#[expect(unreachable_pub, reason = "KubeSchema derives from a private copy of each struct")]
mod user_sync_run;

pub use crds::{all_crds, crd_yaml};
pub use matching::*;
pub use period::Period;
pub use reasons::{Actor, Reason, ReasonInfo, Shown};
pub use removal::*;
pub use shared::*;
pub use teams_connector_account::*;
pub use teams_connector_user::*;
pub use user_sync_policy::*;
pub use user_sync_run::*;

/// API group of all kinds.
pub const GROUP: &str = "teamsconnector.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// Field manager of every apply.
pub const FIELD_MANAGER: &str = "teams-connector-operator";
/// Finalizer of accounts and policies.
pub const FINALIZER: &str = "teamsconnector.dev/finalizer";
/// Label that names the policy on runs and users.
pub const POLICY_LABEL: &str = "teamsconnector.dev/policy";
/// Reconcile now: echoed in `status.lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "teamsconnector.dev/requestedAt";
/// Sends expired invitations of an account again, once for each value: echoed in `status.lastHandledResend`.
pub const RESEND_INVITATION: &str = "teamsconnector.dev/resendInvitation";
/// Set on a policy at its first complete plan: whom that took over, and when it was.
pub const ADOPTED: &str = "teamsconnector.dev/adopted";
/// `true` ends the deletion of a policy at once; nobody is disconnected any more, and an event tells what was left.
pub const FORCE_FINALIZE: &str = "teamsconnector.dev/force-finalize";
/// Set on a policy that is deleted with `Delete` once nobody is left to disconnect: its uid. Only its own objects are left to remove.
pub const DISCONNECTED: &str = "teamsconnector.dev/disconnected";
/// Stops every external write while it is `true`.
pub const PAUSED: &str = "teamsconnector.dev/paused";
