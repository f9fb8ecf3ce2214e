//! The demo world, and what every made-up world starts from: one account with one PBX, set up to the end.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::applications::{AppSecret, Application};
use super::connector::{Bought, Connector, ConsentGroup, DomainRecord, Pbx, Record, Run, Sent, VerificationRun};
use super::goto::{Account, GotoUser, Grant, OauthClient};
use super::imports::seen;
use super::permissions::PERMISSIONS;
use super::tenant::Sku;
use super::verification::checks;
use super::{GotoSide, Refusal, Settings, Tenant, TenantDomain, World};
use crate::clients::connector::wire::{ConsentState, DomainState, Manager, SyncKind, SyncStatus};
use crate::domain::{AccountKey, EntraObjectId, OrganizationId, TenantId, UserKey};

/// Credentials and ids of made-up worlds. None of them opens anything real.
pub mod test_credentials {
    use k8s_openapi::jiff::Timestamp;

    /// GoTo account.
    pub const ACCOUNT_KEY: &str = "1234567890123456789";
    /// PBX "Head office".
    pub const ORGANIZATION_ID: &str = "00000000-0000-4000-8000-0000000000ff";
    /// PBX "Branch" of the untouched world.
    pub const BRANCH_ID: &str = "00000000-0000-4000-8000-000000000100";
    /// Microsoft 365 tenant.
    pub const TENANT_ID: &str = "11111111-1111-4111-8111-111111111111";
    /// Domain of the addresses.
    pub const EMAIL_DOMAIN: &str = "contoso.example";
    /// Domain that the tenant came with.
    pub const INITIAL_DOMAIN: &str = "contoso.onmicrosoft.com";
    /// Domain that the connector allotted.
    pub const CONNECTOR_DOMAIN: &str = "head-office.connector.example";
    /// The second one of the untouched world.
    pub const BRANCH_DOMAIN: &str = "branch.connector.example";
    /// OAuth client at GoTo.
    pub const GOTO_CLIENT_ID: &str = "00000000-0000-4000-8000-0000000000c1";
    /// Its secret.
    pub const GOTO_CLIENT_SECRET: &str = "test-goto-client-secret";
    /// Refresh token of the service user.
    pub const GOTO_REFRESH_TOKEN: &str = "test-goto-refresh-token";
    /// Personal access token of the service user.
    pub const GOTO_PAT: &str = "test-goto-personal-access-token";
    /// The operator's application in Entra.
    pub const ENTRA_CLIENT_ID: &str = "22222222-2222-4222-8222-222222222222";
    /// Its secret.
    pub const ENTRA_CLIENT_SECRET: &str = "test-entra-client-secret";
    /// The connector's own token.
    pub const CONNECTOR_TOKEN: &str = "test-connector-token";
    /// Where the virtual clock of made-up worlds starts: 2026-01-05T08:00:00Z.
    pub const START: Timestamp = Timestamp::constant(1_767_600_000, 0);
}

use test_credentials as test;

/// Microsoft 365 E5: Teams and Phone System.
pub(crate) const E5: &str = "SPE_E5";
/// Microsoft 365 E3: Teams without Phone System.
pub(crate) const E3: &str = "SPE_E3";

const SCOPES: [&str; 3] = ["identity:", "users.v1.lines.read", "voice-admin.v1.read"];

/// A person to be put into a world.
pub(crate) struct Person<'a> {
    /// Ordinal: it makes the ids.
    pub(crate) number: u32,
    /// First and last name.
    pub(crate) name: (&'a str, &'a str),
    /// Local part of the address.
    pub(crate) local: String,
    /// Product in the tenant; `None`: the tenant does not know the address.
    pub(crate) product: Option<&'a str>,
}

impl World {
    /// The demo world: six users of one PBX, two connector licenses. With the default order of admission Ann and João become
    /// connected, Maria waits for a license, Kofi has no match, Lena lacks Phone System, Omar has secure calling on.
    ///
    /// # Errors
    /// Never, as long as the products it names exist in it.
    pub fn demo() -> Result<Self, Refusal> {
        let mut world = base(Settings::default(), 2);
        let people = [
            (("Ann", "Lee"), "ann.lee", Some(E5)),
            (("João", "Silva"), "joao", Some(E5)),
            (("Kofi", "Mensah"), "kofi", None),
            (("Lena", "Fischer"), "lena", Some(E3)),
            (("Maria", "Santos"), "maria", Some(E5)),
            (("Omar", "Haddad"), "omar", Some(E5)),
        ];
        for (number, (name, local, product)) in (1..).zip(people) {
            world.add_person(&Person { number, name, local: local.to_owned(), product })?;
        }
        world.set_secure_calling("omar@contoso.example", true)?;
        world.goto_user_mut("kofi@contoso.example")?.admin_roles = vec!["SUPER_USER".to_owned()];
        world.goto.act_as(&user_key(3));
        world.add_desk_telephone();
        world.complete();
        Ok(world)
    }

