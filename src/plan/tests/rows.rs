//! The rows of the manual process: whom they name, which count, and what holds a pin (R4, R9).

use super::cluster::{Cluster, is};
use super::disconnecting::{decide, disconnects, removing};
use super::world::{World, key, minutes, teams_id};
use crate::api::conditions::READY;
use crate::api::{
    Approval, Decision, Managed, ManualMatching, MatchedBy, MatchingRow, Misfit, Reason, RemovalAction, TeamsAttribute,
    UserState,
};
use crate::plan::readiness::IN_SYNC;
use crate::plan::runs::is_open;
use crate::plan::snapshot::SourceFailure;

/// The policy has these rows from now on.
pub(super) fn rows(cluster: &mut Cluster, rows: &[(&str, &str)]) {
    let entry = |(goto, teams): &(&str, &str)| MatchingRow { goto: (*goto).to_owned(), teams: (*teams).to_owned() };
    cluster.spec.matching.manual = Some(ManualMatching { entries: rows.iter().map(entry).collect() });
    cluster.generation += 1;
}

/// So many people whose addresses match nobody, with only these rows.
fn only(people: usize, entries: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::of(people);
    cluster.spec.matching.automatic = None;
    rows(&mut cluster, entries);
    cluster
}

fn misfits(cluster: &Cluster) -> Vec<(u32, Misfit)> {
    let mapping = cluster.status.mapping.as_ref().unwrap();
    assert_eq!(mapping.rejected as usize, mapping.rejections.len());
    mapping.rejections.iter().map(|it| (it.line, it.reason)).collect()
}

fn pinned(cluster: &Cluster, index: usize) -> Option<String> {
    cluster.user(index).spec.teams_user_id.clone()
}

/// Every way to name somebody, on both sides; only whom a row names is connected.
#[test]
fn a_row_names_by_address_extension_key_and_object_id() {
    let user = key(2).to_string();
    let id = teams_id(3).to_string();
    let named = [("P0@Contoso.example ", "p1@contoso.example"), ("1001", "p0@contoso.example"), (&user, &id)];
    let mut cluster = only(5, &named);
    cluster.settle();
    let pins = [0, 1, 2].map(|index| pinned(&cluster, index));
    assert_eq!(pins, [1, 0, 3].map(|index| Some(teams_id(index).to_string())));
    assert_eq!([0, 1, 2].map(|index| cluster.state(index)), [Some(UserState::Connected); 3]);
    assert_eq!([3, 4].map(|index| cluster.reason(index)), [Some(Reason::NoMatch); 2]);
    assert_eq!(cluster.user(1).spec.matched_by, Some(MatchedBy::Manual));
    assert_eq!(cluster.status.mapping.as_ref().unwrap().accepted, 3);
    assert_eq!(cluster.condition(IN_SYNC), is("True", Reason::InSync));
}

