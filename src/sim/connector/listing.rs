//! Pages of the contract's lists.

use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use super::invalid;
use crate::clients::connector::wire::Page;
use crate::sim::Call;
use crate::sim::query::{Params, Plus};
use crate::sim::reply::{Refused, ok};
use crate::sim::world::{Cut, Listed, Share};

/// Largest `pageSize`.
const MOST: usize = 100;

/// What a list call asks for.
pub(super) struct Wanted {
    pub(super) params: Params,
    ordinal: u64,
    after: Option<String>,
    size: usize,
    share: Share,
}

impl Wanted {
    /// Reads the query; `more` are parameters beside those of every list.
    pub(super) fn parse(call: &Call, uri: &Uri, more: &[&str]) -> Result<Self, Refused> {
        let known = [&["pageSize", "pageMarker"], more].concat();
        let params = Params::parse(uri, &known, Plus::Space).map_err(|error| invalid(error.to_string()))?;
        let size = params.number("pageSize").map_err(|error| invalid(error.to_string()))?.unwrap_or(MOST);
        if !(1..=MOST).contains(&size) {
            return Err(invalid("pageSize must be from 1 to 100".to_owned()));
        }
        let (ordinal, after) = match params.get("pageMarker") {
            None => (0, None),
            Some(marker) => decode(marker).ok_or_else(|| invalid("pageMarker is none of ours".to_owned()))?,
        };
        call.page(ordinal);
        Ok(Self { params, ordinal, after, size: call.page_size(size), share: call.share() })
    }

    /// The part of the listing.
    pub(super) fn cut(&self) -> Cut<'_> {
        Cut { after: self.after.as_deref(), take: self.size, share: self.share }
    }

    /// The page.
    pub(super) fn answer<T: Serialize>(&self, listed: Listed<T>) -> Response {
        let next_page_marker = listed.more_after.map(|key| encode(self.ordinal + 1, &key));
        let total = u64::try_from(listed.total).unwrap_or(u64::MAX);
        ok(&Page { items: listed.items, total, next_page_marker })
    }

    /// The page of a list that the world gives as a whole, in the order of the keys.
    pub(super) fn whole<T: Serialize + Clone>(&self, all: &[T], key: impl Fn(&T) -> &str) -> Response {
        let all = &all[..self.share.of(all.len())];
        let rest = all.iter().skip_while(|item| self.after.as_deref().is_some_and(|after| key(item) <= after));
        let items: Vec<T> = rest.clone().take(self.size).cloned().collect();
        let more = rest.count() > items.len();
        let more_after = items.last().filter(|_| more).map(|item| key(item).to_owned());
        self.answer(Listed { items, total: all.len(), more_after })
    }
}

fn encode(ordinal: u64, key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{ordinal}|{key}"))
}

fn decode(marker: &str) -> Option<(u64, Option<String>)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    let (ordinal, key) = text.split_once('|')?;
    Some((ordinal.parse().ok()?, Some(key.to_owned())))
}
