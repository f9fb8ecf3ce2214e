//! What comes between the halves of a replacement: nobody is left half replaced (R2, R8, R9, R13, R15, R18, T1).

use super::cluster::Cluster;
use super::disconnecting::{decide, disconnects, removing};
use super::replacing::{NEW, pairs, recreated};
use super::world::{World, at, key, minutes, number, pbx, teams_id};
use crate::api::{
    Approval, Decision, Managed, ManualMatching, MatchingRow, Reason, RemovalAction, RunOperation, RunState, UserState,
};
use crate::domain::E164;
use crate::plan::snapshot::{GotoUser, PbxNumber};

/// How far a replacement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// The old key may not call.
    Forbidden,
    /// The old pair is removed.
    Removed,
}

const HALVES: [Half; 2] = [Half::Forbidden, Half::Removed];

fn is_at(world: &World, half: Half) -> bool {
    match world.pairs.iter().find(|pair| pair.key == key(0)) {
        Some(pair) => half == Half::Forbidden && !pair.enabled,
        None => half == Half::Removed,
    }
}

/// Passes until it is so far, with a push after each write.
fn until(cluster: &mut Cluster, half: Half) {
    for _ in 0..20 {
        let plan = cluster.pass();
        if is_at(&cluster.world, half) {
            cluster.between(&plan);
            return;
        }
        cluster.between(&plan);
    }
    panic!("never {half:?}:\n{}", cluster.plan());
}

fn halfway(people: usize, half: Half) -> Cluster {
    let mut cluster = recreated(people);
    until(&mut cluster, half);
    cluster
}

/// Somebody denies a run that is going on.
fn deny(cluster: &mut Cluster) {
    let run = cluster.runs.values_mut().find(|run| run.status.state == Some(RunState::Running)).unwrap();
    run.spec.decision = Some(Decision::Deny);
}

fn lower() -> E164 {
    "+14440000000".parse().unwrap()
}

/// A lower number is routed to the extension of person 0, who has another.
fn route_a_lower_number(world: &mut World) {
    let extension_id = Some("ext-0".to_owned());
    world.numbers.push(PbxNumber { organization: pbx(), number: Some(lower()), extension_id });
}

/// Replaced, and by the connector only once.
fn assert_replaced(cluster: &Cluster, what: impl std::fmt::Debug) {
    let pair = cluster.world.pairs.iter().find(|pair| pair.teams_user == teams_id(0));
    let shown = pair.map(|pair| (pair.key.clone(), pair.number.clone(), pair.enabled));
    assert_eq!(shown, Some((key(NEW), Some(number(0)), true)), "{what:?}:\n{}", cluster.plan());
    assert_eq!(cluster.state(NEW), Some(UserState::Connected), "{what:?}");
    assert_eq!(cluster.puts.iter().filter(|it| **it == key(NEW)).count(), 1, "{what:?}");
}

/// The old pair is as it was.
fn assert_undone(cluster: &Cluster, what: impl std::fmt::Debug) {
    let pair = cluster.world.pairs.iter().find(|pair| pair.teams_user == teams_id(0));
    let shown = pair.map(|pair| (pair.key.clone(), pair.enabled));
    assert_eq!(shown, Some((key(0), true)), "{what:?}:\n{}", cluster.plan());
}

/// R9, R13: the number is the one that the old pair had, also when a push took it away in between and a lower one is routed there.
#[test]
fn the_number_is_kept_through_a_push_between_the_halves() {
    for edited_at in [None, Some(Half::Forbidden), Some(Half::Removed)] {
        let mut cluster = recreated(3);
        route_a_lower_number(&mut cluster.world);
        cluster.read_twice();
        if let Some(half) = edited_at {
            until(&mut cluster, half);
            cluster.spec.history_limit = 9;
            cluster.generation += 1;
        }
        cluster.settle();
        assert_replaced(&cluster, edited_at);
        let replaces = disconnects(&cluster).iter().flat_map(|run| &run.spec.actions).count();
        assert_eq!(replaces, 1 + usize::from(edited_at == Some(Half::Forbidden)), "{edited_at:?}");
        let shown = cluster.user(NEW).status.phone_number.clone().unwrap();
        assert_eq!(shown.expected.as_deref(), Some(number(0).as_str()), "{edited_at:?}");
    }
}