/// A bad row is told with its line and reason and holds up nobody: the good ones count, and the policy is Ready.
#[test]
fn a_row_that_does_not_count_is_told_and_the_others_count() {
    let mut cluster = Cluster::of(6);
    cluster.world.people[5].address = cluster.world.people[4].address.clone();
    cluster.world.teams[3].mail_address = Some("p2@contoso.example".parse().unwrap());
    let bad = [
        ("p0@contoso.example", "p1@contoso.example"),
        ("nobody@contoso.example", "p3@contoso.example"),
        ("p1@contoso.example", "nobody@contoso.example"),
        ("p4@contoso.example", "p5@contoso.example"),
        ("p2@contoso.example", "p2@contoso.example"),
        ("", "x"),
    ];
    rows(&mut cluster, &bad);
    cluster.read_twice();
    cluster.settle();
    let told = [
        (2, Misfit::NoGotoUser),
        (3, Misfit::NoTeamsUser),
        (4, Misfit::AmbiguousGotoUser),
        (5, Misfit::AmbiguousTeamsUser),
        (6, Misfit::NoGotoUser),
    ];
    assert_eq!(misfits(&cluster), told);
    assert_eq!((pinned(&cluster, 0), cluster.state(0)), (Some(teams_id(1).to_string()), Some(UserState::Connected)));
    assert_eq!([1, 2].map(|index| cluster.reason(index)), [Some(Reason::MappingRejected); 2]);
    assert_eq!([4, 5].map(|index| cluster.reason(index)), [Some(Reason::DuplicateEmail); 2]);
    assert_eq!(cluster.state(3), Some(UserState::Connected), "a row that names nobody gives nobody away");
    assert_eq!(cluster.condition(IN_SYNC), is("False", Reason::InvalidMapping));
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

/// Nobody is guessed: of two rows for one user, or to one Microsoft user, none counts, and automatic matching does not step in.
#[test]
fn of_two_rows_for_one_user_or_to_one_target_none_counts() {
    let mut cluster = Cluster::of(5);
    let twice = [
        ("p0@contoso.example", "p4@contoso.example"),
        ("1000", "p0@contoso.example"),
        ("p1@contoso.example", "p2@contoso.example"),
        ("p3@contoso.example", &teams_id(2).to_string()),
    ];
    rows(&mut cluster, &twice);
    cluster.settle();
    let told = [
        (1, Misfit::DuplicateUser),
        (2, Misfit::DuplicateUser),
        (3, Misfit::DuplicateTarget),
        (4, Misfit::DuplicateTarget),
    ];
    assert_eq!(misfits(&cluster), told);
    assert_eq!([0, 1, 3].map(|index| cluster.reason(index)), [Some(Reason::MappingRejected); 3]);
    assert_eq!([2, 4].map(|index| cluster.reason(index)), [Some(Reason::TeamsUserTaken); 2]);
    assert!(cluster.puts.is_empty());
}

/// Only the first 50 are named; all are counted.
#[test]
fn fifty_rejections_are_named() {
    let mut cluster = Cluster::of(1);
    let bad: Vec<_> = (0..60).map(|index| (format!("n{index}@x.example"), "x@x.example".to_owned())).collect();
    let bad: Vec<_> = bad.iter().map(|(goto, teams)| (goto.as_str(), teams.as_str())).collect();
    rows(&mut cluster, &bad);
    cluster.settle();
    let mapping = cluster.status.mapping.clone().unwrap();
    assert_eq!((mapping.accepted, mapping.rejected, mapping.rejections.len()), (0, 60, 50));
}

/// R4: while a source is incomplete all stays as stored, what the rows were found to say too.
#[test]
fn an_incomplete_source_proves_no_row_wrong() {
    let mut cluster = only(2, &[("p0@contoso.example", "p1@contoso.example"), ("p1@contoso.example", "x@x.example")]);
    cluster.settle();
    let (before, users) = (cluster.status.mapping.clone(), cluster.users.clone());
    cluster.world.teams.clear();
    cluster.read();
    let failure = SourceFailure { reason: Reason::RateLimited, cause: "busy".to_owned(), retry_at: None };
    cluster.snapshot.as_mut().unwrap().teams_users.failure = Some(failure);
    cluster.pass();
    assert_eq!((&cluster.status.mapping, &cluster.users), (&before, &users));
}

/// R9: every address of both directories changes at once, and no row has been corrected yet: nobody loses anything, no row has
/// become wrong, and whoever gets an old address of somebody else is not that person.
#[test]
fn a_domain_rename_with_rows_takes_nothing_away() {
    let named = [
        ("p0@contoso.example", "p1@contoso.example"),
        ("p1@contoso.example", "p0@contoso.example"),
        ("1002", "p2@contoso.example"),
    ];
    let mut cluster = only(3, &named);
    cluster.spec.removal.action = RemovalAction::Remove;
    cluster.spec.removal.guard.max_percent = 100;
    cluster.settle();
    for index in 0..3 {
        let new = Some(format!("p{index}@fabrikam.example").parse().unwrap());
        cluster.world.people[index].address.clone_from(&new);
        cluster.world.teams[index].upn_address.clone_from(&new);
        cluster.world.teams[index].mail_address = new;
    }
    cluster.world.lines[2].lines[0].extension = "1999".to_owned();
    cluster.world.extensions[2].number = "1999".to_owned();
    cluster.world.teams[2].upn_address = Some("p1@contoso.example".parse().unwrap());
    for _ in 0..3 {
        cluster.now += minutes(3_000);
        cluster.read_twice();
        cluster.settle();
    }
    assert!((0..3).all(|index| cluster.state(index) == Some(UserState::Connected)));
    assert!(cluster.other_calls.is_empty() && misfits(&cluster).is_empty());
    rows(&mut cluster, &[(&key(0).to_string(), "p1@fabrikam.example"), named[1], named[2]]);
    cluster.settle();
    assert_eq!(cluster.user(0).spec.matched_row.as_ref().unwrap().teams, "p1@fabrikam.example");
    assert_eq!((cluster.puts.len(), cluster.other_calls.len()), (3, 0));
}

/// R9: the row of a pinned user may become wrong in any way; it still exists, so the pin holds.
#[test]
fn a_row_that_became_wrong_still_holds_the_pin() {
    let good = ("p0@contoso.example", "p1@contoso.example");
    let id = teams_id(1).to_string();
    let cases: [&[(&str, &str)]; 7] = [
        &[("p0@contoso.example", "nobody@x.example")],
        &[("slip@contoso.example", good.1)],
        &[("slip@contoso.example", &id)],
        &[("", good.1)],
        &[good, ("1000", "p0@contoso.example")],
        &[good, ("p2@contoso.example", "p1@contoso.example")],
        &[("1000", "nobody@x.example"), good],
    ];
    for wrong in cases {
        let mut cluster = only(3, &[good]);
        cluster.spec.removal.action = RemovalAction::Remove;
        cluster.spec.removal.grace_period = "1h".parse().unwrap();
        cluster.settle();
        rows(&mut cluster, wrong);
        cluster.settle();
        cluster.now += minutes(120);
        cluster.read_twice();
        cluster.settle();
        assert_eq!(
            (cluster.state(0), cluster.user(0).spec.matched_by),
            (Some(UserState::Connected), Some(MatchedBy::Manual))
        );
        assert!(!misfits(&cluster).is_empty() && cluster.other_calls.is_empty(), "{wrong:?}");
        assert_eq!(cluster.user(0).spec.matched_row.as_ref().unwrap().teams, good.1);
    }
}

/// Where another rule gives the same pair only `matchedBy` changes, and nothing is written to the connector, in both directions.
#[test]
fn another_rule_for_the_same_pair_changes_only_how_it_was_matched() {
    let mut cluster = removing(2, RemovalAction::Remove);
    cluster.settle();
    let spec = cluster.user(0).spec.clone();
    rows(&mut cluster, &[("1000", "p0@contoso.example")]);
    cluster.settle();
    assert_eq!(cluster.user(0).spec.matched_by, Some(MatchedBy::Manual));
    rows(&mut cluster, &[]);
    cluster.settle();
    assert_eq!((&cluster.user(0).spec, cluster.puts.len()), (&spec, 2));
    rows(&mut cluster, &[("1000", "p0@contoso.example"), ("1001", "p1@contoso.example")]);
    cluster.spec.matching.automatic = None;
    cluster.settle();
    assert_eq!([0, 1].map(|index| cluster.state(index)), [Some(UserState::Connected); 2]);
    assert!(cluster.other_calls.is_empty());
}

/// R5, R12: a row that is deleted, or automatic matching taken from the spec, makes candidates: grace period, then a run.
#[test]
fn a_match_without_origin_is_lost_after_the_grace_period() {
    let deleted: fn(&mut Cluster) = |cluster| rows(cluster, &[]);
    let taken: fn(&mut Cluster) = |cluster| {
        cluster.spec.matching.automatic = None;
        rows(cluster, &[("p0@contoso.example", "p0@contoso.example"), ("1002", "p3@contoso.example")]);
    };
    for (edit, lost) in [(deleted, 2), (taken, 1)] {
        let mut world = World::of(4);
        world.remove_person(3);
        let mut cluster = Cluster::new(world);
        cluster.spec.removal = removing(0, RemovalAction::Remove).spec.removal;
        rows(&mut cluster, &[("1002", "p3@contoso.example")]);
        cluster.read_twice();
        cluster.settle();
        assert_eq!(pinned(&cluster, 2), Some(teams_id(3).to_string()));
        edit(&mut cluster);
        cluster.now += minutes(30);
        cluster.read_twice();
        cluster.settle();
        assert_eq!(
            (cluster.state(lost), cluster.reason(lost)),
            (Some(UserState::Retained), Some(Reason::InGracePeriod))
        );
        assert!(cluster.other_calls.is_empty());
        cluster.now += minutes(61);
        cluster.read_twice();
        cluster.settle();
        assert!(cluster.other_calls.iter().all(|(_, user)| *user == key(lost)) && cluster.other_calls.len() == 2);
        assert_eq!(cluster.state(0), Some(UserState::Connected));
    }
}

/// R5: whose GoTo user lists no address may match by it any time, so a deleted row takes nothing away until the address is read.
#[test]
fn a_deleted_row_takes_nothing_away_while_no_address_is_listed() {
    let mut cluster = removing(3, RemovalAction::Remove);
    cluster.world.teams[0].upn_address = None;
    cluster.world.teams[0].mail_address = None;
    rows(&mut cluster, &[("1000", &teams_id(0).to_string())]);
    cluster.read_twice();
    cluster.settle();
    let address = cluster.world.people[0].address.take();
    rows(&mut cluster, &[]);
    for _ in 0..2 {
        cluster.read_twice();
        cluster.settle();
        cluster.now += minutes(3_000);
    }
    assert_eq!((cluster.state(0), cluster.other_calls.len()), (Some(UserState::Connected), 0));
    cluster.world.people[0].address = address;
    for _ in 0..2 {
        cluster.read_twice();
        cluster.settle();
        cluster.now += minutes(61);
    }
    assert_eq!((cluster.state(0), cluster.other_calls.len()), (Some(UserState::Blocked), 2));
}

/// R17: a run that began waits for somebody of whom nothing can be concluded, but not for ever: then it ends, and removals go on.
#[test]
fn a_run_does_not_wait_for_ever_for_whom_nothing_is_concluded_about() {
    let mut cluster = removing(5, RemovalAction::Remove);
    cluster.spec.rollout.batch_size = 1;
    cluster.spec.approval = Approval::Disconnects;
    for teams in &mut cluster.world.teams[1..3] {
        (teams.upn_address, teams.mail_address) = (None, None);
    }
    let named = [1, 2].map(|index| teams_id(index).to_string());
    rows(&mut cluster, &[("1001", &named[0]), ("1002", &named[1])]);
    cluster.read_twice();
    cluster.settle();
    rows(&mut cluster, &[]);
    for _ in 0..2 {
        cluster.read_twice();
        cluster.settle_while_waiting();
        cluster.now += minutes(61);
    }
    decide(&mut cluster, Decision::Approve);
    while cluster.other_calls.is_empty() {
        cluster.read();
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.world.people[2].address = None;
    cluster.read_twice();
    cluster.settle_while_waiting();
    let open = |cluster: &Cluster| disconnects(cluster).into_iter().filter(|run| is_open(run)).count();
    assert_eq!((cluster.state(1), open(&cluster)), (Some(UserState::Blocked), 1));
    cluster.now += minutes(72 * 60);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert_eq!((open(&cluster), cluster.world.pair(2).enabled), (0, true));
    assert_eq!(cluster.other_calls.len(), 2);
}

/// R5: the other address of the Microsoft user is not nobody's, so that a last look by id and the plan agree.
#[test]
fn a_deleted_row_takes_nothing_away_while_the_addresses_are_equal() {
    let mut cluster = removing(2, RemovalAction::Remove);
    cluster.spec.matching.automatic.as_mut().unwrap().teams_attribute = TeamsAttribute::Mail;
    cluster.world.teams[0].mail_address = None;
    rows(&mut cluster, &[("p0@contoso.example", "p0@contoso.example")]);
    cluster.read_twice();
    cluster.settle();
    rows(&mut cluster, &[]);
    cluster.settle();
    cluster.now += minutes(3_000);
    cluster.read_twice();
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.other_calls.len()), (Some(UserState::Retained), 0));
}

