//! A world in which the whole set-up is done and nothing waits.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::api::conditions::find;
use crate::api::{Reason, RegistrationState, TeamsConnectorAccountSpec, TeamsConnectorAccountStatus};
use crate::domain::OrganizationId;
use crate::plan::account::{AccountPlan, AccountReport, StepProblem, account, report};
use crate::plan::observed::{ObservedAccount, PolicyDemand, Problem};
use crate::plan::snapshot::{
    AccountRecord, Activity, Candidate, ConnectorUser, Consent, ConsentState, Domain, DomainState, Entitlement,
    GotoAccess, Invitation, InvitationState, Job, JobState, Line, Manager, PbxReading, Permission, PushAuthorization,
    PushAuthorizationState, Seats, Service, Snapshot, Source, SourceFailure, Tick, UserLines, Verification,
    VerificationState,
};

pub(super) const HEAD: &str = "00000000-0000-4000-8000-0000000000ff";
pub(super) const BRANCH: &str = "00000000-0000-4000-8000-0000000000ee";

/// 2026-03-01 08:00 and so many minutes.
pub(super) fn minute(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

pub(super) fn pbx(id: &str) -> OrganizationId {
    id.parse().unwrap()
}

/// The owned parts of an [`ObservedAccount`], and the moment.
pub(super) struct World {
    pub(super) spec: TeamsConnectorAccountSpec,
    pub(super) generation: i64,
    pub(super) status: TeamsConnectorAccountStatus,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) policies: Vec<PolicyDemand>,
    pub(super) credentials: Option<Problem>,
    pub(super) suspended: bool,
    pub(super) requested_at: Option<String>,
    pub(super) resend_invitation: Option<String>,
    pub(super) last_step: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl World {
    /// Everything was set up in the first hour; it is 10:00.
    pub(super) fn set_up() -> Self {
        Self {
            spec: spec(&[HEAD]),
            generation: 4,
            status: TeamsConnectorAccountStatus { observed_generation: -1, ..Default::default() },
            snapshot: Some(snapshot(&[HEAD])),
            policies: vec![],
            credentials: None,
            suspended: false,
            requested_at: None,
            resend_invitation: None,
            last_step: None,
            now: minute(120),
        }
    }

    /// With a second PBX.
    pub(super) fn with_two_pbxs() -> Self {
        Self { spec: spec(&[HEAD, BRANCH]), snapshot: Some(snapshot(&[HEAD, BRANCH])), ..Self::set_up() }
    }

    pub(super) fn snapshot(&mut self) -> &mut Snapshot {
        self.snapshot.as_mut().unwrap()
    }

    pub(super) fn pbx(&mut self, id: &str) -> &mut PbxReading {
        self.snapshot().pbxs.get_mut(&pbx(id)).unwrap()
    }

    pub(super) fn observed(&self) -> ObservedAccount<'_> {
        ObservedAccount {
            uid: "6a5f0f5e-0000-4000-8000-00000000000a",
            generation: self.generation,
            spec: &self.spec,
            status: &self.status,
            suspended: self.suspended,
            requested_at: self.requested_at.as_deref(),
            resend_invitation: self.resend_invitation.as_deref(),
            credentials: self.credentials.clone(),
            snapshot: self.snapshot.as_ref(),
            last_step: self.last_step,
            policies: self.policies.clone(),
        }
    }

    pub(super) fn plan(&self) -> AccountPlan {
        account(&self.observed(), self.now)
    }

    /// One pass; its status is the next pass's previous one.
    pub(super) fn pass(&mut self) -> AccountReport {
        self.pass_with(None)
    }

    /// One pass whose first step fails so.
    pub(super) fn pass_with(&mut self, problem: Option<Problem>) -> AccountReport {
        let plan = self.plan();
        let problems: Vec<_> = plan
            .steps
            .first()
            .into_iter()
            .zip(problem)
            .map(|(step, problem)| StepProblem { step: step.clone(), problem })
            .collect();
        let report = report(&self.observed(), &plan, &problems, self.now);
        self.status = report.status.clone();
        report
    }

    /// Status and reason of a condition after the last pass.
    pub(super) fn condition(&self, kind: &str) -> Option<(String, Reason)> {
        let condition = find(&self.status.conditions, kind)?;
        Some((condition.status.clone(), Reason::parse(&condition.reason).unwrap()))
    }

    /// Replaces the activity.
    pub(super) fn activity(&mut self, change: impl FnOnce(&mut Activity)) {
        let now = self.now;
        let mut activity = self.snapshot().activity.known().unwrap().clone();
        change(&mut activity);
        self.snapshot().activity = Source::complete(activity, now);
    }

    pub(super) fn authorization(&mut self, state: PushAuthorizationState, valid_until: Option<Timestamp>) {
        let pending = state == PushAuthorizationState::Pending;
        let link = pending.then(|| "https://connector.example.test/sign-in/1".to_owned());
        let now = self.now;
        self.snapshot().push_authorization = Source::complete(PushAuthorization { state, link, valid_until }, now);
    }

    /// Puts one pair into the connector at this moment.
    pub(super) fn add_user(&mut self, updated_at: Timestamp) {
        let now = self.now;
        let user = ConnectorUser {
            key: "2000000000000000001".parse().unwrap(),
            teams_user: "33333333-3333-4333-8333-333333333333".parse().unwrap(),
            external_id: Some("ours".to_owned()),
            number: None,
            enabled: true,
            licensed: true,
            registration: RegistrationState::Pending,
            updated_at,
            etag: updated_at.to_string(),
        };
        self.pbx(HEAD).users = Source::complete(vec![user], now);
    }

    /// A policy whose run needs an import begun after this.
    pub(super) fn demand(&mut self, pbx_id: &str, needs_import_after: Option<Timestamp>) {
        let name = format!("policy-{}", self.policies.len());
        self.policies.push(PolicyDemand {
            name,
            pbx: pbx(pbx_id),
            needs_import_after,
            disconnects: false,
            replaces_since: None,
            strange: None,
        });
    }
}

