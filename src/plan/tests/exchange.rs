//! A row is edited to name another person: the old pair goes like any other removal, then the new one comes (R1, R8, R12 to R16, R20).

use super::cluster::Cluster;
use super::disconnecting::{decide, disconnects, removing};
use super::rows::rows;
use super::world::{key, minutes, number, other_pbx, pbx, teams_id};
use crate::api::{
    Approval, Decision, Managed, MatchedBy, Reason, RemovalAction, RunOperation, RunState, RunType, UserState,
};
use crate::domain::E164;
use crate::plan::snapshot::{PbxNumber, PbxReading, Source, TeamsNumber};
use crate::plan::user_plan::{Absence, RunPlan};

type Change = fn(&mut Cluster);

const ROW: (&str, &str) = ("1000", "p0@contoso.example");
const OTHER: (&str, &str) = ("1000", "spare@contoso.example");

/// Three people connected, the first by a row, and a Microsoft user who is nobody's; then the row names that one.
fn edited(action: RemovalAction) -> Cluster {
    let mut cluster = removing(3, action);
    rows(&mut cluster, &[ROW]);
    cluster.world.add_person(9);
    cluster.world.remove_person(9);
    let spare = cluster.world.teams.last_mut().unwrap();
    spare.upn_address = Some("spare@contoso.example".parse().unwrap());
    spare.mail_address = None;
    cluster.read_twice();
    cluster.settle();
    assert_eq!(cluster.user(0).spec.matched_by, Some(MatchedBy::Manual));
    cluster.puts.clear();
    rows(&mut cluster, &[OTHER]);
    cluster
}

fn after(cluster: &mut Cluster, count: i64) {
    cluster.settle_while_waiting();
    cluster.now += minutes(count);
    cluster.read_twice();
    cluster.settle_while_waiting();
}

fn teams_of(cluster: &Cluster, index: usize) -> Option<crate::domain::EntraObjectId> {
    cluster.world.pairs.iter().find(|pair| pair.key == key(index)).map(|pair| pair.teams_user)
}

/// R12, R13, R16, R20: after the grace period disable, delete, push; the new pair is put once the number is read back as free.
#[test]
fn an_edited_row_takes_the_old_pair_away_and_then_adds_the_new_one() {
    let mut cluster = edited(RemovalAction::Remove);
    after(&mut cluster, 30);
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::ExchangePending)));
    assert_eq!((teams_of(&cluster, 0), cluster.other_calls.len()), (Some(teams_id(0)), 0));
    cluster.now += minutes(31);
    let mut freed_when_put = None;
    for _ in 0..20 {
        cluster.read();
        let before = cluster.puts.len();
        let free = cluster.world.assignments.iter().all(|it| it.number != number(0));
        let plan = cluster.pass();
        if cluster.puts.len() > before {
            freed_when_put = Some((free, cluster.other_calls.clone()));
        }
        cluster.between(&plan);
    }
    let calls = vec![(RunOperation::Disable, key(0)), (RunOperation::Delete, key(0))];
    assert_eq!(freed_when_put, Some((true, calls)));
    assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(9)), Some(UserState::Connected)));
    let spec = &cluster.user(0).spec;
    assert_eq!((spec.managed, spec.matched_by, &spec.leaving), (Managed::Added, Some(MatchedBy::Manual), &None));
    assert_eq!((&spec.unmatched_since, spec.matched_row.as_ref().unwrap().teams.as_str()), (&None, OTHER.1));
    assert_eq!(cluster.world.pair(0).number, Some(number(0)));
    assert_eq!(disconnects(&cluster).len(), 1);
}

/// R5: the last look is for the one whom the row names now.
#[test]
fn the_last_look_is_for_the_new_person() {
    let mut cluster = edited(RemovalAction::Remove);
    after(&mut cluster, 1);
    cluster.now += minutes(61);
    cluster.found_by_id.insert(key(0));
    cluster.read_twice();
    let mut looks = Vec::new();
    for _ in 0..6 {
        let plan = cluster.pass();
        looks.extend(plan.steps().into_iter().map(|step| step.look));
        cluster.between(&plan);
    }
    assert_eq!(looks, [Some(Absence::Person(teams_id(9)))]);
    assert!(cluster.world.pair(0).enabled, "vetoed");
}

