//! Card 4: Verify connection (guide step 20).

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Pbx, VerificationRun};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::{DomainState, SyncKind, Verification, VerificationCheck, VerificationState};
use crate::domain::{AccountKey, OrganizationId};

impl World {
    /// `POST P/verifications`.
    pub fn start_verification(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Verification, Refusal> {
        let ends_at = after(now, self.settings.verification_seconds);
        let pbx = self.pbx_mut(account, organization)?;
        if pbx.verification.as_ref().is_some_and(|run| !run.ended) {
            return Err(Refusal::VerificationRunning);
        }
        let run = VerificationRun { started_at: now, ends_at, ended: false, checks: Vec::new() };
        Ok(pbx.verification.insert(run).view())
    }

    /// `GET P/verifications/latest`.
    pub fn verification(&self, account: &AccountKey, organization: OrganizationId) -> Result<Verification, Refusal> {
        let run = self.pbx(account, organization)?.verification.as_ref();
        run.map(VerificationRun::view).ok_or(Refusal::NotFound("verification"))
    }

    /// The checks look at the world at the end of the verification.
    pub(crate) fn end_verification(&mut self, account: &AccountKey, organization: OrganizationId) {
        let Some(connector) = self.connectors.get_mut(account) else { return };
        let checks = connector.pbxs.get(&organization).map(|pbx| checks(connector, pbx));
        let Some(pbx) = connector.pbxs.get_mut(&organization) else { return };
        let fails = std::mem::take(&mut pbx.next_verification_fails);
        if let Some(run) = &mut pbx.verification {
            run.checks = checks.unwrap_or_default();
            run.checks.push(check("Connection", !fails, "no answer from the PBX"));
            run.ended = true;
        }
    }
}

pub(crate) fn checks(connector: &Connector, pbx: &Pbx) -> Vec<VerificationCheck> {
    let activated = connector.domains.values().any(|domain| domain.state == DomainState::Activated);
    vec![
        check("PbxBound", pbx.bound_at.is_some(), "the PBX is not bound"),
        check("Services", pbx.sync_enabled && pbx.service_enabled, "a switch is off"),
        check("Consent", connector.consented(SyncKind::Push), "a consent is missing"),
        check("Domain", activated, "no domain is activated"),
    ]
}

fn check(name: &str, passed: bool, failure: &str) -> VerificationCheck {
    let message = if passed { String::new() } else { failure.to_owned() };
    VerificationCheck { name: name.to_owned(), passed, message }
}

impl VerificationRun {
    /// The verification as the contract shows it.
    pub fn view(&self) -> Verification {
        let passed = self.ended && self.checks.iter().all(|check| check.passed);
        let state = match (self.ended, passed) {
            (false, _) => VerificationState::Running,
            (true, true) => VerificationState::Verified,
            (true, false) => VerificationState::Failed,
        };
        Verification { state, checks: self.checks.clone(), verified_at: passed.then_some(self.ends_at) }
    }
}
