//! A PBX is taken from the list (R16): it stays bound while anybody uses it.

use super::fixture::{BRANCH, HEAD, World, failed_source, minute, pbx};
use crate::api::{PbxStatus, Reason};
use crate::plan::account::{AccountStep, PBXS_BOUND};
use crate::plan::snapshot::Source;

/// Two PBXs are bound and known to the status; then the second is taken from the spec, and so many of its users are connected.
fn dropped(users: Option<usize>) -> World {
    let mut world = World::with_two_pbxs();
    world.pass();
    world.spec.pbxs.truncate(1);
    world.generation += 1;
    if let Some(users) = users {
        world.snapshot().dropped_pbxs.insert(pbx(BRANCH), Source::complete(vec![(); users], minute(119)));
    }
    world
}

fn told(world: &mut World) -> (Reason, String, Option<PbxStatus>) {
    world.pass();
    assert_eq!(world.condition(PBXS_BOUND).unwrap().0, "True", "it holds up no other PBX");
    let condition = world.status.conditions.iter().find(|it| it.type_ == PBXS_BOUND).unwrap();
    (Reason::parse(&condition.reason).unwrap(), condition.message.clone(), world.status.pbxs.get(1).cloned())
}

/// R16: while a policy names it, somebody is connected, or that is not known, nothing is unbound, and it is said why.
#[test]
fn a_pbx_in_use_stays_bound() {
    let mut named = dropped(Some(0));
    named.demand(BRANCH, None);
    let mut unreadable = dropped(Some(0));
    let users = unreadable.snapshot().dropped_pbxs[&pbx(BRANCH)].failed(failed_source(Reason::ConnectorUnreachable));
    unreadable.snapshot().dropped_pbxs.insert(pbx(BRANCH), users);
    for (mut world, why) in [
        (dropped(Some(3)), "users of it are connected"),
        (dropped(None), "were not read"),
        (named, "the policy policy-0 names it"),
        (unreadable, "being unbound"),
    ] {
        assert_eq!((world.plan().steps, world.plan().write_gate), (vec![], None), "{why}");
        let (reason, message, status) = told(&mut world);
        assert!(reason == Reason::PbxInUse && message.contains(why) && message.contains(BRANCH), "{message}");
        assert_eq!(status.map(|it| (it.organization_id, it.bound)), Some((BRANCH.to_owned(), true)));
    }
}

/// R16: once nobody uses it, it is unbound, and then forgotten; one that comes back into the list is simply there.
#[test]
fn a_pbx_that_nobody_uses_is_unbound() {
    let mut world = dropped(Some(0));
    assert_eq!(world.plan().steps, [AccountStep::UnbindPbx { pbx: pbx(BRANCH) }]);
    world.suspended = true;
    assert_eq!(world.plan().steps, []);
    world.suspended = false;
    told(&mut world);
    let mut back = dropped(Some(0));
    back.spec.pbxs = World::with_two_pbxs().spec.pbxs;
    assert_eq!((back.plan().steps, told(&mut back).0), (vec![], Reason::Succeeded));
    let mut record = world.snapshot().record.known().unwrap().clone().unwrap();
    record.bound.remove(&pbx(BRANCH));
    world.snapshot().record = Source::complete(Some(record), minute(119));
    assert_eq!((world.plan().steps, told(&mut world).0, told(&mut world).2), (vec![], Reason::Succeeded, None));
}

/// R10, R16: what the status does not tell somebody else may have bound.
#[test]
fn a_pbx_that_the_status_does_not_tell_stays_bound() {
    let mut world = dropped(Some(0));
    world.status.pbxs.retain(|it| it.organization_id == HEAD);
    assert_eq!(world.plan().steps, []);
    assert_eq!(told(&mut world).0, Reason::Succeeded);
}
