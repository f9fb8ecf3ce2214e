//! Graph's ways of paging: by link, by `$skip`, and delta rounds.

use std::fmt;

use axum::http::HeaderValue;
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::wire::{NumberAssignment, Page, User};
use super::{GraphClient, NUMBER_ASSIGNMENTS, USER_PROPERTIES, USERS_DELTA};
use crate::clients::error::ApiError;
use crate::clients::http::Call;
use crate::clients::listing::{Collector, Complete, Incomplete, IncompleteCause, listed};

/// Largest page of telephone numbers.
const NUMBER_PAGE: &str = "1000";

/// Where the next delta round begins. Only good together with the base that was built from all rounds before it; kept in
/// memory only.
#[derive(Clone, PartialEq, Eq)]
pub struct DeltaCursor(Url);

impl fmt::Debug for DeltaCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeltaCursor(..)")
    }
}

/// A delta round that came to its end.
pub struct DeltaRound<R> {
    changes: Complete<R>,
    cursor: DeltaCursor,
}

impl<R> fmt::Debug for DeltaRound<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeltaRound({:?})", self.changes)
    }
}

impl<R> DeltaRound<R> {
    /// What changed, in any order and perhaps twice; without a cursor given: every user. And where the next round begins.
    #[must_use]
    pub fn into_parts(self) -> (Complete<R>, DeltaCursor) {
        (self.changes, self.cursor)
    }
}

impl GraphClient {
    /// A listing by `@odata.nextLink`; it is restarted once if its page token expires.
    pub(super) async fn link_pages<T: DeserializeOwned + Send, R: Send>(
        &self,
        first: Call,
        map: &mut (dyn FnMut(T) -> Option<R> + Send),
    ) -> Result<Complete<R>, Incomplete> {
        let route = first.route;
        let mut result = self.link_pages_once(first.clone(), map).await;
        if is_page_token_expired(&result) {
            result = self.link_pages_once(first, map).await;
        }
        listed(route, settled(result))
    }

    async fn link_pages_once<T: DeserializeOwned + Send, R: Send>(
        &self,
        first: Call,
        map: &mut (dyn FnMut(T) -> Option<R> + Send),
    ) -> Result<Complete<R>, IncompleteCause> {
        let mut pages = Collector::new(map);
        let mut call = first;
        loop {
            let page: Page<T> = self.page(&call).await?;
            if let Some(count) = page.count {
                pages.expect_total(count)?;
            }
            pages.page(page.value)?;
            let Some(link) = page.next_link else { return pages.finish() };
            pages.follow(&link)?;
            call = self.follow(call, &link)?;
        }
    }

    /// Numbers: by link where there is one, else by `$skip` up to an empty page, as a short page proves nothing.
    pub(super) async fn skip_pages<R: Send>(
        &self,
        map: &mut (dyn FnMut(NumberAssignment) -> Option<R> + Send),
    ) -> Result<Complete<R>, Incomplete> {
        let mut result = self.skip_pages_once(map).await;
        if is_page_token_expired(&result) {
            result = self.skip_pages_once(map).await;
        }
        listed(NUMBER_ASSIGNMENTS, settled(result))
    }

    async fn skip_pages_once<R: Send>(
        &self,
        map: &mut (dyn FnMut(NumberAssignment) -> Option<R> + Send),
    ) -> Result<Complete<R>, IncompleteCause> {
        let mut pages = Collector::new(map);
        let mut call = self.numbers_from(0);
        let mut by_link = false;
        loop {
            let page: Page<NumberAssignment> = self.page(&call).await?;
            let begins_with = page.value.first().map(|number| number.id.clone());
            pages.page(page.value)?;
            match (page.next_link, begins_with) {
                (Some(link), _) => {
                    pages.follow(&link)?;
                    call = self.follow(call, &link)?;
                    by_link = true;
                }
                (None, None) => return pages.finish(),
                (None, Some(_)) if by_link => return pages.finish(),
                (None, Some(id)) => {
                    pages.follow(&id).map_err(|_| IncompleteCause::PageDidNotAdvance)?;
                    call = self.numbers_from(pages.arrived());
                }
            }
        }
    }