/// R9: a number that is no longer routed to the user is promised to nobody.
#[test]
fn a_number_that_is_routed_elsewhere_is_not_kept() {
    for half in HALVES {
        let mut cluster = halfway(3, half);
        route_a_lower_number(&mut cluster.world);
        cluster.world.numbers.retain(|it| it.number != Some(number(0)));
        cluster.read_twice();
        cluster.settle();
        assert_eq!(cluster.state(NEW), Some(UserState::Connected), "{half:?}");
        assert_eq!(cluster.world.pair(NEW).number, Some(lower()), "{half:?}");
    }
}

/// R18: whoever came earlier and waits for a license does not get the one that the old pair freed, also where the run is over, or
/// one reading concludes nothing about the new key.
#[test]
fn the_freed_license_is_kept_whatever_comes_in_between() {
    let changes: [Case; 4] = [
        ("nothing", |_| {}),
        ("the spec is edited", |cluster| cluster.generation += 1),
        ("the run is denied", |cluster| deny(cluster)),
        ("voice is not known for one reading", |cluster| {
            let voice = std::mem::take(&mut cluster.world.voice);
            cluster.read();
            cluster.pass();
            cluster.world.voice = voice;
        }),
    ];
    for (case, change) in changes {
        let mut cluster = Cluster::connected(3);
        cluster.world.entitlement.licenses_total = 3;
        cluster.world.add_person(3);
        cluster.spec.removal.guard.max_percent = 100;
        cluster.read_twice();
        cluster.settle();
        cluster.world.recreate_person(0, NEW);
        cluster.read_twice();
        until(&mut cluster, Half::Removed);
        if case == "the spec is edited" {
            cluster.spec.history_limit = 9;
        }
        change(&mut cluster);
        cluster.read();
        cluster.settle();
        assert_replaced(&cluster, case);
        assert_eq!(cluster.reason(3), Some(Reason::ConnectorLicenseExhausted), "{case}");
    }
}

/// R18: nothing begins where more licenses are in use than were bought, and what is begun is undone: the new key could not be put.
#[test]
fn nothing_begins_while_more_licenses_are_in_use_than_were_bought() {
    for (begun, action) in
        [(false, RemovalAction::Retain), (true, RemovalAction::Retain), (false, RemovalAction::Remove)]
    {
        let mut cluster = if begun { halfway(3, Half::Forbidden) } else { recreated(3) };
        cluster.spec.removal.action = action;
        cluster.generation += 1;
        cluster.world.entitlement.licenses_total = 2;
        cluster.read_twice();
        cluster.settle();
        cluster.now += minutes(60 * 24 * 9);
        cluster.read_twice();
        cluster.settle();
        assert_undone(&cluster, (begun, action));
        assert_eq!(cluster.reason(NEW), Some(Reason::ConnectorLicenseExhausted), "{begun} {action:?}");
        cluster.world.entitlement.licenses_total = 3;
        cluster.read_twice();
        cluster.settle();
        assert_replaced(&cluster, (begun, action));
    }
}

