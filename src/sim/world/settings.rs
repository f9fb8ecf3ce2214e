//! Delays, windows and habits of a world. Seconds are business time.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long things take and how the humans behave. Sources of the figures: `[guide]` the vendor's set-up guide, `[peer]` a
/// product of the same class, `[own]` chosen for the simulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Seed of every draw of the world.
    pub seed: u64,
    /// What the humans do.
    pub humans: Humans,
    /// Who signs in as Global Administrator.
    pub global_administrator: String,
    /// How long a directory import or push waits before it works `[own]`.
    pub queue_seconds: u32,
    /// Length of a directory import; up to 15 minutes are normal `[guide]`.
    pub directory_import_seconds: u32,
    /// Length of a push `[own]`.
    pub push_seconds: u32,
    /// Length of a verification `[own]`.
    pub verification_seconds: u32,
    /// How long after a removal the connector license is free again `[own]`.
    pub license_release_seconds: u32,
    /// Earliest and latest registration after the push that carried a user `[own]`.
    pub registration_seconds: [u32; 2],
    /// Activation of a domain, up to 24 h; counted from the first user with Teams in it.
    pub domain_activation_seconds: u32,
    /// Who adds and verifies the allotted domains and makes their temporary users.
    pub domains_managed_by: ManagedBy,
    /// Whether a connector that manages its domains leaves its temporary user behind.
    pub connector_leaves_temporary_user: bool,
    /// How long after its publication a TXT record is seen in DNS `[own]`.
    pub dns_lag_seconds: u32,
    /// How long Microsoft takes to force a domain out of the tenant, up to 24 h `[own]`.
    pub force_delete_seconds: u32,
    /// Life of an invitation, 48 h `[peer]`.
    pub invitation_seconds: u32,
    /// Life of a consent or sign-in link, 1 h `[peer]`.
    pub link_seconds: u32,
    /// How long a sign-in allows pushes to start, 1 h `[peer]`.
    pub push_authorization_seconds: u32,
    /// Longest read-after-write lag of GoTo.
    pub goto_lag_seconds: u32,
    /// Longest read-after-write lag of Microsoft Graph.
    pub graph_lag_seconds: u32,
    /// How long a newly licensed user is absent from userConfigurations.
    pub teams_provisioning_seconds: u32,
    /// Promised life of a Graph token.
    pub graph_token_seconds: u32,
    /// How long Entra does not know a new federated credential `[own]`.
    pub federation_lag_seconds: u32,
    /// What the contract does not know about Graph.
    pub graph: GraphSwitches,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            humans: Humans::Manual,
            global_administrator: "admin@contoso.example".to_owned(),
            queue_seconds: 2,
            directory_import_seconds: 90,
            push_seconds: 40,
            verification_seconds: 20,
            license_release_seconds: 120,
            registration_seconds: [60, 180],
            domain_activation_seconds: 4 * 3600,
            domains_managed_by: ManagedBy::Operator,
            connector_leaves_temporary_user: false,
            dns_lag_seconds: 300,
            force_delete_seconds: 600,
            invitation_seconds: 48 * 3600,
            link_seconds: 3600,
            push_authorization_seconds: 3600,
            goto_lag_seconds: 5,
            graph_lag_seconds: 20,
            teams_provisioning_seconds: 3600,
            graph_token_seconds: 3599,
            federation_lag_seconds: 60,
            graph: GraphSwitches::default(),
        }
    }
}

impl Settings {
    /// The same without read-after-write lag; what takes its time by nature still does.
    #[must_use]
    pub fn calm(self) -> Self {
        Self { goto_lag_seconds: 0, graph_lag_seconds: 0, ..self }
    }
}

/// Who manages the allotted domains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagedBy {
    /// The operator, through Graph.
    #[default]
    Operator,
    /// The connector itself, once it has the first consent (guide steps 6 and 7).
    Connector,
}

/// Switches of the Graph contract (section 18.2): what Microsoft's words leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct GraphSwitches {
    /// Whether activation needs the service `OfficeCommunicationsOnline` switched on.
    pub sip_service_needed: bool,
    /// Whether an activated domain stays so when nobody with Teams is in it any more.
    pub activation_survives_user_removal: bool,
    /// Status of `invalid_client` at the token endpoint: 401 or 400.
    pub invalid_client_status: u16,
    /// Status for a domain that is added twice: 400 with `ObjectConflict`, or 409.
    pub domain_duplicate: u16,
    /// Status of `verify` while the record is not found: 400 or 404.
    pub domain_verify_pending: u16,
    /// Status of `DELETE` while the domain is in use: 400 or 409.
    pub domain_delete_in_use: u16,
    /// Whether a deleted user that can be restored still counts as a reference.
    pub soft_deleted_blocks_domain: bool,
    /// Whether an application may delete a user for good; otherwise 403.
    pub hard_delete_by_applications: bool,
    /// Status of `assignLicense`: 200 or 202.
    pub assign_license_status: u16,
}

impl Default for GraphSwitches {
    fn default() -> Self {
        Self {
            sip_service_needed: false,
            activation_survives_user_removal: true,
            invalid_client_status: 401,
            domain_duplicate: 400,
            domain_verify_pending: 400,
            domain_delete_in_use: 400,
            soft_deleted_blocks_domain: true,
            hard_delete_by_applications: true,
            assign_license_status: 200,
        }
    }
}

/// What the humans of the world do with a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Humans {
    /// They wait to be told by the control port or by a click on the link's page.
    #[default]
    Manual,
    /// They do what a link asks for, some business seconds after it was made.
    Auto {
        /// Business seconds.
        after_seconds: u32,
    },
}

/// `at` and some seconds; saturates at the end of time.
pub(crate) fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}
