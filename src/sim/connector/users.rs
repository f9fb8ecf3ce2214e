//! Candidates, and the users of the connector: one by one and in batches.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;

use super::body::{self, PatchUser};
use super::listing::Wanted;
use super::once::{self, First};
use super::{PbxPath, error_body, invalid, pbx};
use crate::clients::connector::wire::{BatchMethod, BatchOperation, BatchReply, BatchRequest, BatchResult, PutUser};
use crate::domain::{AccountKey, OrganizationId, UserKey};
use crate::sim::Call;
use crate::sim::reply::{Answer, Refused, json_reply, ok};
use crate::sim::world::{Put, Refusal, World};

/// Operations of a batch at most.
const BATCH: usize = 25;

/// The path of one user.
type UserPath = (String, String, String);

/// `GET P/candidates`.
pub(super) async fn candidates(call: Call, Path(path): Path<PbxPath>, uri: Uri) -> Answer {
    let world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    Ok(wanted.answer(world.candidates(&account, organization, wanted.cut())?))
}

/// `GET P/users`.
pub(super) async fn list(call: Call, Path(path): Path<PbxPath>, uri: Uri) -> Answer {
    let world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    let wanted = Wanted::parse(&call, &uri, &[])?;
    Ok(wanted.answer(world.connector_users(&account, organization, wanted.cut(), call.now())?))
}

/// `GET P/users/{gotoUserKey}`.
pub(super) async fn read(call: Call, Path(path): Path<UserPath>) -> Answer {
    let world = call.world();
    let (account, organization, user) = target(&world, &call, path)?;
    Ok(ok(&world.connector_user(&account, organization, &user, call.now())?))
}

/// `PUT P/users/{gotoUserKey}`.
pub(super) async fn write(call: Call, Path(path): Path<UserPath>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization, user) = target(&world, &call, path)?;
    let put: PutUser = body::parse(&body)?;
    world.check_etag(&account, organization, &user, if_match(&headers))?;
    let status = match world.put_user(&account, organization, &user, &put, call.now())? {
        Put::Created => StatusCode::CREATED,
        Put::Confirmed => StatusCode::OK,
    };
    Ok(json_reply(status, &world.connector_user(&account, organization, &user, call.now())?))
}

/// `PATCH P/users/{gotoUserKey}`.
pub(super) async fn switch(call: Call, Path(path): Path<UserPath>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization, user) = target(&world, &call, path)?;
    let PatchUser { enabled } = body::parse(&body)?;
    world.connector_user(&account, organization, &user, call.now())?;
    world.check_etag(&account, organization, &user, if_match(&headers))?;
    world.set_user_enabled(&account, organization, &user, enabled, call.now())?;
    Ok(ok(&world.connector_user(&account, organization, &user, call.now())?))
}

/// `DELETE P/users/{gotoUserKey}`.
pub(super) async fn delete(call: Call, Path(path): Path<UserPath>, headers: HeaderMap) -> Answer {
    let mut world = call.world();
    let (account, organization, user) = target(&world, &call, path)?;
    world.connector_user(&account, organization, &user, call.now())?;
    world.check_etag(&account, organization, &user, if_match(&headers))?;
    world.delete_user(&account, organization, &user, call.now())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST P/users:batch`.
pub(super) async fn batch(call: Call, Path(path): Path<PbxPath>, headers: HeaderMap, body: Bytes) -> Answer {
    let mut world = call.world();
    let (account, organization) = pbx(&world, &call, &path)?;
    let BatchRequest { operations } = body::parse(&body)?;
    let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    if operations.len() > BATCH || ids.len() != operations.len() {
        return Err(invalid("at most 25 operations, each with an id of its own".to_owned()));
    }
    world.pbx(&account, organization)?;
    once::answer(&call, &mut world, &account, &format!("pbxs/{organization}/users:batch"), &headers, |world| {
        let mut place = Place { world, account: &account, organization, call: &call };
        let results: Vec<BatchResult> = operations.iter().map(|operation| place.result(operation)).collect();
        call.wrote(results.iter().any(|result| result.error.is_none()));
        Ok(First::new(StatusCode::OK, &BatchReply { results }))
    })
}

/// Where the operations of a batch happen.
struct Place<'a> {
    world: &'a mut World,
    account: &'a AccountKey,
    organization: OrganizationId,
    call: &'a Call,
}

impl Place<'_> {
    fn result(&mut self, operation: &BatchOperation) -> BatchResult {
        let id = operation.id.clone();
        match self.apply(operation) {
            Ok(status) => BatchResult { id, status: status.as_u16(), error: None },
            Err(refusal) => BatchResult { id, status: refusal.status(), error: Some(error_body(&refusal)) },
        }
    }

    fn apply(&mut self, operation: &BatchOperation) -> Result<StatusCode, Refusal> {
        let (account, organization, now) = (self.account, self.organization, self.call.now());
        let user = &operation.goto_user_key;
        if operation.method != BatchMethod::Put {
            // A missing user is 404, whatever the etag says.
            self.world.connector_user(account, organization, user, now)?;
        }
        self.world.check_etag(account, organization, user, operation.if_match.as_deref())?;
        match (operation.method, &operation.body) {
            (BatchMethod::Put, Some(body)) => match self.world.put_user(account, organization, user, body, now)? {
                Put::Created => Ok(StatusCode::CREATED),
                Put::Confirmed => Ok(StatusCode::OK),
            },
            (BatchMethod::Put, None) => Err(Refusal::InvalidValue("Put needs a body")),
            (_, Some(_)) => Err(Refusal::InvalidValue("only Put has a body")),
            (BatchMethod::Enable, None) => self.switch(user, true),
            (BatchMethod::Disable, None) => self.switch(user, false),
            (BatchMethod::Delete, None) => {
                self.world.delete_user(account, organization, user, now)?;
                Ok(StatusCode::NO_CONTENT)
            }
        }
    }

    fn switch(&mut self, user: &UserKey, enabled: bool) -> Result<StatusCode, Refusal> {
        self.world.set_user_enabled(self.account, self.organization, user, enabled, self.call.now())?;
        Ok(StatusCode::OK)
    }
}

fn target(world: &World, call: &Call, path: UserPath) -> Result<(AccountKey, OrganizationId, UserKey), Refused> {
    let (account, organization) = pbx(world, call, &(path.0, path.1))?;
    let user = path.2.parse().map_err(|_| invalid("gotoUserKey must be digits".to_owned()))?;
    Ok((account, organization, user))
}

fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers.get("if-match").and_then(|value| value.to_str().ok())
}