    fn numbers_from(&self, skip: u64) -> Call {
        let skip_text = skip.to_string();
        let mut query = vec![("$top", NUMBER_PAGE)];
        if skip > 0 {
            query.push(("$skip", &skip_text));
        }
        let path = ["admin", "teams", "telephoneNumberManagement", "numberAssignments"];
        self.get(NUMBER_ASSIGNMENTS, &path, &query)
    }

    /// A delta round: only a `deltaLink` ends it. Without a cursor it is restarted once if its token dies under way; with one
    /// that is the caller's, who must drop its base too.
    pub(super) async fn delta_round<R: Send>(
        &self,
        cursor: Option<&DeltaCursor>,
        map: &mut (dyn FnMut(User) -> Option<R> + Send),
    ) -> Result<DeltaRound<R>, Incomplete> {
        let first = self.get(USERS_DELTA, &["users", "delta"], &[("$select", USER_PROPERTIES)]);
        let call = match cursor {
            Some(DeltaCursor(url)) => Call { url: url.clone(), ..first },
            None => first,
        };
        let mut result = self.delta_round_once(call.clone(), map).await;
        if cursor.is_none() && is_cursor_expired(&result) {
            result = self.delta_round_once(call, map).await;
        }
        listed(USERS_DELTA, result)
    }

    async fn delta_round_once<R: Send>(
        &self,
        first: Call,
        map: &mut (dyn FnMut(User) -> Option<R> + Send),
    ) -> Result<DeltaRound<R>, IncompleteCause> {
        let mut pages = Collector::new(map);
        let mut call = first;
        loop {
            let page: Page<User> = self.page(&call).await?;
            if page.value.iter().any(is_nameless) {
                return Err(IncompleteCause::PropertyMissing);
            }
            pages.page(page.value)?;
            match (page.next_link, page.delta_link) {
                (Some(link), _) => {
                    pages.follow(&link)?;
                    call = self.follow(call, &link)?;
                }
                (None, Some(link)) => {
                    let cursor = DeltaCursor(self.same_origin(&link)?);
                    return Ok(DeltaRound { changes: pages.finish()?, cursor });
                }
                (None, None) => return Err(IncompleteCause::Truncated),
            }
        }
    }

    /// The call for the next page: the link verbatim, the headers again.
    fn follow(&self, call: Call, link: &str) -> Result<Call, IncompleteCause> {
        Ok(identified(Call { url: self.same_origin(link)?, ..call }))
    }

    /// A link to anywhere else would carry the access token there.
    fn same_origin(&self, link: &str) -> Result<Url, IncompleteCause> {
        let url = Url::parse(link).map_err(|_| IncompleteCause::ForeignLink)?;
        let decorated = !url.username().is_empty() || url.password().is_some();
        if url.origin() == self.base.origin() && !decorated { Ok(url) } else { Err(IncompleteCause::ForeignLink) }
    }
}

/// Whether nothing but the id is told of somebody who is there: so Graph answers where a right is missing. It is not that the user is gone.
fn is_nameless(user: &User) -> bool {
    user.removed.is_none() && user.user_principal_name.is_none()
}

/// Microsoft's support finds a call by this id.
pub(super) fn identified(call: Call) -> Call {
    let id = HeaderValue::from_str(&Uuid::new_v4().to_string());
    match id {
        Ok(id) => call.header("client-request-id", id),
        Err(_) => call,
    }
}

/// Without this header users whom Teams cannot serve come as `unknownFutureValue`.
pub(super) fn with_unknown_members(call: Call) -> Call {
    call.header("prefer", HeaderValue::from_static("include-unknown-enum-members"))
}

fn failure<R>(result: &Result<R, IncompleteCause>) -> Option<&ApiError> {
    result.as_ref().err()?.failure()
}

fn is_page_token_expired<R>(result: &Result<R, IncompleteCause>) -> bool {
    matches!(failure(result), Some(ApiError::PageTokenExpired(_)))
}

fn is_cursor_expired<R>(result: &Result<R, IncompleteCause>) -> bool {
    matches!(failure(result), Some(ApiError::PageTokenExpired(_) | ApiError::CursorExpired(_)))
}

fn settled<R>(result: Result<R, IncompleteCause>) -> Result<R, IncompleteCause> {
    if is_page_token_expired(&result) { Err(IncompleteCause::ExpiredPageToken) } else { result }
}
