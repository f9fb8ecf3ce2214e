//! The untouched world: everything is bought, nobody has set up anything.

use super::connector::{Bought, Connector, DomainRecord, Pbx};
use super::demo::{E3, E5, Person, account_key, base, branch_id, organization_id, product, user_key};
use super::demo::{MCOSTANDARD, TEAMS1};
use super::test_credentials as test;
use super::{Refusal, Settings, World, WorldEdit};
use crate::clients::connector::wire::{ConsentState, DomainState};

/// Office 365 E3: Teams, for a person. Nobody has one of the seats.
const SPARE: &str = "ENTERPRISEPACK";
/// Spare seats: one for each allotted domain.
const SPARE_SEATS: u32 = 2;

impl World {
    /// Two PBXs with the integration bought, a tenant with people who have Phone System and two spare seats of
    /// `ENTERPRISEPACK`; no account record, no consent, two domains that are allotted and no more. Kofi is super admin. The
    /// humans wait to be told.
    ///
    /// # Errors
    /// Never, as long as the products it names exist in it.
    pub fn untouched() -> Result<Self, Refusal> {
        let mut world = base(Settings::default(), 0);
        world.edit(
            WorldEdit::AddPbx { organization: branch_id(), name: "Branch".to_owned(), licenses: None, bound: false },
            test::START,
        )?;
        let people = [
            (("Ann", "Lee"), "ann.lee", E5),
            (("João", "Silva"), "joao", E5),
            (("Kofi", "Mensah"), "kofi", E3),
            (("Maria", "Santos"), "maria", E5),
            (("Omar", "Haddad"), "omar", E5),
        ];
        for (number, (name, local, product)) in (1..).zip(people) {
            world.add_person(&Person { number, name, local: local.to_owned(), product: Some(product) })?;
        }
        for local in ["maria", "omar"] {
            let user = format!("{local}@{}", test::EMAIL_DOMAIN);
            world.edit(WorldEdit::MoveToPbx { user, organization: branch_id() }, test::START)?;
        }
        world.goto_user_mut("kofi@contoso.example")?.admin_roles = vec!["SUPER_USER".to_owned()];
        world.goto.act_as(&user_key(3));
        world.leave_only_spare_seats();
        world.take_back_the_set_up()?;
        Ok(world)
    }

    fn leave_only_spare_seats(&mut self) {
        let used: Vec<_> = self.tenant.skus.keys().map(|id| (*id, self.tenant.consumed(*id))).collect();
        for (id, used) in used {
            if let Some(sku) = self.tenant.skus.get_mut(&id) {
                sku.enabled_units = used;
            }
        }
        let (id, mut sku) = product(0x6fd2_c87f_b296_42f0_b197_1e91_e994_b900, SPARE, &[TEAMS1, MCOSTANDARD]);
        sku.enabled_units = SPARE_SEATS;
        self.tenant.skus.insert(id, sku);
    }

    fn take_back_the_set_up(&mut self) -> Result<(), Refusal> {
        let connector = self.connector_mut(&account_key())?;
        let bought =
            |licenses_total| Pbx { entitlement: Some(Bought { active: true, licenses_total }), ..Pbx::default() };
        for consent in &mut connector.consents {
            consent.state = ConsentState::NotRequested;
            (consent.granted_by, consent.granted_at) = (None, None);
        }
        let domain = |name: &str| (name.to_owned(), DomainRecord::new(DomainState::Reserved));
        *connector = Connector {
            tokens: std::mem::take(&mut connector.tokens),
            consents: std::mem::take(&mut connector.consents),
            pbxs: [(organization_id(), bought(5)), (branch_id(), bought(3))].into(),
            domains: [domain(test::CONNECTOR_DOMAIN), domain(test::BRANCH_DOMAIN)].into(),
            ..Connector::default()
        };
        Ok(())
    }
}