type Case = (&'static str, fn(&mut Cluster));

/// What holds a run.
const HOLDS: [Case; 3] = [
    ("the guard", |cluster| cluster.now += minutes(61)),
    ("an entry that names nobody", |cluster| cluster.spec.protected_users.push("nobody@contoso.example".to_owned())),
    ("a change that asks for approvals", |cluster| cluster.spec.approval = Approval::All),
];

/// R3, R13, R15: a hold that comes up between the halves leaves nobody half replaced: calls are given back, or the new key is put.
#[test]
fn a_hold_between_the_halves_undoes_or_finishes() {
    for (case, hold) in HOLDS {
        for half in HALVES {
            let mut cluster = removing(4, RemovalAction::Remove);
            cluster.spec.removal.guard.max_count = 1;
            cluster.world.recreate_person(0, NEW);
            cluster.world.remove_person(1);
            cluster.read_twice();
            until(&mut cluster, half);
            hold(&mut cluster);
            cluster.read_twice();
            cluster.settle_while_waiting();
            match half {
                Half::Forbidden => assert_undone(&cluster, (case, half)),
                Half::Removed => assert_replaced(&cluster, (case, half)),
            }
            assert!(cluster.world.pairs.iter().all(|pair| pair.enabled), "{case} {half:?}");
        }
    }
}

/// R6, R13: whoever is half replaced by a run that somebody approved needs no second approval when that run is over.
#[test]
fn one_approval_is_enough_though_the_run_is_superseded() {
    let mut cluster = recreated(3);
    cluster.spec.approval = Approval::All;
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Approve);
    until(&mut cluster, Half::Removed);
    cluster.spec.history_limit = 9;
    cluster.generation += 1;
    cluster.world.add_person(3);
    cluster.settle_while_waiting();
    assert_replaced(&cluster, "superseded");
    assert_ne!(cluster.state(3), Some(UserState::Connected), "a newcomer waits for an approval");
}

