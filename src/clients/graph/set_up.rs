//! The domain and the temporary user of the set-up (guide steps 6 and 7) [graph.md, 6 to 8].
//!
//! None of the writes is repeated here; one that ended with [`ApiError::may_have_had_effect`] is decided by reading.

use axum::http::Method;
use secrecy::{ExposeSecret as _, SecretString};

use super::wire::{
    AddedLicense, AssignLicense, DnsRecord, Domain, NewDomain, NewUser, Page, PasswordProfile, SetUpUser,
};
use super::{GraphClient, pages};
use crate::clients::error::{ApiError, Class, present};
use crate::clients::http::Call;
use crate::clients::route::{Api, Route};
use crate::domain::EntraObjectId;

const DOMAIN: Route = Route::new(Api::Graph, "GET /domains/{id}", "Domain.ReadWrite.All");
const DNS_RECORDS: Route = Route::new(Api::Graph, "GET /domains/{id}/verificationDnsRecords", "Domain.ReadWrite.All");
const ADD_DOMAIN: Route = Route::new(Api::Graph, "POST /domains", "Domain.ReadWrite.All");
const VERIFY_DOMAIN: Route = Route::new(Api::Graph, "POST /domains/{id}/verify", "Domain.ReadWrite.All");
const SET_UP_USER: Route = Route::new(Api::Graph, "GET /users/{userPrincipalName}", "User.Read.All");
const CREATE_USER: Route = Route::new(Api::Graph, "POST /users", "User.ReadWrite.All");
const ASSIGN_LICENSE: Route =
    Route::new(Api::Graph, "POST /users/{id}/assignLicense", "LicenseAssignment.ReadWrite.All");
const DELETE_USER: Route = Route::new(Api::Graph, "DELETE /users/{id}", "User.DeleteRestore.All");
const PURGE_USER: Route = Route::new(Api::Graph, "DELETE /directory/deletedItems/{id}", "User.DeleteRestore.All");

/// A user that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryUser {
    /// UPN, in a verified domain.
    pub user_principal_name: String,
    /// Local part, as mail nickname.
    pub mail_nickname: String,
    /// Name, by which it is recognised.
    pub display_name: String,
    /// Country of use, ISO 3166-1 alpha-2: without it no license can be assigned.
    pub usage_location: String,
}

impl GraphClient {
    /// A domain of the tenant; `None`: the tenant does not have it.
    pub async fn domain(&self, name: &str) -> Result<Option<Domain>, ApiError> {
        present(self.channel.json(&self.get(DOMAIN, &["domains", name], &[])).await)
    }

    /// The text of the TXT record by which Microsoft recognises the owner; `None`: the domain has no such record.
    pub async fn verification_text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let call = self.get(DNS_RECORDS, &["domains", name, "verificationDnsRecords"], &[]);
        let records: Page<DnsRecord> = self.channel.json(&call).await?;
        Ok(records.value.into_iter().filter(|record| record.record_type == "Txt").find_map(|record| record.text))
    }

    /// Adds a domain to the tenant; it is not verified yet.
    pub async fn add_domain(&self, name: &str) -> Result<(), ApiError> {
        self.sent(self.write(ADD_DOMAIN, Method::POST, &["domains"]).json(&NewDomain { id: name.to_owned() })?).await
    }

    /// Asks Microsoft to look for the TXT record. Refused while it does not see it: whether the domain is verified is read.
    pub async fn verify_domain(&self, name: &str) -> Result<(), ApiError> {
        self.sent(self.write(VERIFY_DOMAIN, Method::POST, &["domains", name, "verify"])).await
    }

    /// A user with the licenses that were assigned to it; `None`: there is none with this UPN.
    pub async fn set_up_user(&self, user_principal_name: &str) -> Result<Option<SetUpUser>, ApiError> {
        let select = [("$select", "id,displayName,userPrincipalName,assignedLicenses")];
        present(self.channel.json(&self.get(SET_UP_USER, &["users", user_principal_name], &select)).await)
    }

    /// Makes a user. `ObjectConflict`: the UPN is in use.
    pub async fn create_user(&self, user: &TemporaryUser, password: &SecretString) -> Result<(), ApiError> {
        let password = password.expose_secret().to_owned();
        let body = NewUser {
            account_enabled: true,
            display_name: user.display_name.clone(),
            mail_nickname: user.mail_nickname.clone(),
            user_principal_name: user.user_principal_name.clone(),
            usage_location: user.usage_location.clone(),
            password_profile: PasswordProfile { force_change_password_next_sign_in: true, password },
        };
        self.sent(self.write(CREATE_USER, Method::POST, &["users"]).json(&body)?).await
    }

    /// Gives a license of one product to a user.
    pub async fn assign_license(&self, user: EntraObjectId, sku: EntraObjectId) -> Result<(), ApiError> {
        let add_licenses = vec![AddedLicense { sku_id: sku, disabled_plans: Vec::new() }];
        self.licenses(user, AssignLicense { add_licenses, remove_licenses: Vec::new() }).await
    }

    /// Takes licenses from a user.
    pub async fn remove_licenses(&self, user: EntraObjectId, skus: Vec<EntraObjectId>) -> Result<(), ApiError> {
        self.licenses(user, AssignLicense { add_licenses: Vec::new(), remove_licenses: skus }).await
    }

    async fn licenses(&self, user: EntraObjectId, change: AssignLicense) -> Result<(), ApiError> {
        let path = ["users", &user.to_string(), "assignLicense"];
        self.sent(self.write(ASSIGN_LICENSE, Method::POST, &path).json(&change)?).await
    }

    /// Deletes a user, and for good where the tenant lets applications do that; else it can be restored for 30 days.
    pub async fn delete_user(&self, user: EntraObjectId) -> Result<(), ApiError> {
        let id = user.to_string();
        self.sent(self.write(DELETE_USER, Method::DELETE, &["users", &id])).await?;
        match self.sent(self.write(PURGE_USER, Method::DELETE, &["directory", "deletedItems", &id])).await {
            // It is deleted all the same, and goes by itself after 30 days.
            Err(error) if matches!(error.class(), Class::Permission(_) | Class::Absent) => Ok(()),
            other => other,
        }
    }

    async fn sent(&self, call: Call) -> Result<(), ApiError> {
        self.channel.sent(&call).await.map(drop)
    }

    fn write(&self, route: Route, method: Method, path: &[&str]) -> Call {
        pages::identified(Call::new(route, method, &self.base, path, &[]))
    }
}
