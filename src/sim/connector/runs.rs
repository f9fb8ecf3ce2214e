//! Directory imports, pushes, their ticks, and verifications.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use k8s_openapi::jiff::Timestamp;

use super::listing::Wanted;
use super::once::{self, First};
use super::{PbxPath, account, body, invalid, pbx};
use crate::clients::connector::wire::StartSync;
use crate::sim::Call;
use crate::sim::reply::{Answer, ok};

/// `GET A/syncs?since=`.
pub(super) async fn list(call: Call, Path(key): Path<String>, uri: Uri) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    let wanted = Wanted::parse(&call, &uri, &["since"])?;
    let since = wanted.params.get("since").map(str::parse::<Timestamp>).transpose();
    let since = since.map_err(|_| invalid("since must be a time".to_owned()))?;
    Ok(wanted.answer(world.runs(&account, since, wanted.cut(), call.now())?))
}

/// `POST A/syncs`.
pub(super) async fn start(call: Call, Path(key): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    let StartSync { kind, organization_id } = body::parse(&body)?;
    once::answer(&call, &mut world, &account, "syncs", &headers, |world| {
        let run = world.start_run(&account, kind, organization_id, call.now())?;
        let location = format!("/accounts/{account}/syncs/{}", run.id);
        Ok(First::new(StatusCode::ACCEPTED, &run).at(location))
    })
}

/// `GET A/syncs/{id}`.
pub(super) async fn read(call: Call, Path((key, id)): Path<(String, String)>) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    Ok(ok(&world.run(&account, &id, call.now())?))
}

/// `GET A/syncs/{id}/results`.
pub(super) async fn results(call: Call, Path((key, id)): Path<(String, String)>, uri: Uri) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    Ok(wanted.answer(world.run_results(&account, &id, wanted.cut())?))
}

/// `GET A/sync-state`.
pub(super) async fn ticks(call: Call, Path(key): Path<String>) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    Ok(ok(&world.ticks(&account)?))
}

/// `POST P/verifications`.
pub(super) async fn verify(call: Call, Path(path): Path<PbxPath>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    body::none(&body)?;
    let route = format!("verifications/{organization}");
    once::answer(&call, &mut world, &account, &route, &headers, |world| {
        Ok(First::new(StatusCode::ACCEPTED, &world.start_verification(&account, organization, call.now())?))
    })
}

/// `GET P/verifications/latest`.
pub(super) async fn verification(call: Call, Path(path): Path<PbxPath>) -> Answer {
    let world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    Ok(ok(&world.verification(&account, organization)?))
}
