//! The application permissions of this product, and which of them a tenant has given.

use std::collections::BTreeSet;

use uuid::{Uuid, uuid};

use crate::clients::error::ApiError;
use crate::clients::route::Route;
use crate::domain::EntraObjectId;

/// An application permission of Microsoft Graph that the operator needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphPermission {
    /// Its name.
    pub name: &'static str,
    /// Id of its app role, the same in every tenant.
    pub app_role: Uuid,
    /// What for.
    pub reason: &'static str,
}

/// Every permission that is always needed; all of them read only.
pub const NEEDED_PERMISSIONS: [GraphPermission; 5] = [
    GraphPermission {
        name: "User.Read.All",
        app_role: uuid!("df021288-bdef-4463-88db-98f22de89214"),
        reason: "finds the tenant's users and the service plans that let them telephone",
    },
    GraphPermission {
        name: "LicenseAssignment.Read.All",
        app_role: uuid!("e2f98668-2877-4f38-a2f4-8202e0717aa1"),
        reason: "counts the tenant's licenses",
    },
    GraphPermission {
        name: "TeamsTelephoneNumber.Read.All",
        app_role: uuid!("39b17d18-680c-41f4-b9c2-5f30629e7cb6"),
        reason: "tells who has which telephone number",
    },
    GraphPermission {
        name: "TeamsUserConfiguration.Read.All",
        app_role: uuid!("a91eadaf-2c3c-4362-908b-fb172d208fc6"),
        reason: "tells whether a user can telephone in Teams",
    },
    GraphPermission {
        name: "Application.Read.All",
        app_role: uuid!("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
        reason: "tells which permissions the tenant has given",
    },
];

/// What is needed beside, while the operator manages the domain and it is not activated yet.
pub const SET_UP_PERMISSIONS: [GraphPermission; 4] = [
    GraphPermission {
        name: "Domain.ReadWrite.All",
        app_role: uuid!("7e05723c-0bb0-42da-be95-ae9f08a6e53c"),
        reason: "adds and verifies the Direct Routing domain",
    },
    GraphPermission {
        name: "User.ReadWrite.All",
        app_role: uuid!("741f803b-c850-494e-b5df-cde7c675a1ca"),
        reason: "makes the temporary user that activates the domain",
    },
    GraphPermission {
        name: "LicenseAssignment.ReadWrite.All",
        app_role: uuid!("5facf0c1-8979-4e95-abcf-ff3d079771c0"),
        reason: "gives the temporary user a spare license, and takes it back",
    },
    GraphPermission {
        name: "User.DeleteRestore.All",
        app_role: uuid!("eccc023d-eccf-4e7b-9683-8813ab36cecc"),
        reason: "deletes the temporary user",
    },
];

/// The app roles of Graph that an application has in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted(BTreeSet<EntraObjectId>);

impl Granted {
    pub(super) fn new(app_roles: Vec<EntraObjectId>) -> Self {
        Self(app_roles.into_iter().collect())
    }

    /// Whether the permission is given.
    #[must_use]
    pub fn has(&self, permission: &GraphPermission) -> bool {
        self.0.contains(&EntraObjectId::from(permission.app_role))
    }

    /// The needed permissions that are not given.
    #[must_use]
    pub fn missing(&self) -> Vec<GraphPermission> {
        NEEDED_PERMISSIONS.into_iter().filter(|permission| !self.has(permission)).collect()
    }
}

/// `servicePrincipals(appId='…')`; an id that could end the quoted text is not sent.
pub(super) fn by_app_id(route: Route, app_id: &str) -> Result<String, ApiError> {
    let id = Uuid::try_parse(app_id);
    let id = id.map_err(|_| ApiError::InvalidInput { route, why: "the application id is no GUID" })?;
    Ok(format!("servicePrincipals(appId='{}')", id.hyphenated()))
}
