//! What the Global Administrator gives: consents, and the sign-in for pushes.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};

use super::listing::Wanted;
use super::once::{self, First};
use super::{account, body};
use crate::clients::connector::wire::Page;
use crate::sim::Call;
use crate::sim::reply::{Answer, ok};

/// `GET A/consents`.
pub(super) async fn consents(call: Call, Path(key): Path<String>, uri: Uri) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    let mut all = world.consents(&account, call.sim().control_url(), call.now())?;
    all.sort_by(|one, other| one.group.cmp(&other.group));
    Ok(wanted.whole(&all, |it| &it.group))
}

/// `POST A/consents/requests`.
pub(super) async fn request_consents(call: Call, Path(key): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    body::none(&body)?;
    once::answer(&call, &mut world, &account, "consents", &headers, |world| {
        world.request_consents(&account, call.now())?;
        let items = world.consents(&account, call.sim().control_url(), call.now())?;
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        Ok(First::new(StatusCode::ACCEPTED, &Page { items, total, next_page_marker: None }))
    })
}

/// `GET A/push-authorization`.
pub(super) async fn push_authorization(call: Call, Path(key): Path<String>) -> Answer {
    let world = call.world();
    let account = account(&world, &call, &key)?;
    Ok(ok(&world.push_authorization(&account, call.sim().control_url(), call.now())?))
}

/// `POST A/push-authorization/requests`.
pub(super) async fn request_push_authorization(
    call: Call,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let mut world = call.world();
    let account = account(&world, &call, &key)?;
    body::none(&body)?;
    once::answer(&call, &mut world, &account, "push-authorization", &headers, |world| {
        world.request_push_authorization(&account, call.now())?;
        let state = world.push_authorization(&account, call.sim().control_url(), call.now())?;
        Ok(First::new(StatusCode::ACCEPTED, &state))
    })
}
