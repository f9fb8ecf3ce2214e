//! How long a plan takes for each user (P14), and a pass that changes nothing beside the decoding of its objects (P8).

use std::hint::black_box;
use std::time::{Duration, Instant};

use teams_connector_operator::api::TeamsConnectorUser;
use teams_connector_operator::plan::observed::KnownUser;
use teams_connector_operator::plan::user_plan::UserPlan;
use teams_connector_operator::plan::user_sync::user_sync;

use crate::world::{World, now};

const SIZES: [u32; 3] = [1_000, 10_000, 50_000];
const ROUNDS: usize = 5;

/// Prints a line for each size.
pub(crate) fn table() -> anyhow::Result<()> {
    println!("Planning; microseconds for each user, best of {ROUNDS}");
    println!("users   first plan  no change  decoding  / n log n  no change / decoding");
    let mut smallest = None;
    for users in SIZES {
        let first = World::of(users, false)?;
        let first = best(|| user_sync(&first.observed(Vec::new(), Vec::new()), now()));
        let world = World::of(users, true)?;
        let objects = settled(&world)?;
        let json = objects.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        let decoding = best(|| {
            json.iter().map(|text| serde_json::from_slice(text)).collect::<Result<Vec<TeamsConnectorUser>, _>>()
        });
        let pass = best(|| {
            let known = objects.iter().map(KnownUser::from).collect();
            user_sync(&world.observed(known, Vec::new()), now())
        });
        let per_user = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(users);
        let growth = per_user(pass) / f64::from(users).ln();
        let base = *smallest.get_or_insert(growth);
        println!(
            "{users:<8}{:>10.2} {:>10.2} {:>9.2} {:>10.2} {:>21.2}",
            per_user(first),
            per_user(pass),
            per_user(decoding),
            growth / base,
            per_user(pass) / per_user(decoding),
        );
    }
    println!();
    Ok(())
}

/// The fastest of some rounds; what it gives is kept until its end, so that freeing it is not measured.
fn best<T>(mut round: impl FnMut() -> T) -> Duration {
    let measure = || {
        let began = Instant::now();
        let made = black_box(round());
        let took = began.elapsed();
        drop(made);
        took
    };
    std::iter::repeat_with(measure).take(ROUNDS).min().unwrap_or_default()
}

/// The user objects once everything that is to be written was written.
fn settled(world: &World) -> anyhow::Result<Vec<TeamsConnectorUser>> {
    let mut objects = Vec::new();
    for _ in 0..5 {
        let known = objects.iter().map(KnownUser::from).collect();
        let plan = user_sync(&world.observed(known, Vec::new()), now());
        if plan.is_empty() {
            return Ok(objects);
        }
        objects = stored(plan);
    }
    anyhow::bail!("the plan does not come to an end")
}

fn stored(plan: UserPlan) -> Vec<TeamsConnectorUser> {
    let object = |user: teams_connector_operator::plan::user_plan::PlannedUser| {
        let mut object = TeamsConnectorUser::new(&format!("head-office-{}", user.key), user.spec);
        object.metadata.namespace = Some("telephony".to_owned());
        object.metadata.uid = Some("6f6d1c6e-4a54-4c8a-9c52-0c7b0a4b8f11".to_owned());
        object.metadata.resource_version = Some("123456".to_owned());
        object.metadata.generation = Some(1);
        object.status = Some(user.status);
        object
    };
    plan.users.into_iter().map(object).collect()
}
