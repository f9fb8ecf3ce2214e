//! Parts of a policy's spec that say who may lose service, how fast, and after whose decision.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;

/// What becomes of a connected user who is no longer called for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// What is done after the grace period. Retain: nothing, the user is only reported; Disable: calls are forbidden, the
    /// connector license stays taken; Remove: the user is disabled, then deleted from the connector.
    #[serde(default)]
    pub action: RemovalAction,
    /// How long somebody must have been gone, by complete readings that agree, before the action. At most 720h.
    #[serde(default = "a_day")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('720h')").message("removal.gracePeriod is at most 720h: use action Retain to keep people for longer"))]
    pub grace_period: Period,
    /// How many may lose service within a window without somebody's approval.
    #[serde(default)]
    pub guard: Guard,
}

/// What is done with a user who is no longer called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemovalAction {
    /// Nothing is taken away; the user is reported.
    #[default]
    Retain,
    /// Calls are forbidden; the user stays in the connector and keeps the license.
    Disable,
    /// The user is disabled, then deleted from the connector.
    Remove,
}

/// The removal guard: so many may lose service within the window, the plan and the kept runs of the window together, without
/// an approval: the smaller of `maxCount` and the larger of `alwaysAllow` and `maxPercent` of the users in the policy's care,
/// rounded down. Disconnecting the last one always needs an approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.alwaysAllow <= self.maxCount").message("guard.alwaysAllow cannot be above guard.maxCount: lower alwaysAllow or raise maxCount"))]
pub struct Guard {
    /// Share of the users in the policy's care, in percent.
    #[serde(default = "ten_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: u32,
    /// Never more than so many.
    #[serde(default = "fifty")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_count: u32,
    /// So many are allowed however small the policy is.
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 1_000))]
    pub always_allow: u32,
    /// The rolling window that is counted over. 1h to 720h.
    #[serde(default = "a_day")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1h') && duration(self) <= duration('720h')").message("guard.window must be between 1h and 720h"))]
    pub window: Period,
}

/// Which runs wait for somebody's decision. A tripped guard always waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// None but those that the guard holds.
    #[default]
    Automatic,
    /// Every run that takes service away.
    Disconnects,
    /// Every run.
    All,
}

/// How fast a run goes on, and when it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// So many users at a time; then failures and reasons to stop are looked at.
    #[schemars(range(min = 1, max = 500))]
    pub batch_size: u32,
    /// Above this share of failures, of at least five attempts, a run stops.
    #[schemars(range(min = 1, max = 100))]
    pub max_failure_percent: u32,
}

impl Default for Removal {
    fn default() -> Self {
        Self { action: RemovalAction::default(), grace_period: a_day(), guard: Guard::default() }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { max_percent: ten_percent(), max_count: fifty(), always_allow: two(), window: a_day() }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self { batch_size: 50, max_failure_percent: 40 }
    }
}

fn a_day() -> Period {
    Period::minutes(24 * 60)
}

fn ten_percent() -> u32 {
    10
}

fn fifty() -> u32 {
    50
}

fn two() -> u32 {
    2
}
