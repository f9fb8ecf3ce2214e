//! What Microsoft says.

use crate::domain::{Address, E164, EntraObjectId};

/// A permission of the operator's own app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Microsoft's name.
    pub name: String,
    /// What it is for.
    pub reason: String,
    /// Whether it was consented to.
    pub granted: bool,
    /// Whether it is needed only while a domain is being set up.
    pub set_up: bool,
}

/// A user of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts that Microsoft states")]
pub struct TeamsUser {
    /// Entra object id.
    pub id: EntraObjectId,
    /// UPN as written.
    pub upn: String,
    /// UPN in comparable form.
    pub upn_address: Option<Address>,
    /// Mail address in comparable form.
    pub mail_address: Option<Address>,
    /// Whether sign-in is allowed.
    pub enabled: bool,
    /// Whether the user is a guest.
    pub guest: bool,
    /// Whether a service plan for Teams is usable.
    pub has_teams: bool,
    /// Whether a service plan for Phone System is usable.
    pub has_phone_system: bool,
}

/// Seats of the tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Seats with Phone System.
    pub phone_system_total: u32,
    /// Of these in use.
    pub phone_system_in_use: u32,
    /// Products that the temporary user of the set-up can have, with their free seats.
    pub spare: Vec<SpareSeats>,
}

/// Free seats of a product with Teams for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpareSeats {
    /// Which product.
    pub sku: EntraObjectId,
    /// Its short name.
    pub part_number: String,
    /// Free seats.
    pub free: u32,
}

/// A Direct Routing domain as the tenant has it, while the operator sets it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantDomain {
    /// Fully qualified name.
    pub name: String,
    /// Where it stands.
    pub state: TenantDomainState,
    /// Who has the name of the temporary user.
    pub user: Option<DomainUser>,
}

/// State of a [`TenantDomain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantDomainState {
    /// The tenant does not have it.
    Absent,
    /// Added; Microsoft has not seen the TXT record.
    Unverified {
        /// The text of the TXT record that proves ownership.
        text: Option<String>,
    },
    /// The tenant owns it.
    Verified,
}

/// A user who has the name of the temporary user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainUser {
    /// Entra object id.
    pub id: EntraObjectId,
    /// Name, by which it is recognised as the operator's.
    pub display_name: String,
    /// Products that were assigned to it.
    pub skus: Vec<EntraObjectId>,
}

/// A telephone number of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamsNumber {
    /// The number.
    pub number: E164,
    /// What kind it is.
    pub kind: TeamsNumberKind,
    /// Who has it.
    pub target: Option<EntraObjectId>,
    /// Whether the on-premises directory manages it.
    pub on_premises: bool,
}

/// Kind of a telephone number of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamsNumberKind {
    /// Through a session border controller: the connector.
    DirectRouting,
    /// From Microsoft or an operator.
    Other,
}

/// Voice state of a user of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceState {
    /// The user.
    pub id: EntraObjectId,
    /// What kind of account Teams takes it for.
    pub account: VoiceAccount,
    /// Enterprise voice.
    pub enterprise_voice: bool,
    /// Primary number.
    pub number: Option<E164>,
}

/// What kind of account Teams takes a user for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceAccount {
    /// A person in the cloud.
    User,
    /// A guest or a resource account.
    NotAPerson,
    /// A person homed on premises.
    OnPremises,
    /// Something else.
    Unknown,
}