    /// Puts a person on both sides: line, extension and number at GoTo, and the user of the tenant if there is one.
    pub(crate) fn add_person(&mut self, person: &Person<'_>) -> Result<(), Refusal> {
        let email = format!("{}@{}", person.local, test::EMAIL_DOMAIN);
        let user = GotoUser {
            email: email.clone(),
            first_name: person.name.0.to_owned(),
            last_name: person.name.1.to_owned(),
            admin_roles: Vec::new(),
            device: false,
            lines: Vec::new(),
            visible_since: None,
        };
        let (extension, number) = (1000 + person.number, format!("+1555{:07}", 5_550_100 + person.number));
        self.add_goto_user(None, &user_key(person.number), user, extension.to_string(), Some(number))?;
        if let Some(product) = person.product {
            let user = self.new_teams_user(email, &[product.to_owned()], days_before_start(30))?;
            let id = teams_user_id(person.number);
            self.tenant.users.insert(id, user);
            self.tenant.touch(id, None);
        }
        Ok(())
    }

    /// A desk telephone that GoTo lists as if it were a user.
    fn add_desk_telephone(&mut self) {
        let telephone = GotoUser {
            email: "0004f2000001@devices.logmein.com".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            admin_roles: Vec::new(),
            device: true,
            lines: Vec::new(),
            visible_since: None,
        };
        for account in self.goto.accounts.values_mut() {
            account.users.insert(user_key(900_000), telephone.clone());
        }
    }

    /// The directory was imported and the connection verified, after everything else was set up.
    pub(crate) fn complete(&mut self) {
        let (imported_at, verified_at) = (hours_before_start(22), hours_before_start(21));
        for connector in self.connectors.values_mut() {
            connector.imported = seen(&self.tenant, imported_at).collect();
            connector.imported_version = self.tenant.version;
            connector.run_count = 1;
            connector.runs = vec![Run {
                id: "run-000001".to_owned(),
                kind: SyncKind::Directory,
                organization: connector.pbxs.keys().next().copied(),
                accepted_at: imported_at,
                works_at: imported_at,
                ends_at: imported_at,
                end: Some(SyncStatus::Succeeded),
                revision: 0,
                users: u64::try_from(connector.imported.len()).unwrap_or(u64::MAX),
                results: BTreeMap::new(),
            }];
            let checked: Vec<_> = connector.pbxs.iter().map(|(id, pbx)| (*id, checks(connector, pbx))).collect();
            for (id, checks) in checked {
                let run = VerificationRun { started_at: verified_at, ends_at: verified_at, ended: true, checks };
                connector.pbxs.entry(id).or_default().verification = Some(run);
            }
        }
    }
}

impl GotoSide {
    /// Whose tokens the grants are.
    pub(crate) fn act_as(&mut self, user: &UserKey) {
        let grants = self.refresh_tokens.values_mut().chain(self.personal_access_tokens.values_mut());
        grants.for_each(|grant| grant.user = user.clone());
    }
}

/// An account with one PBX and a tenant, both without people; every step before the import is done.
pub(crate) fn base(settings: Settings, licenses: u32) -> World {
    let (account, organization) = (account_key(), organization_id());
    let mut goto = GotoSide { clients: [(test::GOTO_CLIENT_ID.to_owned(), client())].into(), ..GotoSide::default() };
    let refresh_token =
        Grant { issued_at: Some(days_before_start(1)), expires_at: Some(days_before_start(-29)), ..grant() };
    goto.refresh_tokens.insert(test::GOTO_REFRESH_TOKEN.to_owned(), refresh_token);
    goto.personal_access_tokens.insert(test::GOTO_PAT.to_owned(), grant());
    let organizations = [(organization, "Head office".to_owned())].into();
    goto.accounts.insert(account.clone(), Account { name: "Contoso".to_owned(), organizations, ..Account::default() });
    let connectors = [(account, connector(organization, licenses, &settings))].into();
    World { settings, goto, tenant: tenant(), connectors, ..World::default() }
}

fn client() -> OauthClient {
    OauthClient {
        secret: test::GOTO_CLIENT_SECRET.to_owned(),
        personal_access_tokens_allowed: true,
        scopes: SCOPES.map(str::to_owned).into(),
    }
}

fn grant() -> Grant {
    Grant {
        client_id: test::GOTO_CLIENT_ID.to_owned(),
        user: user_key(1),
        accounts: vec![account_key()],
        scopes: SCOPES.map(str::to_owned).into(),
        issued_at: None,
        expires_at: None,
        revoked: false,
        replaced_by: None,
        rotate_next: false,
    }
}

fn connector(organization: OrganizationId, licenses: u32, settings: &Settings) -> Connector {
    let pbx = Pbx {
        entitlement: Some(Bought { active: true, licenses_total: licenses }),
        bound_at: Some(days_before_start(2)),
        sync_enabled: true,
        service_enabled: true,
        ..Pbx::default()
    };
    Connector {
        tokens: [test::CONNECTOR_TOKEN.to_owned()].into(),
        record: Some(record()),
        pbxs: [(organization, pbx)].into(),
        consents: consents(settings),
        domains: [(test::CONNECTOR_DOMAIN.to_owned(), DomainRecord::new(DomainState::Activated))].into(),
        ..Connector::default()
    }
}

