//! Plans print themselves: one line for each write and each wait, no address and no number.

use super::cluster::{Cluster, problem};
use super::world::{World, key};
use crate::api::{Managed, Reason, TeamsAttribute};
use crate::plan::user_plan::{RunPlan, Violation};

fn demo() -> Cluster {
    let mut world = World::of(4);
    world.entitlement.licenses_total = 2;
    world.teams[2].has_phone_system = false;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster
}

#[test]
fn a_first_plan_prints_its_run_and_its_users() {
    insta::assert_snapshot!(demo().plan(), @r"
    policy: the first complete plan, adopts Matched
    run hq-53c3b86d-1: create
      put 2000000000000000000 with a0000000-0000-4000-8000-000000000000
      put 2000000000000000001 with a0000000-0000-4000-8000-000000000001
    user 2000000000000000000: create, Pending at Apply: ChangesPending, managed Added
    user 2000000000000000001: create, Pending at Apply: ChangesPending, managed Added
    user 2000000000000000002: create, Blocked at Preflight: NoPhoneSystemLicense
    user 2000000000000000003: create, Waiting at License: ConnectorLicenseExhausted
    ");
}

#[test]
fn a_plan_that_waits_says_for_what() {
    let mut cluster = demo();
    cluster.pass();
    cluster.read();
    insta::assert_snapshot!(cluster.plan(), @r"
    run hq-53c3b86d-1: resume, 0 applied, 0 skipped, 0 failed, 2 to do
      waits: a directory import that began after the newest user was first seen
    ");
}

#[test]
fn a_plan_that_writes_names_every_write() {
    let mut cluster = demo();
    let plan = cluster.pass();
    cluster.world.candidates[1].secure_calling = true;
    cluster.between(&plan);
    insta::assert_snapshot!(cluster.plan(), @r"
    run hq-53c3b86d-1: resume, 0 applied, 1 skipped, 0 failed, 1 to do
      skip 2000000000000000001: no longer called for: SecureCallingEnabled
      put 2000000000000000000 with a0000000-0000-4000-8000-000000000000
    user 2000000000000000001: spec and status, Blocked at Preflight: SecureCallingEnabled
    user 2000000000000000003: spec and status, Pending at Apply: ChangesPending, managed Added
    ");
}

#[test]
fn a_plan_that_ends_a_run_says_how() {
    let mut cluster = demo();
    cluster.pass();
    cluster.generation = 2;
    cluster.spec.matching.automatic.as_mut().unwrap().teams_attribute = TeamsAttribute::Mail;
    insta::assert_snapshot!(cluster.plan(), @r"
    run hq-53c3b86d-1: close as Superseded
    ");
}

#[test]
fn an_empty_plan_prints_nothing() {
    let mut cluster = demo();
    cluster.settle();
    let plan = cluster.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.to_string(), "");
}

#[test]
fn a_plan_prints_no_address_and_no_number() {
    let mut cluster = demo();
    let mut printed = cluster.plan().to_string();
    for _ in 0..4 {
        let plan = cluster.pass();
        cluster.between(&plan);
        printed.push_str(&cluster.plan().to_string());
    }
    assert!(!printed.contains('@') && !printed.contains("+1555"), "{printed}");
}

#[test]
fn a_plan_that_contradicts_itself_is_found_out() {
    let mut cluster = demo();
    let plan = cluster.pass();
    cluster.between(&plan);
    let good = cluster.plan();
    let mut unmarked = good.clone();
    unmarked.users.iter_mut().for_each(|user| user.spec.managed = Managed::None);
    assert_eq!(unmarked.check(), [Violation::Unmarked(key(0)), Violation::Unmarked(key(1))]);
    let mut twice = good.clone();
    twice.users.push(good.users[0].clone());
    assert_eq!(twice.check(), [Violation::PlannedTwice(key(0))]);
    let mut unready = good.clone();
    unready.conditions.clear();
    assert_eq!(unready.check(), [Violation::Conditions]);
    let mut miscounted = good.clone();
    miscounted.counts.as_mut().unwrap().pending += 1;
    assert_eq!(miscounted.check(), [Violation::Counters]);
    let mut repeated = good;
    let RunPlan::Resume(run) = &mut repeated.run else { panic!("not resumed") };
    let name = run.name.clone();
    run.steps.push(run.steps[0].clone());
    run.waiting = Some(crate::plan::run_status::Wait::Suspended);
    assert_eq!(repeated.check(), [Violation::WaitsAndWrites(name), Violation::WrittenTwice(key(0))]);
}

#[test]
fn a_plan_about_nothing_prints_nothing() {
    let mut cluster = demo();
    cluster.reference = Some(problem(Reason::AccountNotFound));
    assert_eq!(cluster.plan().to_string(), "");
}
