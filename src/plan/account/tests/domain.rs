//! Guide steps 6 and 7: the domain and its temporary user, one step at a time.

use super::fixture::{World, domain, minute, permission};
use crate::api::Reason;
use crate::plan::account::{AccountStep, DOMAIN_ACTIVATED, TEMPORARY_USER_REMOVED};
use crate::plan::domains::{TEMPORARY_NAME, temporary_upn, wants_look};
use crate::plan::snapshot::{DomainState, DomainUser, Source, SpareSeats, TenantDomain, TenantDomainState};

const NAME: &str = "a1.sbc.example";

/// The connector allotted one domain; the tenant has two products with a spare seat.
fn reserved() -> World {
    let mut world = World::set_up();
    world.spec.domain.activation.usage_location = Some("PT".to_owned());
    spare(&mut world, &[("ENTERPRISEPACK", 1), ("SPB", 3)]);
    stands(&mut world, DomainState::Reserved, TenantDomainState::Absent, None);
    world
}

fn spare(world: &mut World, seats: &[(&str, u32)]) {
    let mut known = world.snapshot().seats.known().unwrap().clone();
    let seats = (1..).zip(seats).map(|(number, (part_number, free))| SpareSeats {
        sku: format!("00000000-0000-4000-8000-{number:012}").parse().unwrap(),
        part_number: (*part_number).to_owned(),
        free: *free,
    });
    known.spare = seats.collect();
    let now = world.now;
    world.snapshot().seats = Source::complete(known, now);
}

fn stands(world: &mut World, connector: DomainState, tenant: TenantDomainState, user: Option<DomainUser>) {
    let now = world.now;
    world.snapshot().domains = Source::complete(vec![domain(connector)], now);
    let tenant = TenantDomain { name: NAME.to_owned(), state: tenant, user };
    world.snapshot().tenant_domains = Source::complete(vec![tenant], now);
}

fn user(display_name: &str, skus: &[u32]) -> DomainUser {
    let sku = |number: &u32| format!("00000000-0000-4000-8000-{number:012}").parse().unwrap();
    let id = "33333333-3333-4333-8333-333333333333".parse().unwrap();
    DomainUser { id, display_name: display_name.to_owned(), skus: skus.iter().map(sku).collect() }
}

fn unverified() -> TenantDomainState {
    TenantDomainState::Unverified { text: Some("MS=ms00000001".to_owned()) }
}

fn steps(world: &World) -> Vec<String> {
    world.plan().steps.iter().map(ToString::to_string).collect()
}

/// Guide step 7: added, published, verified, a user made, licensed, waited for, unlicensed and deleted: one step for each state.
#[test]
fn a_domain_is_set_up_and_its_user_removed_again() {
    use DomainState::{Activated, Activating, Published, Reserved, Verified};
    use TenantDomainState::{Absent, Verified as Owned};
    let ours = |skus: &[u32]| Some(user(TEMPORARY_NAME, skus));
    let states = [
        (Reserved, Absent, None),
        (Reserved, unverified(), None),
        (Published, unverified(), None),
        (Verified, Owned, None),
        (Verified, Owned, ours(&[])),
        (Activating, Owned, ours(&[2])),
        (Activated, Owned, ours(&[2])),
        (Activated, Owned, ours(&[])),
        (Activated, Owned, None),
    ];
    let mut told = Vec::new();
    let mut world = reserved();
    for (connector, tenant, user) in states {
        stands(&mut world, connector, tenant, user);
        let steps = steps(&world);
        world.pass();
        let (holds, reason) = world.condition(DOMAIN_ACTIVATED).unwrap();
        told.push(format!("{holds} {reason}: {}", steps.join(", ")));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    False DomainVerificationPending: add a1.sbc.example to the tenant
    False DomainVerificationPending: publish the text that proves who owns a1.sbc.example
    False DomainVerificationPending: let Microsoft verify a1.sbc.example
    False DomainActivationPending: make the temporary user of a1.sbc.example
    False DomainActivationPending: give the temporary user a spare license
    False DomainActivationPending: 
    True Succeeded: take the license back from the temporary user
    True Succeeded: delete the temporary user
    True Succeeded: 
    ");
}

/// R21: the user shows until it is gone, though nothing else waits for that.
#[test]
fn a_temporary_user_is_told_until_it_is_gone() {
    let mut world = reserved();
    stands(&mut world, DomainState::Activated, TenantDomainState::Verified, Some(user(TEMPORARY_NAME, &[2])));
    world.pass();
    assert_eq!(world.condition(TEMPORARY_USER_REMOVED), Some(("False".to_owned(), Reason::Progressing)));
    assert!(world.status.domains[0].temporary_user_id.is_some());
    assert_eq!(world.plan().write_gate, None, "voice goes on");
    stands(&mut world, DomainState::Activated, TenantDomainState::Verified, None);
    world.pass();
    assert_eq!(world.condition(TEMPORARY_USER_REMOVED), Some(("True".to_owned(), Reason::Succeeded)));
    assert_eq!(world.status.domains[0].temporary_user_id, None);
}

/// A user of the same name that somebody else made is neither licensed nor deleted.
#[test]
fn a_user_whom_somebody_else_made_is_not_touched() {
    let mut world = reserved();
    for (state, reason) in
        [(DomainState::Verified, Some(Reason::TemporaryUserConflict)), (DomainState::Activated, None)]
    {
        for skus in [&[][..], &[2][..]] {
            stands(&mut world, state, TenantDomainState::Verified, Some(user("Ann Lee", skus)));
            assert_eq!(steps(&world), Vec::<String>::new(), "{state:?} {skus:?}");
            world.pass();
            let (_, shown) = world.condition(DOMAIN_ACTIVATED).unwrap();
            assert_eq!(Some(shown).filter(|it| *it != Reason::Succeeded), reason, "{state:?}");
        }
    }
}

/// Guide step 6: the license is the named product's, or that with the most free seats; without one a human is asked.
#[test]
fn a_spare_license_is_needed_and_chosen() {
    let licensed = |world: &World| match &world.plan().steps[..] {
        [AccountStep::AssignLicense { sku, .. }] => Some(sku.to_string()),
        [] => None,
        other => panic!("{other:?}"),
    };
    let mut world = reserved();
    let state = |world: &mut World| {
        stands(world, DomainState::Verified, TenantDomainState::Verified, Some(user(TEMPORARY_NAME, &[])));
    };
    state(&mut world);
    assert!(licensed(&world).unwrap().ends_with('2'), "SPB has the most");
    world.spec.domain.activation.sku_part_number = Some("ENTERPRISEPACK".to_owned());
    assert!(licensed(&world).unwrap().ends_with('1'));
    spare(&mut world, &[("ENTERPRISEPACK", 0), ("SPB", 3)]);
    assert_eq!(licensed(&world), None);
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::NoSpareLicense)));
    assert_eq!(world.status.pending_actions[0].id, "FreeLicense");
    world.spec.domain.activation.sku_part_number = None;
    world.spec.domain.activation.usage_location = None;
    world.pass();
    assert_eq!(steps(&world), Vec::<String>::new());
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::InvalidSpec)));
}

