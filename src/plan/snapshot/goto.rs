//! What GoTo says.

use crate::domain::{AccountKey, Address, E164, Extension, OrganizationId, UserKey};

/// Who the GoTo credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotoAccess {
    /// Accounts that the credentials may administer.
    pub accounts: Vec<AccountKey>,
    /// Names of needed scopes that were not granted.
    pub missing_scopes: Vec<String>,
    /// Whether the user of the credentials is a super admin; `None`: not to be told.
    pub super_admin: Option<bool>,
}

/// A user of the GoTo account; pseudo-users of desk telephones are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotoUser {
    /// Stable key.
    pub key: UserKey,
    /// Address as written.
    pub email: Option<String>,
    /// Address in comparable form.
    pub address: Option<Address>,
    /// Name.
    pub name: String,
}

/// The lines of one user, over all PBXs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLines {
    /// The user.
    pub key: UserKey,
    /// Lines, the primary one first.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The PBX.
    pub organization: OrganizationId,
    /// Number of its extension.
    pub extension: Extension,
    /// Whether GoTo calls it the primary one.
    pub primary: bool,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxExtension {
    /// Id, the target of numbers.
    pub id: String,
    /// The PBX.
    pub organization: OrganizationId,
    /// Short number.
    pub number: Extension,
}

/// A telephone number of a PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxNumber {
    /// The PBX.
    pub organization: OrganizationId,
    /// In E.164 form; `None`: GoTo wrote something else.
    pub number: Option<E164>,
    /// Extension that it is routed to.
    pub extension_id: Option<String>,
}
