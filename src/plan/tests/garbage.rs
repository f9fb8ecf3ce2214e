//! Whatever stands in the stored objects and whatever the time is: a plan is made, and takes from nobody whom it does not know.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::{cases, stored, world};
use super::cluster::Cluster;
use super::world::at;
use crate::api::{Failure, Managed, Reason, RunOutcome};
use crate::plan::acted::{self, ActOutcome, StepResult};
use crate::plan::runs::{plan_hash, policy_hash};
use crate::plan::user_sync::user_sync;

/// What nobody would write.
const TEXTS: [&str; 8] =
    ["", " ", "nobody", "-1", "99999999999999999999999999", "2000000000000000001", "a\u{0}b", "0A0000000000-\u{1F600}"];

fn text(pick: u8) -> String {
    TEXTS[usize::from(pick) % TEXTS.len()].to_owned()
}

fn time(pick: u8) -> Timestamp {
    [Timestamp::MIN, Timestamp::MAX, at(-4_000_000_000 / 4), at(0), at(1), at(900_000_000)][usize::from(pick) % 6]
}

/// Puts something strange into one field of one stored object.
fn spoil(cluster: &mut Cluster, field: u8, which: u8, pick: u8) {
    let users = cluster.users.len().max(1);
    let runs = cluster.runs.len().max(1);
    if let Some(user) = cluster.users.values_mut().nth(usize::from(which) % users) {
        match field % 20 {
            0 => user.spec.goto_user_key = text(pick),
            1 => user.spec.teams_user_id = Some(text(pick)),
            2 => user.spec.leaving = Some(text(pick)),
            3 => user.spec.first_seen = Time(time(pick)),
            4 => user.spec.unmatched_since = Some(Time(time(pick))),
            5 => user.spec.protected_by = Some(text(pick)),
            6 => user.status.reason = Some(text(pick)),
            7 => user.status.message = Some(text(pick).repeat(200)),
            8 => user.status.observed_generation = i64::MIN,
            9 => user.status.last_change = None,
            _ => {}
        }
    }
    if let Some(run) = cluster.runs.values_mut().nth(usize::from(which) % runs) {
        match field % 20 {
            10 => run.spec.created_at = Time(time(pick)),
            11 => run.status.finished_at = Some(Time(time(pick))),
            12 => run.status.started_at = Some(Time(time(pick))),
            13 => {
                let [applied, skipped, failed, remaining] = [u32::MAX, u32::MAX, u32::MAX, u32::from(pick)];
                run.status.outcome = Some(RunOutcome { applied, skipped, failed, remaining });
            }
            14 => run.spec.actions.iter_mut().for_each(|action| action.user = text(pick)),
            15 => run.name = text(pick),
            16 => run.spec.actions.clear(),
            _ => {}
        }
    }
    match field % 20 {
        17 => cluster.adopted = Some(text(pick)),
        18 => cluster.status.failure = Some(Failure { count: u32::MAX, next_attempt_time: Time(time(pick)) }),
        19 => {
            let guard = &mut cluster.spec.removal.guard;
            (guard.max_percent, guard.max_count, guard.always_allow) = (u32::MAX, u32::MAX, u32::from(pick));
            cluster.spec.protected_users.push(text(pick));
            cluster.spec.rollout.max_failure_percent = u32::MAX;
            cluster.world.entitlement.licenses_total = u32::MAX;
            cluster.world.entitlement.licenses_in_use = u32::MAX;
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// R8: no stored object and no time makes the planner panic, nor take from whom the policy does not know.
    #[test]
    fn garbage_makes_no_panic_and_takes_from_nobody_unknown(
        world in world(),
        stored in stored(),
        garbage in vec(any::<[u8; 3]>(), 1..12),
        remove in any::<bool>(),
        when in proptest::option::of(any::<u8>()),
    ) {
        let mut cluster = stored.on(world);
        if remove {
            cluster.spec.removal.action = crate::api::RemovalAction::Remove;
        }
        for [field, which, pick] in garbage {
            spoil(&mut cluster, field, which, pick);
        }
        let now = when.map_or(cluster.now, time);
        let observed = cluster.observed();
        let plan = user_sync(&observed, now);
        prop_assert_eq!(&plan, &user_sync(&observed, now));
        for step in plan.steps().into_iter().filter(|step| step.takes_away()) {
            let known = observed.users.iter().find(|user| user.spec.goto_user_key == step.user.as_str());
            prop_assert!(known.is_some_and(|known| known.spec.managed != Managed::None && known.spec.leaving.is_some()));
        }
        let failed = || StepResult::Failed { reason: Reason::Rejected, message: "no".repeat(300) };
        let results = plan.steps().into_iter().map(|step| (step.user.clone(), failed())).collect();
        drop(acted::after(&plan, &ActOutcome { results, ..ActOutcome::default() }, now));
        drop(plan.to_string());
        drop(plan.check());
    }

    /// The same situation has the same names and hashes whenever it is looked at, and another one has others.
    #[test]
    fn the_same_situation_has_the_same_hash(world in world(), later in 1_i64..10_000) {
        let run = |wait: i64| {
            let mut cluster = Cluster::new(world.clone());
            cluster.wait(wait);
            cluster.read();
            let crate::plan::user_plan::RunPlan::Create(run) = cluster.plan().run else { return None };
            Some((run.name, run.spec.plan_hash, run.spec.policy_hash, run.spec.actions))
        };
        let first = run(0);
        prop_assert_eq!(&first, &run(later));
        if let Some((_, hash, policy, mut actions)) = first {
            prop_assert_eq!(&hash, &plan_hash(&actions));
            actions[0].user.push('1');
            prop_assert_ne!(hash, plan_hash(&actions));
            let mut spec = Cluster::of(0).spec;
            prop_assert_eq!(&policy, &policy_hash(&spec));
            spec.history_limit += 1;
            prop_assert_ne!(policy, policy_hash(&spec));
        }
    }
}