/// S16: the rights of the set-up are asked for only while there is something to set up, by name.
#[test]
fn the_rights_of_the_set_up_are_asked_for_only_then() {
    let mut world = reserved();
    let mut right = permission("Domain.ReadWrite.All", false);
    right.set_up = true;
    world.snapshot().graph_permissions = Source::complete(vec![right], minute(119));
    world.pass();
    assert_eq!(steps(&world), Vec::<String>::new());
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::PermissionMissing)));
    assert!(world.status.pending_actions[0].action.contains("Domain.ReadWrite.All"));
    stands(&mut world, DomainState::Activated, TenantDomainState::Verified, None);
    world.pass();
    assert_eq!(world.condition("Ready"), Some(("True".to_owned(), Reason::Succeeded)));
}

/// Windows that are normal: a record that is seen late is waited for, two days long; then a human is told.
#[test]
fn a_record_that_is_never_seen_is_told_after_two_days() {
    let mut world = reserved();
    stands(&mut world, DomainState::Published, unverified(), None);
    world.pass();
    world.now = minute(120 + 47 * 60);
    stands(&mut world, DomainState::Published, unverified(), None);
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::DomainVerificationPending)));
    world.now = minute(120 + 49 * 60);
    stands(&mut world, DomainState::Published, unverified(), None);
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::DomainUnverified)));
    assert_eq!(steps(&world), [format!("let Microsoft verify {NAME}")], "it is tried all the same");
}

/// A record that is not seen yet is asked for with growing distance, not at every reading.
#[test]
fn a_late_record_is_asked_for_with_growing_distance() {
    let mut world = reserved();
    stands(&mut world, DomainState::Published, unverified(), None);
    world.pass();
    world.now = minute(120 + 60);
    stands(&mut world, DomainState::Published, unverified(), None);
    let asked = world.now;
    for (seconds, count) in [(2, 0), (60, 0), (299, 0), (301, 1)] {
        world.now = asked + k8s_openapi::jiff::SignedDuration::from_secs(seconds);
        world.last_step = Some(asked);
        stands(&mut world, DomainState::Published, unverified(), None);
        assert_eq!(steps(&world).len(), count, "{seconds} s");
        assert!(matches!(world.plan().next, crate::plan::observed::Next::At(..)), "{seconds} s: it is looked at again");
    }
}

/// What cannot be read of a domain that is being set up holds up no policy.
#[test]
fn a_domain_that_cannot_be_read_closes_no_gate_of_its_own() {
    let mut world = World::set_up();
    let failed = super::fixture::failed_source(Reason::PermissionMissing);
    let unread = world.snapshot().tenant_domains.failed(failed);
    world.snapshot().tenant_domains = unread;
    assert_eq!(world.plan().write_gate, None);
}

/// Where the connector manages its domains nothing is done in the tenant; what it leaves over is told.
#[test]
fn a_connectors_own_domain_is_only_watched() {
    let mut world = reserved();
    world.spec.domain.activation.managed_by = crate::api::DomainManager::Connector;
    assert_eq!(steps(&world), Vec::<String>::new());
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED), Some(("False".to_owned(), Reason::DomainUnverified)));
    let mut left = domain(DomainState::Activated);
    left.temporary_users = vec!["x".to_owned()];
    world.snapshot().domains = Source::complete(vec![left], minute(119));
    world.pass();
    assert_eq!(world.condition(TEMPORARY_USER_REMOVED), Some(("False".to_owned(), Reason::TemporaryUserLeftover)));
}

/// P1: at rest nothing is asked about a domain in the tenant; a user that is left is looked for, whoever tells of it.
#[test]
fn a_finished_domain_is_not_looked_at() {
    let mut world = World::set_up();
    let finished = domain(DomainState::Activated);
    assert!(!wants_look(world.snapshot(), &finished));
    assert!(wants_look(world.snapshot(), &domain(DomainState::Activating)));
    let left = crate::plan::snapshot::Domain { temporary_users: vec!["x".to_owned()], ..finished.clone() };
    assert!(wants_look(world.snapshot(), &left));
    stands(&mut world, DomainState::Activated, TenantDomainState::Verified, Some(user(TEMPORARY_NAME, &[])));
    assert!(wants_look(world.snapshot(), &finished));
    assert_eq!(temporary_upn(NAME), "teams-connector-activation@a1.sbc.example");
}