fn record() -> Record {
    let email = format!("kofi@{}", test::EMAIL_DOMAIN);
    let sent_at = days_before_start(3);
    Record {
        manager: Manager { first_name: "Kofi".to_owned(), last_name: "Mensah".to_owned(), email },
        invitation: Some(Sent { sent_at, expires_at: days_before_start(1), accepted_at: Some(sent_at) }),
    }
}

fn consents(settings: &Settings) -> Vec<ConsentGroup> {
    let group = |name: &str, permissions: &[(&str, &str)]| ConsentGroup {
        group: name.to_owned(),
        permissions: permissions.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect(),
        state: ConsentState::Granted,
        granted_by: Some(settings.global_administrator.clone()),
        granted_at: Some(days_before_start(1)),
        link: None,
    };
    vec![
        group(
            "Directory",
            &[("User.Read.All", "find the people to connect"), ("Domain.ReadWrite.All", "add a domain")],
        ),
        group("Calling", &[("user_impersonation", "give numbers and voice routing to connected users")]),
    ]
}

fn tenant() -> Tenant {
    let app = Application {
        name: "teams-connector-operator".to_owned(),
        service_principal: EntraObjectId::from(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_00b1)),
        disabled: false,
        certificates: Vec::new(),
        federated: Vec::new(),
        secrets: vec![AppSecret { value: test::ENTRA_CLIENT_SECRET.to_owned(), expires_at: None }],
        app_roles: PERMISSIONS.iter().filter_map(|(_, id)| id.parse().ok()).collect::<BTreeSet<_>>(),
    };
    let own = TenantDomain { default: true, ..TenantDomain::verified() };
    let initial = TenantDomain { initial: true, ..TenantDomain::verified() };
    Tenant {
        id: TenantId::from(Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111)),
        name: "Contoso".to_owned(),
        graph_service_principal: EntraObjectId::from(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_00b2)),
        applications: [(test::ENTRA_CLIENT_ID.to_owned(), app)].into(),
        domains: [(test::EMAIL_DOMAIN.to_owned(), own), (test::INITIAL_DOMAIN.to_owned(), initial)].into(),
        skus: [e5(), e3()].into(),
        ..Tenant::default()
    }
}

pub(crate) const TEAMS1: (u128, &str) = (0x57ff_2da0_773e_42df_b2af_ffb7_a231_7929, "TEAMS1");
const MCOEV: (u128, &str) = (0x4828_c8ec_dc2e_4779_b502_87ac_9ce2_8ab7, "MCOEV");
pub(crate) const MCOSTANDARD: (u128, &str) = (0x0fea_eb32_d00e_4d66_bd5a_43b5_b83d_b82c, "MCOSTANDARD");

fn e5() -> (EntraObjectId, Sku) {
    product(0x06eb_c4ee_1bb5_47dd_8120_1132_4bc5_4e06, E5, &[TEAMS1, MCOEV, MCOSTANDARD])
}

fn e3() -> (EntraObjectId, Sku) {
    product(0x05e9_a617_0261_4cee_bb44_138d_3ef5_d965, E3, &[TEAMS1, MCOSTANDARD])
}

pub(crate) fn product(id: u128, name: &str, plans: &[(u128, &str)]) -> (EntraObjectId, Sku) {
    let plan = |(id, name): &(u128, &str)| (EntraObjectId::from(Uuid::from_u128(*id)), (*name).to_owned());
    let sku = Sku {
        part_number: name.to_owned(),
        capability_status: "Enabled".to_owned(),
        enabled_units: 60_000,
        warning_units: 0,
        plans: plans.iter().map(plan).collect(),
    };
    (EntraObjectId::from(Uuid::from_u128(id)), sku)
}

/// Key of the made-up account.
#[expect(clippy::expect_used, reason = "the constant has the right form; a test reads it")]
pub(crate) fn account_key() -> AccountKey {
    test::ACCOUNT_KEY.parse().expect("an account key")
}

/// Id of the made-up PBX.
pub(crate) fn organization_id() -> OrganizationId {
    OrganizationId::from(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_00ff))
}

/// Id of the second PBX of the untouched world.
pub(crate) fn branch_id() -> OrganizationId {
    OrganizationId::from(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0100))
}

/// Key of the person with this ordinal.
#[expect(clippy::expect_used, reason = "nineteen digits by construction")]
pub(crate) fn user_key(number: u32) -> UserKey {
    format!("20000000000{number:08}").parse().expect("a user key")
}

/// Object id of the person with this ordinal.
pub(crate) fn teams_user_id(number: u32) -> EntraObjectId {
    EntraObjectId::from(Uuid::from_u128(0x0000_0000_0000_4000_8000_0001_0000_0000 + u128::from(number)))
}

fn days_before_start(days: i64) -> Timestamp {
    hours_before_start(24 * days)
}

fn hours_before_start(hours: i64) -> Timestamp {
    test::START.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(test::START)
}