pub(super) fn failed_source(reason: Reason) -> SourceFailure {
    SourceFailure { reason, cause: "HTTP 503".to_owned(), retry_at: None }
}

pub(super) fn job(id: &str, state: JobState, started_at: Timestamp) -> Job {
    let finished_at = (state != JobState::Open).then(|| started_at + SignedDuration::from_mins(1));
    Job { id: id.to_owned(), state, started_at, finished_at, users: 6 }
}

fn spec(pbxs: &[&str]) -> TeamsConnectorAccountSpec {
    let pbxs: Vec<_> = pbxs.iter().zip(["Head office", "Branch"]).collect();
    let pbxs: Vec<_> = pbxs.iter().map(|(id, name)| json!({"organizationId": id, "displayName": name})).collect();
    serde_json::from_value(json!({
        "goto": {"accountKey": "1234567890123456789", "credentialsSecretRef": {"name": "goto-login"}},
        "pbxs": pbxs,
        "microsoft365": {
            "tenantId": "11111111-1111-4111-8111-111111111111",
            "credentials": {"clientSecret": {
                "clientId": "22222222-2222-4222-8222-222222222222",
                "secretRef": {"name": "graph-login", "key": "value"}
            }}
        },
        "connector": {"driver": "Api", "api": {"endpoint": "https://connector.example.test/v1"}},
        "manager": {"firstName": "Maria", "lastName": "Silva", "email": "Maria@Contoso.example"}
    }))
    .unwrap()
}