/// R12: under Retain it is only reported; the row that is put right again ends it.
#[test]
fn under_retain_an_edited_row_is_only_reported() {
    let mut cluster = edited(RemovalAction::Retain);
    after(&mut cluster, 6_000);
    assert_eq!((cluster.reason(0), teams_of(&cluster, 0)), (Some(Reason::ExchangePending), Some(teams_id(0))));
    assert!(cluster.other_calls.is_empty() && cluster.puts.is_empty());
    rows(&mut cluster, &[ROW]);
    cluster.settle();
    assert_eq!((cluster.state(0), &cluster.user(0).spec.unmatched_since), (Some(UserState::Connected), &None));
}

/// Where leavers are only disabled the old pair is deleted all the same: or the new one could never come.
#[test]
fn under_disable_the_old_pair_is_deleted() {
    let mut cluster = edited(RemovalAction::Disable);
    after(&mut cluster, 61);
    assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(9)), Some(UserState::Connected)));
}

/// R15
#[test]
fn a_protected_user_keeps_the_old_pair() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.spec.protected_users = vec!["p0@contoso.example".to_owned()];
    after(&mut cluster, 6_000);
    assert_eq!((cluster.reason(0), teams_of(&cluster, 0)), (Some(Reason::Protected), Some(teams_id(0))));
    assert!(cluster.other_calls.is_empty());
}

/// R1, R2, R6: the guard counts it and an approval executes it; a denial keeps the old pair.
#[test]
fn the_guard_and_a_decision_hold_an_exchange() {
    for decision in [Decision::Approve, Decision::Deny] {
        let mut cluster = edited(RemovalAction::Remove);
        cluster.spec.removal.guard.max_count = 0;
        cluster.spec.removal.guard.always_allow = 0;
        after(&mut cluster, 61);
        assert_eq!((cluster.reason(0), cluster.other_calls.len()), (Some(Reason::ApprovalPending), 0));
        decide(&mut cluster, decision);
        cluster.settle_while_waiting();
        let teams = if decision == Decision::Approve { teams_id(9) } else { teams_id(0) };
        assert_eq!(teams_of(&cluster, 0), Some(teams), "{decision:?}");
    }
}

/// R6, R16: a row that is put right again supersedes the run under decision; half of it is undone.
#[test]
fn a_row_put_right_again_undoes_the_half() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.spec.approval = Approval::Automatic;
    after(&mut cluster, 1);
    cluster.now += minutes(61);
    cluster.read_twice();
    while cluster.other_calls.is_empty() {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    assert!(!cluster.world.pair(0).enabled);
    rows(&mut cluster, &[ROW]);
    cluster.settle();
    assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0)), (RunOperation::Enable, key(0))]);
    assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(0)), Some(UserState::Connected)));
    assert_eq!(disconnects(&cluster)[0].status.state, Some(RunState::Superseded));
}

/// Two rows that were mixed up are put right at once: both pairs go, then both come.
#[test]
fn two_rows_that_change_places_are_exchanged_together() {
    let mut cluster = removing(4, RemovalAction::Remove);
    rows(&mut cluster, &[("1000", "p0@contoso.example"), ("1001", "p1@contoso.example")]);
    cluster.settle();
    rows(&mut cluster, &[("1000", "p1@contoso.example"), ("1001", "p0@contoso.example")]);
    after(&mut cluster, 61);
    assert_eq!([0, 1].map(|index| teams_of(&cluster, index)), [Some(teams_id(1)), Some(teams_id(0))]);
    assert!((0..4).all(|index| cluster.state(index) == Some(UserState::Connected)));
    assert_eq!(cluster.other_calls.len(), 4);
}

