//! Cards 1 to 3: account record, administrators, PBX, entitlement, switches, domains.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;

use super::body::{self, PatchServices, PutAccount, PutAdministrator, PutDomainText};
use super::listing::Wanted;
use super::once::{self, First};
use super::{PbxPath, account, pbx};
use crate::sim::Call;
use crate::sim::reply::{Answer, ok};

/// `GET A`.
pub(super) async fn read(call: Call, Path(key): Path<String>) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    Ok(ok(&world.account_record(&account, call.now())?))
}

/// `PUT A`.
pub(super) async fn write(call: Call, Path(key): Path<String>, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    let PutAccount { manager } = body::parse(&body)?;
    world.put_account_record(&account, manager)?;
    Ok(ok(&world.account_record(&account, call.now())?))
}

/// `DELETE A`.
pub(super) async fn delete(call: Call, Path(key): Path<String>) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    world.delete_account_record(&account)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST A/invitation`.
pub(super) async fn invite(call: Call, Path(key): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    body::none(&body)?;
    once::answer(&call, &mut world, &account, "invitation", &headers, |world| {
        Ok(First::new(StatusCode::ACCEPTED, &world.send_invitation(&account, call.now())?))
    })
}

/// `GET A/administrators`.
pub(super) async fn administrators(call: Call, Path(key): Path<String>, uri: Uri) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    Ok(wanted.whole(&world.administrators(&account, call.now())?, |it| &it.email))
}

/// `PUT A/administrators/{email}`.
pub(super) async fn put_administrator(call: Call, Path((key, email)): Path<(String, String)>, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    let PutAdministrator { first_name, last_name, role } = body::parse(&body)?;
    world.put_administrator(&account, &email, [first_name, last_name], role)?;
    let all = world.administrators(&account, call.now())?;
    Ok(ok(&all.into_iter().find(|it| it.email == email)))
}

/// `DELETE A/administrators/{email}`.
pub(super) async fn delete_administrator(call: Call, Path((key, email)): Path<(String, String)>) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    world.delete_administrator(&account, &email)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST A/administrators/{email}/invitation`.
pub(super) async fn invite_administrator(
    call: Call,
    Path((key, email)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    body::none(&body)?;
    let route = format!("administrators/{email}/invitation");
    once::answer(&call, &mut world, &account, &route, &headers, |world| {
        Ok(First::new(StatusCode::ACCEPTED, &world.invite_administrator(&account, &email, call.now())?))
    })
}

/// `PUT P`.
pub(super) async fn bind(call: Call, Path(path): Path<PbxPath>, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    body::none(&body)?;
    world.bind_pbx(&account, organization, call.now())?;
    let record = world.account_record(&account, call.now())?;
    Ok(ok(&record.pbxs.into_iter().find(|it| it.organization_id == organization)))
}

/// `DELETE P`.
pub(super) async fn unbind(call: Call, Path(path): Path<PbxPath>) -> Answer {
    let mut world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    world.unbind_pbx(&account, organization)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET P/entitlement`.
pub(super) async fn entitlement(call: Call, Path(path): Path<PbxPath>) -> Answer {
    let world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    Ok(ok(&world.entitlement(&account, organization, call.now())?))
}

/// `GET P/services/teams`.
pub(super) async fn services(call: Call, Path(path): Path<PbxPath>) -> Answer {
    let world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    Ok(ok(&world.pbx(&account, organization)?.services()))
}

/// `PATCH P/services/teams`.
pub(super) async fn set_services(call: Call, Path(path): Path<PbxPath>, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    let PatchServices { sync_enabled, enabled } = body::parse(&body)?;
    Ok(ok(&world.set_services(&account, organization, sync_enabled, enabled)?))
}

/// `GET A/domains`.
pub(super) async fn domains(call: Call, Path(key): Path<String>, uri: Uri) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    Ok(wanted.whole(&world.domains(&account)?, |it| &it.name))
}

/// `PUT A/domains/{name}/verification`.
pub(super) async fn publish_domain(call: Call, Path((key, name)): Path<(String, String)>, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    let PutDomainText { text } = body::parse(&body)?;
    Ok(ok(&world.publish_domain(&account, &name, text, call.now())?))
}
