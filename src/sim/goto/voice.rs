//! GoTo Connect voice-admin: telephone numbers and extensions.

use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::page::{self, Wanted};
use super::{Host, account, bad_request, has_role, not_found, token, visible};
use crate::clients::goto::wire::{Extension, PhoneNumber, RouteTo};
use crate::domain::AccountKey;
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, goto_error, ok};
use crate::sim::world::World;
use crate::sim::world::goto::{self, AccessToken, Account};

const SCOPE: &str = "voice-admin.v1.read";
const PAGE_DEFAULT: usize = 50;
/// A larger `pageSize` is cut down to it.
const PAGE_MAX: usize = 100;

/// `GET /voice-admin/v1/phone-numbers`.
pub(super) async fn phone_numbers(call: Call, uri: Uri) -> Answer {
    let list = List::parse(&uri, &["targetExtensionId", "number"])?;
    let world = call.world();
    let (key, account) = list.account(&world, &call)?;
    let (target, number) = (list.params.get("targetExtensionId"), list.params.get("number"));
    let admits = |it: &goto::PhoneNumber| {
        visible(it.visible_since, call.now())
            && target.is_none_or(|target| it.route_to.as_deref() == Some(target))
            && number.is_none_or(|number| it.number == number)
    };
    let items = account.phone_numbers.iter().filter(|(_, it)| admits(it));
    let name = format!("numbers/{key}/{}/{}", target.unwrap_or_default(), number.unwrap_or_default());
    page::answer(&call, &list.wanted(&name)?, items.map(|(id, it)| (id.as_str(), it)), |id, it| {
        number_item(key, id, it)
    })
}

/// `GET /voice-admin/v1/extensions`.
pub(super) async fn extensions(call: Call, uri: Uri) -> Answer {
    let list = List::parse(&uri, &["type"])?;
    let world = call.world();
    let (key, account) = list.account(&world, &call)?;
    let kinds = list.params.get("type");
    let admits = |it: &goto::Extension| {
        visible(it.visible_since, call.now()) && kinds.is_none_or(|kinds| kinds.split(',').any(|kind| kind == it.kind))
    };
    let items = account.extensions.iter().filter(|(_, it)| admits(it));
    let name = format!("extensions/{key}/{}", kinds.unwrap_or_default());
    page::answer(&call, &list.wanted(&name)?, items.map(|(id, it)| (id.as_str(), it)), |id, it| {
        extension_item(key, id, it)
    })
}

/// `GET /voice-admin/v1/phone-numbers/{id}`.
pub(super) async fn phone_number(call: Call, Path(id): Path<String>) -> Answer {
    let world = call.world();
    let token = reader(&world, &call)?;
    let mut accounts = reached(&world, token);
    let item = accounts.find_map(|(key, account)| account.phone_numbers.get(&id).map(|it| number_item(key, &id, it)));
    item.map(|item| ok(&item)).ok_or_else(|| not_found("phone number"))
}

/// `GET /voice-admin/v1/extensions/{id}`.
pub(super) async fn extension(call: Call, Path(id): Path<String>) -> Answer {
    let world = call.world();
    let token = reader(&world, &call)?;
    let mut accounts = reached(&world, token);
    let item = accounts.find_map(|(key, account)| account.extensions.get(&id).map(|it| extension_item(key, &id, it)));
    item.map(|item| ok(&item)).ok_or_else(|| not_found("extension"))
}

fn reached<'a>(world: &'a World, token: &'a AccessToken) -> impl Iterator<Item = (&'a AccountKey, &'a Account)> {
    token.accounts.iter().filter_map(|key| world.goto.accounts.get_key_value(key))
}

/// The token of an administrator that may read.
fn reader<'a>(world: &'a World, call: &Call) -> Result<&'a AccessToken, Refused> {
    let token = token(world, call, Host::Goto, SCOPE)?;
    if has_role(world, token, &["SUPER_USER", "MANAGE_ACCOUNT"]) {
        return Ok(token);
    }
    Err(goto_error(StatusCode::FORBIDDEN, "UNAUTHORIZED", "The caller is no administrator.").into())
}

/// The query of a list.
struct List {
    params: Params,
}

impl List {
    fn parse(uri: &Uri, more: &[&str]) -> Result<Self, Refused> {
        let known = [&["accountKey", "pageSize", "pageMarker"], more].concat();
        let params = Params::parse(uri, &known, Plus::Space).map_err(|error| bad_request(&error))?;
        Ok(Self { params })
    }

    fn account<'a>(&self, world: &'a World, call: &Call) -> Result<(&'a AccountKey, &'a Account), Refused> {
        let key = self.params.get("accountKey").ok_or_else(|| bad_request(&BadQuery::Value("accountKey")))?;
        account(world, reader(world, call)?, key)
    }

    fn wanted<'a>(&'a self, list: &'a str) -> Result<Wanted<'a>, Refused> {
        let size = self.params.number("pageSize").map_err(|error| bad_request(&error))?.unwrap_or(PAGE_DEFAULT);
        if size == 0 {
            return Err(bad_request(&BadQuery::Value("pageSize")));
        }
        Ok(Wanted { list, marker: self.params.get("pageMarker"), size: size.min(PAGE_MAX) })
    }
}

fn number_item(key: &AccountKey, id: &str, number: &goto::PhoneNumber) -> Value {
    let known = PhoneNumber {
        id: id.to_owned(),
        organization_id: number.organization,
        number: number.number.clone(),
        route_to: number.route_to.clone().map(|id| RouteTo { id, kind: "EXTENSION".to_owned() }),
        status: Some("ACTIVE".to_owned()),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["accountKey"] = json!(key);
    item["name"] = json!(number.number);
    item
}

fn extension_item(key: &AccountKey, id: &str, extension: &goto::Extension) -> Value {
    let known = Extension {
        id: id.to_owned(),
        organization_id: extension.organization,
        number: extension.number.clone(),
        name: extension.name.clone(),
        kind: Some(extension.kind.clone()),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["accountKey"] = json!(key);
    item["omitFromDirectories"] = json!(false);
    item["omitFromAutoAttendants"] = json!(false);
    item
}
