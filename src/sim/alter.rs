//! Alterations of a handler's reply.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::response::Parts;
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};

use super::graph::delta;
use super::reply::items_of;

/// Pieces of a reply that drips.
const PIECES: usize = 16;

async fn take_apart(response: Response) -> (Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    // The body is one buffer of this process.
    (parts, to_bytes(body, usize::MAX).await.unwrap_or_default())
}

/// Changes the JSON of a successful reply.
pub(super) async fn json(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json || !response.status().is_success() {
        return response;
    }
    let (parts, bytes) = take_apart(response).await;
    let changed = serde_json::from_slice(&bytes).ok().and_then(|mut body| {
        change(&mut body);
        serde_json::to_vec(&body).ok()
    });
    Response::from_parts(parts, changed.map_or_else(|| Body::from(bytes), Body::from))
}

/// A field that nobody knows, in the reply and in each of its items.
pub(super) async fn extra_field(response: Response) -> Response {
    json(response, |body| {
        if let Some(items) = items_of(body) {
            items.iter_mut().for_each(add_field);
        }
        add_field(body);
    })
    .await
}

fn add_field(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.insert("previewOfLater".to_owned(), json!({"enabled": false, "ranks": [1, 2]}));
    }
}

fn end_listing(body: &mut Value) {
    // A delta round is ended by its own link: there only items are lost.
    let is_delta = |link: &Value| link.as_str().is_some_and(|link| link.contains("delta"));
    if let Value::Object(fields) = body {
        fields.remove("nextPageMarker");
        if !fields.get("@odata.nextLink").is_some_and(is_delta) {
            fields.remove("@odata.nextLink");
        }
    }
}

/// Half of the items, no further page, the total as it was.
pub(super) fn truncate_page(body: &mut Value) {
    if let Some(items) = items_of(body) {
        items.truncate(items.len() / 2);
        end_listing(body);
    }
}

/// No item, no further page, a total of 0.
pub(super) fn empty_page(body: &mut Value) {
    if let Some(items) = items_of(body) {
        items.clear();
        end_listing(body);
        for field in ["total", "fromIndex", "toIndex", "@odata.count"] {
            if let Some(number) = body.get_mut(field) {
                *number = json!(0);
            }
        }
    }
}

/// The listing ends with page `last`: a page after it has no items, and no page after that is named.
pub(super) fn stop_after(body: &mut Value, page: u64, last: u64) {
    if page < last {
        return;
    }
    if page > last
        && let Some(items) = items_of(body)
    {
        items.clear();
    }
    let Value::Object(fields) = body else { return };
    fields.remove("nextPageMarker");
    let next = fields.remove("@odata.nextLink");
    if let Some(link) = next.as_ref().and_then(Value::as_str).and_then(delta::ended) {
        fields.insert("@odata.deltaLink".to_owned(), json!(link));
    }
}

/// A total that is off by so many.
pub(super) fn shift_total(body: &mut Value, by: i64) {
    for field in ["total", "@odata.count"] {
        if let Some(total) = body.get_mut(field)
            && let Some(number) = total.as_u64()
        {
            *total = json!(number.saturating_add_signed(by));
        }
    }
}

/// The first half of the body.
pub(super) async fn halve(response: Response) -> Response {
    let (parts, bytes) = take_apart(response).await;
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

/// The body in pieces with pauses between them.
pub(super) async fn drip(response: Response, pause: Duration) -> Response {
    let (parts, bytes) = take_apart(response).await;
    let length = bytes.len().div_ceil(PIECES).max(1);
    let pieces = stream::unfold(bytes, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = left.split_to(length.min(left.len()));
        Some((Ok::<_, std::io::Error>(piece), left))
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// The first half of the body is sent, then `cut` is called and nothing follows.
pub(super) async fn cut_short(response: Response, cut: impl Fn() + Send + 'static) -> Response {
    let (mut parts, bytes) = take_apart(response).await;
    parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let half = bytes.slice(..bytes.len() / 2);
    let pieces = stream::unfold((Some(half), cut), |(half, cut)| async move {
        let Some(half) = half else {
            // The first piece is flushed while this one is pending.
            tokio::task::yield_now().await;
            cut();
            return Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), (None, cut)));
        };
        Some((Ok(half), (None, cut)))
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_page_keeps_its_total_and_has_no_successor() {
        let mut page = json!({"items": [1, 2, 3], "total": 9, "nextPageMarker": "m"});
        truncate_page(&mut page);
        assert_eq!(page, json!({"items": [1], "total": 9}));
    }

    #[test]
    fn an_empty_page_looks_like_an_empty_list() {
        let mut page = json!({"results": [1], "fromIndex": 5, "toIndex": 5, "total": 9});
        empty_page(&mut page);
        assert_eq!(page, json!({"results": [], "fromIndex": 0, "toIndex": 0, "total": 0}));
    }

    #[test]
    fn a_cut_delta_page_keeps_its_link() {
        let mut page = json!({"value": [1, 2], "@odata.nextLink": "https://x/v1.0/users/delta?$skiptoken=a"});
        truncate_page(&mut page);
        assert_eq!(page["value"], json!([1]));
        assert!(page["@odata.nextLink"].is_string());
    }

    #[test]
    fn a_total_is_off_by_what_the_script_says_and_never_below_zero() {
        let mut page = json!({"items": [], "total": 4, "@odata.count": 4});
        shift_total(&mut page, 1);
        assert_eq!(page, json!({"items": [], "total": 5, "@odata.count": 5}));
        shift_total(&mut page, -9);
        assert_eq!(page["total"], 0);
    }

    #[test]
    fn a_listing_stops_after_the_page_that_the_script_says() {
        let page = || json!({"items": [1], "total": 9, "nextPageMarker": "m"});
        let stopped = |number| {
            let mut page = page();
            stop_after(&mut page, number, 3);
            page
        };
        assert_eq!(stopped(2), page());
        assert_eq!(stopped(3), json!({"items": [1], "total": 9}));
        assert_eq!(stopped(4), json!({"items": [], "total": 9}));
    }
}