/// R12: whoever is to have somebody else's Microsoft user goes no earlier than that one, however long he has been waiting.
#[test]
fn of_a_chain_nobody_goes_before_the_next_one() {
    let mut cluster = edited(RemovalAction::Remove);
    rows(&mut cluster, &[OTHER, ("1001", "p1@contoso.example")]);
    after(&mut cluster, 50);
    rows(&mut cluster, &[("1000", "p1@contoso.example"), ("1001", OTHER.1)]);
    after(&mut cluster, 20);
    assert_eq!([0, 1].map(|index| teams_of(&cluster, index)), [Some(teams_id(0)), Some(teams_id(1))]);
    assert!(cluster.other_calls.is_empty());
    after(&mut cluster, 50);
    after(&mut cluster, 50);
    assert_eq!([0, 1].map(|index| teams_of(&cluster, index)), [Some(teams_id(1)), Some(teams_id(9))]);
    assert!((0..3).all(|index| cluster.state(index) == Some(UserState::Connected)));
    assert_eq!(cluster.other_calls.len(), 4);
}

/// R5, R13: of two who change at once the pair of the one goes no earlier than that of the other: who is found by id just before keeps
/// his, and the first gets the calls back.
#[test]
fn a_veto_of_the_second_saves_the_first() {
    let mut cluster = edited(RemovalAction::Remove);
    rows(&mut cluster, &[OTHER, ("1001", "p1@contoso.example")]);
    cluster.settle();
    rows(&mut cluster, &[("1000", "p1@contoso.example"), ("1001", OTHER.1)]);
    cluster.found_by_id.insert(key(1));
    after(&mut cluster, 1);
    cluster.now += minutes(61);
    for _ in 0..8 {
        cluster.read();
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    assert_eq!([0, 1].map(|index| teams_of(&cluster, index)), [Some(teams_id(0)), Some(teams_id(1))]);
    assert!(cluster.other_calls.iter().all(|(op, _)| *op != RunOperation::Delete), "{:?}", cluster.other_calls);
    assert!(cluster.world.pair(0).enabled && cluster.world.pair(1).enabled);
}

fn assignment(cluster: &mut Cluster) -> &mut TeamsNumber {
    cluster.world.assignments.iter_mut().find(|it| it.number == number(0)).unwrap()
}

/// R18, R20: nobody loses service for a pair that could not be put: for what the Microsoft user misses or whose he is, for the user's
/// secure calling, for the number, for a license.
#[test]
fn an_exchange_waits_for_all_that_the_new_pair_needs() {
    let blocked: [(Change, Reason); 8] = [
        (|cluster| cluster.world.candidates[0].secure_calling = true, Reason::SecureCallingEnabled),
        (|cluster| assignment(cluster).on_premises = true, Reason::NumberOwnedOnPremises),
        (|cluster| assignment(cluster).target = Some(teams_id(2)), Reason::NumberInUse),
        (|cluster| cluster.world.numbers.retain(|it| it.number != Some(number(0))), Reason::NumberMissing),
        (|cluster| cluster.world.entitlement.licenses_total = 2, Reason::ConnectorLicenseExhausted),
        (|cluster| cluster.world.teams.last_mut().unwrap().has_phone_system = false, Reason::NoPhoneSystemLicense),
        (|cluster| rows(cluster, &[("1000", "p1@contoso.example")]), Reason::TeamsUserTaken),
        (
            |cluster| {
                rows(cluster, &[("1000", "p1@contoso.example"), ("1001", "p2@contoso.example")]);
            },
            Reason::TeamsUserTaken,
        ),
    ];
    for (change, reason) in blocked {
        let mut cluster = edited(RemovalAction::Remove);
        change(&mut cluster);
        cluster.read_twice();
        after(&mut cluster, 6_000);
        assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Connected), Some(reason)));
        assert_eq!((teams_of(&cluster, 0), cluster.other_calls.len()), (Some(teams_id(0)), 0));
    }
}

