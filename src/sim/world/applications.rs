//! The operator's application in the tenant, and the three kinds of credentials that it may have.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::settings::after;
use super::{Refusal, World, WorldEdit};
use crate::domain::EntraObjectId;

/// An application with its service principal in the tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Object id of its service principal.
    pub service_principal: EntraObjectId,
    /// Whether signing in is blocked.
    #[serde(default)]
    pub disabled: bool,
    /// Its client secrets.
    #[serde(default)]
    pub secrets: Vec<AppSecret>,
    /// Its certificates.
    #[serde(default)]
    pub certificates: Vec<AppCertificate>,
    /// Whose tokens stand for it.
    #[serde(default)]
    pub federated: Vec<FederatedCredential>,
    /// App role ids that an administrator consented to.
    #[serde(default)]
    pub app_roles: BTreeSet<EntraObjectId>,
}

/// A client secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSecret {
    /// Its text.
    pub value: String,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A certificate whose key signs assertions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppCertificate {
    /// The certificate in PEM.
    pub pem: String,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A credential of workload identity federation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederatedCredential {
    /// Who issues the tokens.
    pub issuer: String,
    /// Whose they are.
    pub subject: String,
    /// For whom they are.
    pub audience: String,
    /// Since when Entra knows it; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_since: Option<Timestamp>,
}

impl AppCertificate {
    /// Its SHA-256 as an assertion names it; absent: it is none.
    pub fn thumbprint(&self) -> Option<String> {
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&der)))
    }
}

impl World {
    /// A change of the credentials of every application: made-up worlds have one.
    pub(crate) fn edit_applications(&mut self, edit: &WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        let known_since = after(now, self.settings.federation_lag_seconds);
        if let WorldEdit::AddFederatedCredential { issuer, keys: Some(keys), .. } = edit {
            self.tenant.issuers.insert(issuer.clone(), keys.clone());
        }
        if let WorldEdit::SetTokenError { number } = edit {
            self.tenant.token_error = *number;
        }
        for application in self.tenant.applications.values_mut() {
            application.edit(edit, known_since)?;
        }
        Ok(())
    }
}

impl Application {
    fn edit(&mut self, edit: &WorldEdit, known_since: Timestamp) -> Result<(), Refusal> {
        match edit.clone() {
            WorldEdit::SetApplicationEnabled { enabled } => self.disabled = !enabled,
            WorldEdit::AddClientSecret { value, expires_at } => self.secrets.push(AppSecret { value, expires_at }),
            WorldEdit::RemoveClientSecret { value } => self.secrets.retain(|secret| secret.value != value),
            WorldEdit::AddCertificate { pem, expires_at } => {
                let certificate = AppCertificate { pem, expires_at };
                certificate.thumbprint().ok_or(Refusal::InvalidValue("this is no certificate in PEM"))?;
                self.certificates.push(certificate);
            }
            WorldEdit::RemoveCertificates {} => self.certificates.clear(),
            WorldEdit::AddFederatedCredential { issuer, subject, audience, .. } => {
                let known_since = Some(known_since);
                self.federated.push(FederatedCredential { issuer, subject, audience, known_since });
            }
            WorldEdit::RemoveFederatedCredentials {} => self.federated.clear(),
            _ => {}
        }
        Ok(())
    }
}
