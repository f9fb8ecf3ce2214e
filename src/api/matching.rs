//! How a GoTo user and a Microsoft user are found to be the same person.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a GoTo user and a Microsoft user are found to be the same person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.automatic) || has(self.manual)").message("matching needs at least one process: set automatic or manual"))]
pub struct Matching {
    /// The automatic process of card 5: equal addresses, one to one (guide step 21). Whoever was matched stays it while this is
    /// set, whatever becomes of the addresses; without it they are no longer called for, unless a row names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<AutomaticMatching>,
    /// The manual process of card 5: rows that say who is the same person. A valid row wins over `automatic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualMatching>,
}

/// The automatic process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomaticMatching {
    /// The Microsoft attribute that the GoTo e-mail address is compared with.
    pub teams_attribute: TeamsAttribute,
}

/// An address of a Microsoft user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TeamsAttribute {
    /// The name the user signs in with.
    UserPrincipalName,
    /// The primary mail address.
    Mail,
}

/// The manual process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManualMatching {
    /// One row for each pair. A row that names nobody, a second row for one user and a second row to one Microsoft user are
    /// rejected and listed in `status.mapping`; the others count. A row is resolved once and then kept by the ids: a renamed
    /// address changes nothing. To edit a row of a connected user is a change of person: the old pair goes by `removal`, with
    /// grace period, guard and approval and never under Retain, then the new one is added. To delete a row takes service away in
    /// the same way, unless `automatic` gives the same pair.
    #[schemars(length(max = 2000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["goto".into(), "teams".into()]))]
    pub entries: Vec<MatchingRow>,
}

/// One row: who is the same person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct MatchingRow {
    /// The GoTo user: e-mail address, extension of the primary line in the PBX, or user key.
    #[schemars(length(min = 1, max = 320))]
    pub goto: String,
    /// The Microsoft user: user principal name, mail address or object id.
    #[schemars(length(min = 1, max = 320))]
    pub teams: String,
}

/// What became of the rows of the manual process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// Rows that count.
    pub accepted: u32,
    /// Rows that do not.
    pub rejected: u32,
    /// Which do not, and why: the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<Rejection>,
}

/// A row that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// Where the row is.
    pub source: MappingSource,
    /// Which row it is there; the first is 1.
    pub line: u32,
    /// Why it does not count.
    pub reason: Misfit,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MappingSource {
    /// `spec.matching.manual.entries`.
    Entries,
}

/// Why a row does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Misfit {
    /// `goto` names no user of the PBX, and none without a line.
    NoGotoUser,
    /// `goto` names several users.
    AmbiguousGotoUser,
    /// `teams` names no user of the tenant.
    NoTeamsUser,
    /// `teams` names several users.
    AmbiguousTeamsUser,
    /// Another row is for the same GoTo user; none of them counts.
    DuplicateUser,
    /// Another row is for the same Microsoft user; none of them counts.
    DuplicateTarget,
}
