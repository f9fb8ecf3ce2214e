//! Pages by marker. A marker names the list and the last key, so a list that changes meanwhile is neither repeated nor skipped.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::clients::goto::wire::MarkerPage;
use crate::sim::Call;
use crate::sim::query::BadQuery;
use crate::sim::reply::{Answer, ok};

/// A place in a list.
struct Marker {
    ordinal: u64,
    last: String,
}

impl Marker {
    fn encode(&self, list: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{list}|{}|{}", self.ordinal, self.last))
    }

    fn decode(text: &str, name: &str) -> Result<Self, BadQuery> {
        let bad = || BadQuery::Value("pageMarker");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let text = String::from_utf8(bytes).map_err(|_| bad())?;
        let rest = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('|')).ok_or_else(bad)?;
        let (number, last) = rest.split_once('|').ok_or_else(bad)?;
        Ok(Self { ordinal: number.parse().map_err(|_| bad())?, last: last.to_owned() })
    }
}

/// Which page of which list.
pub(super) struct Wanted<'a> {
    /// Name of the list with everything that selects its items.
    pub(super) list: &'a str,
    /// As the client sent it.
    pub(super) marker: Option<&'a str>,
    /// Items at most.
    pub(super) size: usize,
}

/// The page of a list whose items come in the order of their keys; only those of the page are shown.
pub(super) fn answer<'k, T>(
    call: &Call,
    wanted: &Wanted<'_>,
    items: impl Iterator<Item = (&'k str, T)> + Clone,
    show: impl Fn(&str, T) -> Value,
) -> Answer {
    let from = wanted.marker.map(|text| Marker::decode(text, wanted.list)).transpose();
    let from = from.map_err(|error| super::bad_request(&error))?;
    let ordinal = from.as_ref().map_or(0, |marker| marker.ordinal + 1);
    call.page(ordinal);
    let seen = |key: &str| from.as_ref().is_some_and(|marker| key <= marker.last.as_str());
    let shown = call.share().of(items.clone().count());
    let mut rest = items.take(shown).skip_while(|(key, _)| seen(key)).peekable();
    let mut last = None;
    let mut page = Vec::new();
    let size = call.page_size(wanted.size);
    while page.len() < size
        && let Some((key, item)) = rest.next()
    {
        last = Some(key);
        page.push(show(key, item));
    }
    let more = rest.peek().is_some();
    let marker = last.filter(|_| more).map(|last| Marker { ordinal, last: last.to_owned() }.encode(wanted.list));
    Ok(ok(&MarkerPage { items: page, next_page_marker: marker }))
}