/// R18, R20: what the old pair had is the new one's, license and number. Whoever waits for a license longer does not get it in between,
/// nor does it matter which other number is routed to the user by now.
#[test]
fn license_and_number_of_the_old_pair_are_kept_for_the_new_one() {
    for lost in [false, true] {
        let mut cluster = edited(RemovalAction::Remove);
        cluster.world.entitlement.licenses_total = 3;
        cluster.world.add_person(3);
        cluster.world.add_person(4);
        rows(&mut cluster, &[OTHER, ("1004", "p4@contoso.example")]);
        let lower: E164 = "+15540000000".parse().unwrap();
        let extension_id = Some("ext-0".to_owned());
        cluster.world.numbers.push(PbxNumber { organization: pbx(), number: Some(lower), extension_id });
        after(&mut cluster, 1);
        cluster.now += minutes(61);
        loop {
            cluster.read();
            let plan = cluster.pass();
            if teams_of(&cluster, 0).is_none() {
                break;
            }
            cluster.between(&plan);
        }
        // The push, which frees the number, is late.
        for _ in 0..4 {
            cluster.world.import(cluster.now);
            cluster.read();
            cluster.pass();
        }
        if lost {
            let voice = std::mem::take(&mut cluster.world.voice);
            cluster.read();
            cluster.pass();
            cluster.world.voice = voice;
        }
        cluster.read();
        cluster.settle();
        assert_eq!(
            (teams_of(&cluster, 0), cluster.state(0)),
            (Some(teams_id(9)), Some(UserState::Connected)),
            "{lost}"
        );
        assert_eq!(cluster.world.pair(0).number, Some(number(0)), "{lost}");
        assert_eq!([3, 4].map(|index| cluster.reason(index)), [Some(Reason::ConnectorLicenseExhausted); 2], "{lost}");
    }
}

/// R6: whoever approves that the old pair goes approves the new one.
#[test]
fn an_exchange_is_decided_about_once() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.spec.approval = Approval::All;
    after(&mut cluster, 61);
    assert_eq!((cluster.reason(0), cluster.other_calls.len()), (Some(Reason::ApprovalPending), 0));
    let action = &disconnects(&cluster)[0].spec.actions[0];
    assert_eq!(action.args.teams_user_id, Some(teams_id(9).to_string()));
    assert_eq!(action.args.phone_number, Some(number(0).as_str().to_owned()));
    decide(&mut cluster, Decision::Approve);
    cluster.settle_while_waiting();
    assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(9)), Some(UserState::Connected)));
    assert_eq!(cluster.runs.values().filter(|run| run.spec.decision.is_some()).count(), 1);
}

/// R16: a run means the person whom it names: where the row names a third one by now it ends, and the old pair stays.
#[test]
fn a_run_exchanges_for_nobody_else() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.spec.removal.guard.max_count = 0;
    cluster.spec.removal.guard.always_allow = 0;
    after(&mut cluster, 61);
    decide(&mut cluster, Decision::Approve);
    cluster.world.add_person(8);
    cluster.world.remove_person(8);
    // The row is the same, or the edit alone would end the run.
    let mut teams = cluster.world.teams.iter_mut().rev();
    let (third, second) = (teams.next().unwrap(), teams.next().unwrap());
    (third.upn_address, third.mail_address) = (second.upn_address.take(), None);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert_eq!((teams_of(&cluster, 0), cluster.other_calls.len()), (Some(teams_id(0)), 0));
    assert_eq!(disconnects(&cluster)[0].status.state, Some(RunState::Superseded));
}

/// Until the calls are forbidden, and nothing was read since.
fn halfway(cluster: &mut Cluster) {
    after(cluster, 1);
    cluster.now += minutes(61);
    cluster.read_twice();
    while cluster.other_calls.is_empty() {
        let plan = cluster.pass();
        if cluster.other_calls.is_empty() {
            cluster.between(&plan);
        }
    }
    assert!(!cluster.world.pair(0).enabled);
}

/// R12, R13: whatever holds the run, nobody who is only to have another Microsoft user is left without calls meanwhile.
#[test]
fn a_held_exchange_gives_the_calls_back() {
    let mut cluster = edited(RemovalAction::Remove);
    halfway(&mut cluster);
    cluster.spec.protected_users = vec!["nobody@contoso.example".to_owned()];
    cluster.generation += 1;
    cluster.read();
    cluster.settle_while_waiting();
    assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0)), (RunOperation::Enable, key(0))]);
    assert_eq!(teams_of(&cluster, 0), Some(teams_id(0)));
    cluster.spec.protected_users.clear();
    cluster.generation += 1;
    after(&mut cluster, 61);
    assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(9)), Some(UserState::Connected)));
}