/// R10, R13: a denial, and a removal that the connector refuses, give the calls back; nothing is replaced under a denied decision.
#[test]
fn a_denial_or_a_refusal_in_the_middle_undoes() {
    let cases: [Case; 2] = [
        ("denied", |cluster| deny(cluster)),
        ("refused", |cluster| _ = cluster.world.refuses.insert(key(0), Reason::Rejected)),
    ];
    for (case, change) in cases {
        let mut cluster = halfway(3, Half::Forbidden);
        change(&mut cluster);
        let plan = cluster.pass();
        cluster.between(&plan);
        cluster.world.refuses.clear();
        for _ in 0..6 {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        assert_undone(&cluster, case);
        assert_eq!(cluster.other_calls.iter().filter(|(op, _)| *op == RunOperation::Enable).count(), 1, "{case}");
        if case == "denied" {
            cluster.settle_while_waiting();
            assert_undone(&cluster, case);
            assert_eq!((cluster.reason(0), cluster.reason(NEW)), (Some(Reason::Denied), Some(Reason::Denied)));
        }
    }
}

/// R5: who is found by id just before the removal gets the calls back.
#[test]
fn a_veto_between_the_halves_undoes() {
    let mut cluster = halfway(3, Half::Forbidden);
    cluster.found_by_id.insert(key(0));
    for _ in 0..8 {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    assert_undone(&cluster, "found by id");
}

/// R15: whoever is protected in the middle keeps the pair, and is not kept from the new key where the old pair is gone.
#[test]
fn a_protection_between_the_halves_undoes_or_finishes() {
    for entry in [key(0).to_string(), teams_id(0).to_string(), "p0@contoso.example".to_owned()] {
        for half in HALVES {
            let mut cluster = halfway(3, half);
            cluster.spec.protected_users = vec![entry.clone()];
            cluster.read();
            cluster.settle_while_waiting();
            match half {
                Half::Forbidden => assert_undone(&cluster, (&entry, half)),
                Half::Removed => assert_replaced(&cluster, (&entry, half)),
            }
        }
    }
}

type Fault = (&'static str, fn(&mut Cluster), fn(&mut Cluster));

/// What the new key misses for a while, and that it has it again.
const FAULTS: [Fault; 4] = [
    ("sign-in blocked", |it| it.world.teams[0].enabled = false, |it| it.world.teams[0].enabled = true),
    ("secure calling", |it| secure(it, true), |it| secure(it, false)),
    ("no license", |it| it.world.teams[0].has_phone_system = false, |it| it.world.teams[0].has_phone_system = true),
    (
        "the line",
        |it| it.world.lines.iter_mut().filter(|it| it.key == key(NEW)).for_each(|it| it.lines.clear()),
        |it| {
            let lines = it.world.lines.iter().find(|it| it.key == key(1)).unwrap().lines.clone();
            let own = |mut line: crate::plan::snapshot::Line| {
                line.extension = "1000".to_owned();
                line
            };
            let own: Vec<_> = lines.into_iter().map(own).collect();
            it.world.lines.iter_mut().filter(|it| it.key == key(NEW)).for_each(|it| it.lines.clone_from(&own));
        },
    ),
];

fn secure(cluster: &mut Cluster, on: bool) {
    let new = cluster.world.candidates.iter_mut().find(|it| it.key == key(NEW)).unwrap();
    new.secure_calling = on;
}

/// R13: a new key that can no longer be connected undoes the first half; it is connected with the old number once it can be.
#[test]
fn what_the_new_key_misses_between_the_halves_undoes_or_is_waited_for() {
    for (fault, lose, regain) in FAULTS {
        for half in HALVES {
            let mut cluster = recreated(3);
            route_a_lower_number(&mut cluster.world);
            until(&mut cluster, half);
            lose(&mut cluster);
            cluster.read_twice();
            cluster.settle();
            if half == Half::Forbidden {
                assert_undone(&cluster, (fault, half));
            }
            regain(&mut cluster);
            cluster.read_twice();
            cluster.settle();
            assert_replaced(&cluster, (fault, half));
        }
    }
}

/// R13: the new key is never marked as leaving, so that it is no leaver and counts once.
#[test]
fn the_new_key_is_no_leaver() {
    let mut cluster = recreated(3);
    for _ in 0..12 {
        let plan = cluster.pass();
        let user = cluster.users.get(&key(NEW)).unwrap();
        assert_eq!(user.spec.leaving, None);
        assert!(plan.steps().iter().filter(|step| step.user == key(NEW)).all(|step| !step.takes_away()));
        let counts = plan.counters.unwrap();
        assert!(counts.users_to_add <= 1 && counts.users_to_remove <= 1 && counts.users_after_sync == 3, "{counts:?}");
        cluster.between(&plan);
    }
    assert_replaced(&cluster, "no leaver");
}

/// R13: a mark of a removal that the new key went through earlier does not make it a leaver.
#[test]
fn a_new_key_that_left_earlier_is_put_all_the_same() {
    for half in HALVES {
        let mut cluster = halfway(3, half);
        cluster.users.get_mut(&key(NEW)).unwrap().spec.leaving = Some("hq-00000000-1".to_owned());
        cluster.read();
        cluster.settle();
        assert_replaced(&cluster, half);
        assert_eq!(cluster.user(NEW).spec.leaving, None);
    }
}

/// R2: whoever was replaced is one of those from whom the share is taken, and not two.
#[test]
fn the_base_of_the_guard_counts_a_replaced_user_once() {
    let mut cluster = recreated(20);
    cluster.spec.removal.guard.always_allow = 0;
    let before = cluster.pass().removals.unwrap().allowed;
    cluster.settle();
    assert_replaced(&cluster, "guard");
    let removals = cluster.plan().removals.unwrap();
    assert_eq!((removals.allowed, removals.in_window, before), (20, 1, 20));
}

/// R8: a pair that somebody else made in the old or the new place between the halves is never touched, and ends the replacement.
#[test]
fn pairs_of_others_in_both_places_are_never_touched() {
    let cases: [(Half, Case); 5] = [
        (
            Half::Forbidden,
            ("the old pair is somebody else's", |it| it.world.pair(0).external_id = Some("other".to_owned())),
        ),
        (Half::Removed, ("the old place", |it| it.world.add_pair(0, 0, Some("other"), it.now))),
        (
            Half::Removed,
            ("the new place", |it| {
                it.world.add_pair(NEW, 0, Some("other"), it.now);
                it.world.pair(NEW).number = Some(number(0));
            }),
        ),
        (
            Half::Removed,
            ("another key", |it| {
                it.world.add_pair(2, 0, None, it.now);
                it.world.pair(2).number = Some(number(0));
            }),
        ),
        (
            Half::Removed,
            ("the new place, another person", |it| {
                it.world.add_pair(NEW, 77, Some("other"), it.now);
                it.world.pair(NEW).number = Some(number(77));
            }),
        ),
    ];
    for (half, (case, change)) in cases {
        let mut cluster = recreated(2);
        until(&mut cluster, half);
        change(&mut cluster);
        let (foreign, calls) = (pairs(&cluster), cluster.other_calls.len());
        cluster.read_twice();
        cluster.settle_while_waiting();
        assert_eq!((pairs(&cluster), cluster.other_calls.len()), (foreign, calls), "{case}");
        assert!(cluster.puts.iter().all(|it| *it != key(NEW)), "{case}");
        let open = disconnects(&cluster).iter().any(|run| run.status.finished_at.is_none());
        assert!(!open, "{case}");
        assert_ne!(cluster.reason(0), Some(Reason::AwaitingPush), "{case}");
        assert_eq!(cluster.users.get(&key(NEW)).map(|it| it.spec.managed), Some(Managed::None), "{case}");
    }
}

fn person(cluster: &Cluster, of: usize, index: usize) -> GotoUser {
    let user = cluster.world.people.iter().find(|it| it.key == key(of)).unwrap().clone();
    GotoUser { key: key(index), ..user }
}

/// The old key is listed again, beside the new one or in its place.
fn old_key_returns(cluster: &mut Cluster, alone: bool) {
    if alone {
        cluster.world.recreate_person(NEW, 0);
        return;
    }
    let user = person(cluster, NEW, 0);
    let mut lines = cluster.world.lines.iter().find(|it| it.key == key(NEW)).unwrap().clone();
    lines.key = key(0);
    let candidate = crate::plan::snapshot::Candidate { key: key(0), secure_calling: false };
    cluster.world.people.push(user);
    cluster.world.lines.push(lines);
    cluster.world.candidates.push(candidate);
}

/// R9, R13: an old key that comes back keeps its pair, or gets one again where the new key is gone; never both.
#[test]
fn an_old_key_that_comes_back_undoes_or_finishes() {
    for alone in [true, false] {
        for half in HALVES {
            let mut cluster = recreated(3);
            route_a_lower_number(&mut cluster.world);
            until(&mut cluster, half);
            old_key_returns(&mut cluster, alone);
            cluster.read_twice();
            cluster.settle_while_waiting();
            let pair = cluster.world.pairs.iter().filter(|pair| pair.teams_user == teams_id(0)).collect::<Vec<_>>();
            assert_eq!(pair.len(), 1, "{alone} {half:?}:\n{}", cluster.plan());
            let expected = if half == Half::Removed && !alone { key(NEW) } else { key(0) };
            assert_eq!((&pair[0].key, pair[0].enabled), (&expected, true), "{alone} {half:?}");
            assert_eq!(pair[0].number, Some(number(0)), "{alone} {half:?}");
        }
    }
}

/// R9: created again under a third key in the middle, the person ends under that one, with the same number.
#[test]
fn a_second_new_key_between_the_halves_gets_the_place() {
    for half in HALVES {
        let mut cluster = recreated(3);
        route_a_lower_number(&mut cluster.world);
        until(&mut cluster, half);
        cluster.world.recreate_person(NEW, NEW + 1);
        cluster.read_twice();
        cluster.settle();
        let pair = cluster.world.pairs.iter().find(|pair| pair.teams_user == teams_id(0)).unwrap();
        assert_eq!((&pair.key, pair.enabled, &pair.number), (&key(NEW + 1), true, &Some(number(0))), "{half:?}");
    }
}

/// R9: a row that makes somebody the successor of a stranger is a row no longer once it is deleted, also in the middle: the person
/// keeps the Microsoft user with the equal address, and nobody gets another one by a pin that came from the row.
#[test]
fn a_row_that_goes_in_the_middle_makes_no_successor() {
    for half in HALVES {
        let mut cluster = recreated(4);
        cluster.world.recreate_person(NEW, 0);
        cluster.read_twice();
        cluster.world.remove_person(0);
        cluster.world.recreate_person(1, NEW);
        cluster.world.numbers.push(PbxNumber {
            organization: pbx(),
            number: Some(lower()),
            extension_id: Some("ext-1".to_owned()),
        });
        let row = MatchingRow { goto: key(NEW).to_string(), teams: teams_id(0).to_string() };
        cluster.spec.matching.manual = Some(ManualMatching { entries: vec![row] });
        cluster.generation += 1;
        cluster.read_twice();
        until(&mut cluster, half);
        cluster.spec.matching.manual = None;
        cluster.generation += 1;
        cluster.read_twice();
        cluster.settle_while_waiting();
        let pair = cluster.world.pairs.iter().find(|pair| pair.teams_user == teams_id(1)).unwrap();
        assert_eq!((&pair.key, pair.enabled), (&key(NEW), true), "{half:?}");
        if half == Half::Forbidden {
            assert_undone(&cluster, half);
        }
    }
}

/// R22: under `suspend` nothing is written; number and license are kept until it goes on.
#[test]
fn a_replacement_that_is_suspended_goes_on_with_the_same_number_and_license() {
    for half in HALVES {
        let mut cluster = recreated(3);
        route_a_lower_number(&mut cluster.world);
        cluster.world.entitlement.licenses_total = 3;
        cluster.world.add_person(3);
        until(&mut cluster, half);
        cluster.suspended = true;
        let before = pairs(&cluster);
        cluster.settle_while_waiting();
        cluster.now += minutes(60 * 24 * 3);
        cluster.read_twice();
        cluster.settle_while_waiting();
        assert_eq!(pairs(&cluster), before, "{half:?}");
        cluster.suspended = false;
        cluster.settle_while_waiting();
        assert_replaced(&cluster, half);
    }
}

/// What is lost.
const LOSSES: [Case; 5] = [
    ("users", |it| it.users.clear()),
    ("the new key", |it| _ = it.users.remove(&key(NEW))),
    ("the old key", |it| _ = it.users.remove(&key(0))),
    ("runs", |it| it.runs.clear()),
    ("users and runs", |it| {
        it.users.clear();
        it.runs.clear();
    }),
];

/// R10, R11, T1: whatever objects are lost between the halves, the person ends connected under the new key at once, and nobody else
/// loses anything. The number is the same unless both users and runs are lost after a push: then nothing tells it any more.
#[test]
fn lost_objects_between_the_halves_leave_nobody_half_replaced() {
    for (case, lose) in LOSSES {
        for half in HALVES {
            let mut cluster = halfway(3, half);
            lose(&mut cluster);
            cluster.restart();
            cluster.read();
            cluster.settle_while_waiting();
            assert_replaced(&cluster, (case, half));
            assert_eq!(cluster.world.pairs.len(), 3, "{case} {half:?}");
            assert!(cluster.now < at(0) + minutes(60 * 3), "{case} {half:?}");
        }
    }
}

/// R2, R10: after all objects vanished removals rest; only a replaced user who cannot call anyway is not kept waiting for that.
#[test]
fn removals_rest_after_a_loss_and_whoever_cannot_call_is_replaced() {
    let mut cluster = removing(4, RemovalAction::Remove);
    cluster.world.recreate_person(0, NEW);
    cluster.read_twice();
    until(&mut cluster, Half::Forbidden);
    cluster.world.remove_person(1);
    cluster.world.recreate_person(2, NEW + 2);
    cluster.users.clear();
    cluster.runs.clear();
    cluster.restart();
    cluster.read();
    cluster.settle_while_waiting();
    assert_replaced(&cluster, "lost");
    assert!(cluster.world.pair(1).enabled && cluster.world.pair(2).enabled);
    let removals = disconnects(&cluster).iter().flat_map(|run| &run.spec.actions).count();
    assert_eq!(removals, 1);
    assert_eq!(disconnects(&cluster)[0].status.state, Some(RunState::Applied));
}