/// A user of whom nothing is in the connector is simply matched anew.
#[test]
fn a_row_for_somebody_who_is_not_connected_pins_anew() {
    let mut cluster = Cluster::of(2);
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    assert_eq!(pinned(&cluster, 0), Some(teams_id(0).to_string()));
    rows(&mut cluster, &[("1000", "p1@contoso.example"), ("1001", "p0@contoso.example")]);
    cluster.read();
    cluster.pass();
    assert_eq!([0, 1].map(|index| pinned(&cluster, index)), [1, 0].map(|index| Some(teams_id(index).to_string())));
    cluster.gate = None;
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.state(1)), (Some(UserState::Connected), Some(UserState::Connected)));
    assert!(cluster.other_calls.is_empty());
}

/// R8: a row never overwrites a pair of somebody else's, and takes no Microsoft user from a pair.
#[test]
fn a_row_touches_no_pair_of_somebody_else() {
    let mut world = World::of(4);
    world.add_pair(0, 0, Some("somebody"), super::world::at(5));
    world.add_pair(2, 2, Some("somebody"), super::world::at(5));
    let mut cluster = Cluster::new(world);
    cluster.adopted = Some(format!("Matched@{}", super::world::at(0)));
    cluster.spec.removal.action = RemovalAction::Remove;
    rows(
        &mut cluster,
        &[("1000", "p1@contoso.example"), ("1001", "p2@contoso.example"), ("1003", "p3@contoso.example")],
    );
    cluster.read_twice();
    cluster.settle();
    cluster.now += minutes(3_000);
    cluster.read_twice();
    cluster.settle();
    assert_eq!([0, 1].map(|index| cluster.state(index)), [Some(UserState::Blocked); 2]);
    assert_eq!((cluster.user(0).spec.managed, cluster.reason(1)), (Managed::None, Some(Reason::TeamsUserTaken)));
    assert_eq!((cluster.puts.as_slice(), cluster.other_calls.len()), ([key(3)].as_slice(), 0));
    assert!(
        cluster
            .world
            .pairs
            .iter()
            .filter(|pair| pair.key != key(3))
            .all(|pair| pair.external_id.as_deref() == Some("somebody"))
    );
}

/// The last licenses go to those whom a row names.
#[test]
fn rows_come_before_others_when_licenses_are_short() {
    let mut cluster = Cluster::of(4);
    cluster.world.entitlement.licenses_total = 1;
    rows(&mut cluster, &[("1003", "p3@contoso.example")]);
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.state(3), Some(UserState::Connected));
    assert_eq!(cluster.status.users.unwrap().waiting, 3);
}