/// R6, R7: a run that ends before its write is read back forgets nobody: the calls are given back once they are seen to be missing.
#[test]
fn a_run_that_ends_before_it_is_read_back_is_undone() {
    let denied: Change = |cluster| {
        let run = cluster.runs.values_mut().find(|run| run.spec.run_type == RunType::Disconnect).unwrap();
        run.spec.decision = Some(Decision::Deny);
    };
    let protected: Change = |cluster| {
        cluster.spec.protected_users = vec!["p0@contoso.example".to_owned()];
        cluster.generation += 1;
    };
    for change in [denied, protected] {
        let mut cluster = edited(RemovalAction::Remove);
        halfway(&mut cluster);
        change(&mut cluster);
        // Two passes by what was read before.
        cluster.pass();
        cluster.pass();
        assert!(cluster.user(0).spec.leaving.is_some());
        cluster.read();
        cluster.settle_while_waiting();
        assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0)), (RunOperation::Enable, key(0))]);
        assert!(cluster.world.pair(0).enabled);
    }
}

/// A row that names another one is the remedy where the old Microsoft user is gone: it is an exchange, with all that belongs to it.
#[test]
fn an_exchange_goes_on_though_the_old_microsoft_user_is_gone() {
    for action in [RemovalAction::Remove, RemovalAction::Disable] {
        let mut cluster = edited(action);
        cluster.world.remove_teams_user(0);
        cluster.read_twice();
        after(&mut cluster, 61);
        assert_eq!((teams_of(&cluster, 0), cluster.state(0)), (Some(teams_id(9)), Some(UserState::Connected)));
        assert_eq!(cluster.world.pair(0).number, Some(number(0)));
    }
}

/// R6: to deny the one exchange says nothing of another.
#[test]
fn a_row_that_names_a_third_one_is_proposed_after_a_denial() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.world.add_person(8);
    cluster.world.remove_person(8);
    after(&mut cluster, 61);
    decide(&mut cluster, Decision::Deny);
    cluster.settle_while_waiting();
    assert_eq!(cluster.reason(0), Some(Reason::Denied));
    rows(&mut cluster, &[("1000", "p8@contoso.example")]);
    after(&mut cluster, 61);
    assert_eq!((cluster.reason(0), disconnects(&cluster).len()), (Some(Reason::ApprovalPending), 2));
}

/// R18: whom another PBX of the account has, this one cannot have.
#[test]
fn an_exchange_waits_for_a_target_in_another_pbx() {
    let mut cluster = edited(RemovalAction::Remove);
    let elsewhere = |cluster: &mut Cluster| {
        cluster.read();
        let mut pair = cluster.world.pair(1).clone();
        (pair.key, pair.teams_user) = (key(77), teams_id(9));
        let reading = PbxReading { users: Source::complete(vec![pair], cluster.now), ..PbxReading::default() };
        cluster.snapshot.as_mut().unwrap().pbxs.insert(other_pbx(), reading);
    };
    for _ in 0..9 {
        elsewhere(&mut cluster);
        cluster.pass();
        cluster.now += minutes(20);
    }
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Connected), Some(Reason::TeamsUserTaken)));
    assert!(cluster.other_calls.is_empty());
}

/// R5: one reading is not enough to say whom a row names.
#[test]
fn one_reading_exchanges_nobody() {
    let mut cluster = edited(RemovalAction::Remove);
    cluster.previous = None;
    let before = cluster.users.clone();
    let plan = cluster.pass();
    assert_eq!(cluster.users, before);
    assert_eq!((&plan.disconnect, plan.steps().len()), (&RunPlan::None, 0));
}

/// R10: with every status lost in the middle it ends the same, wherever the process ends.
#[test]
fn a_crash_in_the_middle_ends_the_same() {
    for budget in 0..24 {
        let mut cluster = edited(RemovalAction::Remove);
        after(&mut cluster, 1);
        cluster.now += minutes(61);
        cluster.read_twice();
        cluster.budget = Some(budget);
        let _crash = cluster.try_settle();
        cluster.restart();
        cluster.read();
        cluster.settle();
        assert_eq!(
            (teams_of(&cluster, 0), cluster.state(0)),
            (Some(teams_id(9)), Some(UserState::Connected)),
            "{budget}"
        );
        let deleted = cluster.other_calls.iter().filter(|(op, _)| *op == RunOperation::Delete).count();
        assert!((1..=2).contains(&deleted), "{budget}");
    }
}