fn snapshot(pbxs: &[&str]) -> Snapshot {
    let at = minute(118);
    let bound: BTreeMap<_, _> = pbxs.iter().map(|id| (pbx(id), minute(5))).collect();
    let granted = |group: &str, granted_at| Consent {
        group: group.to_owned(),
        state: ConsentState::Granted,
        permissions: vec![permission("Domain.ReadWrite.All", true)],
        granted_by: None,
        granted_at: Some(granted_at),
        link: None,
        link_expires_at: None,
    };
    Snapshot {
        round: 3,
        full_reading_at: Some(at),
        goto_access: Source::complete(access(), at),
        goto_users: Source::complete(vec![], at),
        lines: Source::complete(lines(pbxs), at),
        extensions: Source::complete(vec![], at),
        numbers: Source::complete(vec![], at),
        graph_permissions: Source::complete(vec![permission("User.Read.All", true)], at),
        teams_users: Source::complete(vec![], at),
        seats: Source::complete(Seats { phone_system_total: 25, phone_system_in_use: 14, spare: vec![] }, at),
        number_assignments: Source::complete(vec![], at),
        voice: Source::complete(vec![], at),
        record: Source::complete(Some(record(bound)), at),
        administrators: Source::complete(vec![], at),
        consents: Source::complete(vec![granted("Directory", minute(10)), granted("Calling", minute(12))], at),
        domains: Source::complete(vec![domain(DomainState::Activated)], at),
        tenant_domains: Source::complete(vec![], at),
        activity: Source::complete(activity(), at),
        push_authorization: Source::complete(
            PushAuthorization { state: PushAuthorizationState::NotRequested, link: None, valid_until: None },
            at,
        ),
        pbxs: pbxs.iter().map(|id| (pbx(id), reading(at))).collect(),
        dropped_pbxs: BTreeMap::new(),
    }
}

fn access() -> GotoAccess {
    GotoAccess {
        accounts: vec!["1234567890123456789".parse().unwrap()],
        missing_scopes: vec![],
        super_admin: Some(true),
    }
}

pub(super) fn permission(name: &str, granted: bool) -> Permission {
    Permission { name: name.to_owned(), reason: "finds the users".to_owned(), granted, set_up: false }
}

fn lines(pbxs: &[&str]) -> Vec<UserLines> {
    let line = |id: &&str| Line { organization: pbx(id), extension: "1001".parse().unwrap(), primary: true };
    vec![UserLines { key: "2000000000000000001".parse().unwrap(), lines: pbxs.iter().map(line).collect() }]
}

pub(super) fn record(bound: BTreeMap<OrganizationId, Timestamp>) -> AccountRecord {
    AccountRecord {
        manager: manager("Silva", "maria@contoso.example"),
        invitation: Invitation {
            state: InvitationState::Accepted,
            sent_at: Some(minute(1)),
            expires_at: Some(minute(2881)),
        },
        bound,
    }
}

pub(super) fn manager(last_name: &str, email: &str) -> Manager {
    Manager { first_name: "Maria".to_owned(), last_name: last_name.to_owned(), email: email.to_owned() }
}

pub(super) fn domain(state: DomainState) -> Domain {
    Domain { name: "a1.sbc.example".to_owned(), state, temporary_users: vec![] }
}

fn activity() -> Activity {
    Activity {
        directory_tick: Tick::UpToDate,
        push_tick: Tick::UpToDate,
        push_changes_since: None,
        imports: vec![job("import-1", JobState::Done, minute(15))],
        pushes: vec![],
        push_failures: BTreeMap::new(),
    }
}

fn reading(at: Timestamp) -> PbxReading {
    PbxReading {
        entitlement: Source::complete(Some(Entitlement { active: true, licenses_total: 50, licenses_in_use: 12 }), at),
        service: Source::complete(Some(Service { user_import_enabled: true, enabled: true }), at),
        verification: Source::complete(
            Some(Verification {
                state: VerificationState::Verified,
                verified_at: Some(minute(40)),
                failed_checks: vec![],
            }),
            at,
        ),
        candidates: Source::complete(Vec::<Candidate>::new(), at),
        users: Source::complete(vec![], at),
    }
}
