//! A complete reading of any size, in which everybody is connected or can be.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::jiff::Timestamp;
use teams_connector_operator::api::{RegistrationState, UserSyncPolicySpec, UserSyncPolicyStatus};
use teams_connector_operator::domain::{Address, E164, EntraObjectId, OrganizationId};
use teams_connector_operator::plan::observed::{KnownRun, KnownUser, ObservedPolicy};
use teams_connector_operator::plan::snapshot::{
    Activity, Candidate, ConnectorUser, Entitlement, GotoUser, Line, PbxExtension, PbxNumber, PbxReading,
    PushAuthorization, PushAuthorizationState, Snapshot, Source, TeamsNumber, TeamsNumberKind, TeamsUser, Tick,
    UserLines, VoiceAccount, VoiceState,
};

const PBX: &str = "00000000-0000-4000-8000-0000000000ff";
const POLICY: &str = "head-office";
const EXTERNAL_ID: &str = "00112233445566778899aabbccddeeff";

/// Everything that a plan is made from.
pub(crate) struct World {
    spec: UserSyncPolicySpec,
    status: UserSyncPolicyStatus,
    snapshot: Snapshot,
}

/// The lists of a reading.
#[derive(Default)]
struct Lists {
    goto_users: Vec<GotoUser>,
    lines: Vec<UserLines>,
    extensions: Vec<PbxExtension>,
    numbers: Vec<PbxNumber>,
    teams_users: Vec<TeamsUser>,
    voice: Vec<VoiceState>,
    assignments: Vec<TeamsNumber>,
    candidates: Vec<Candidate>,
    pairs: Vec<ConnectorUser>,
}

impl World {
    /// So many people; `connected`: all are in the connector, registered, with number and voice.
    pub(crate) fn of(people: u32, connected: bool) -> anyhow::Result<Self> {
        let mut lists = Lists::default();
        for ordinal in 0..people {
            lists.add(ordinal, connected)?;
        }
        let spec = serde_json::from_value(serde_json::json!({
            "accountRef": {"name": "contoso"},
            "pbx": {"organizationId": PBX},
            "matching": {"automatic": {"teamsAttribute": "UserPrincipalName"}},
        }))?;
        Ok(Self { spec, status: UserSyncPolicyStatus::default(), snapshot: lists.snapshot(people)? })
    }

    /// What a pass looks at.
    pub(crate) fn observed(&self, users: Vec<KnownUser>, runs: Vec<KnownRun>) -> ObservedPolicy<'_> {
        ObservedPolicy {
            name: POLICY,
            generation: 1,
            spec: &self.spec,
            status: &self.status,
            deleting: false,
            suspended: false,
            requested_at: None,
            adopted: None,
            reference: None,
            gate: None,
            external_id: EXTERNAL_ID,
            snapshot: Some(&self.snapshot),
            previous: Some(&self.snapshot),
            last_write: None,
            interval_seconds: 600,
            users,
            runs,
        }
    }
}

/// The time of every plan.
pub(crate) fn now() -> Timestamp {
    Timestamp::constant(1_800_000_000, 0)
}

impl Lists {
    fn add(&mut self, ordinal: u32, connected: bool) -> anyhow::Result<()> {
        let pbx: OrganizationId = PBX.parse()?;
        let key: teams_connector_operator::domain::UserKey = format!("2000000000000{ordinal:06}").parse()?;
        let id: EntraObjectId = format!("33333333-3333-4333-8333-{ordinal:012}").parse()?;
        let upn = format!("user{ordinal:05}@contoso.example");
        let address: Address = upn.parse().ok().context("an address")?;
        let number: E164 = format!("+49301{ordinal:06}").parse()?;
        let (extension, extension_id) = (format!("{}", 10_000 + ordinal), format!("extension-{ordinal}"));
        self.goto_users.push(GotoUser {
            key: key.clone(),
            email: Some(upn.clone()),
            address: Some(address.clone()),
            name: format!("Test User {ordinal}"),
        });
        let line = Line { organization: pbx, extension: extension.clone(), primary: true };
        self.lines.push(UserLines { key: key.clone(), lines: vec![line] });
        self.extensions.push(PbxExtension { id: extension_id.clone(), organization: pbx, number: extension });
        self.numbers.push(PbxNumber {
            organization: pbx,
            number: Some(number.clone()),
            extension_id: Some(extension_id),
        });
        self.teams_users.push(TeamsUser {
            id,
            upn,
            upn_address: Some(address.clone()),
            mail_address: Some(address),
            enabled: true,
            guest: false,
            has_teams: true,
            has_phone_system: true,
        });
        let own = connected.then(|| number.clone());
        self.voice.push(VoiceState { id, account: VoiceAccount::User, enterprise_voice: connected, number: own });
        self.candidates.push(Candidate { key: key.clone(), secure_calling: false });
        if connected {
            self.assignments.push(TeamsNumber {
                number: number.clone(),
                kind: TeamsNumberKind::DirectRouting,
                target: Some(id),
                on_premises: false,
            });
            self.pairs.push(ConnectorUser {
                key,
                teams_user: id,
                external_id: Some(EXTERNAL_ID.to_owned()),
                number: Some(number),
                enabled: true,
                licensed: true,
                registration: RegistrationState::Registered,
                updated_at: now(),
                etag: now().to_string(),
            });
        }
        Ok(())
    }

    fn snapshot(self, people: u32) -> anyhow::Result<Snapshot> {
        let in_use = u32::try_from(self.pairs.len())?;
        let entitlement = Entitlement { active: true, licenses_total: people, licenses_in_use: in_use };
        let activity = Activity {
            directory_tick: Tick::UpToDate,
            push_tick: Tick::UpToDate,
            push_changes_since: None,
            imports: Vec::new(),
            pushes: Vec::new(),
            push_failures: BTreeMap::new(),
        };
        let sign_in = PushAuthorization { state: PushAuthorizationState::NotRequired, link: None, valid_until: None };
        let reading = PbxReading {
            entitlement: Source::complete(Some(entitlement), now()),
            candidates: Source::complete(self.candidates, now()),
            users: Source::complete(self.pairs, now()),
            ..PbxReading::default()
        };
        Ok(Snapshot {
            round: 2,
            full_reading_at: Some(now()),
            goto_users: Source::complete(self.goto_users, now()),
            lines: Source::complete(self.lines, now()),
            extensions: Source::complete(self.extensions, now()),
            numbers: Source::complete(self.numbers, now()),
            teams_users: Source::complete(self.teams_users, now()),
            number_assignments: Source::complete(self.assignments, now()),
            voice: Source::complete(self.voice, now()),
            activity: Source::complete(activity, now()),
            push_authorization: Source::complete(sign_in, now()),
            pbxs: BTreeMap::from([(PBX.parse()?, reading)]),
            ..Snapshot::default()
        })
    }
}
