//! GoTo's two ways of paging: by index with a total, and by marker.

use serde::de::DeserializeOwned;

use super::wire::{AdminPage, MarkerPage};
use super::{ADMIN_PAGE, GotoClient};
use crate::clients::error::ApiError;
use crate::clients::http::Call;
use crate::clients::listing::{Collector, Complete, Incomplete, IncompleteCause, listed};
use crate::clients::route::Route;
use crate::domain::AccountKey;

impl GotoClient {
    /// A listing of the Admin API: each page goes on at the last one's `toIndex` + 1, all name the same total.
    pub(super) async fn admin_pages<T: DeserializeOwned + Send, R: Send>(
        &self,
        route: Route,
        path: &[&str],
        filter: Option<&str>,
        map: &mut (dyn FnMut(T) -> Option<R> + Send),
    ) -> Result<Complete<R>, Incomplete> {
        let mut pages = Collector::new(map);
        let ended = async {
            loop {
                let offset = pages.arrived().to_string();
                let mut query = vec![("pageSize", ADMIN_PAGE), ("offset", offset.as_str())];
                query.extend(filter.map(|filter| ("filter", filter)));
                let page: AdminPage<T> = self.channel.json(&Call::get(route, &self.admin, path, &query)).await?;
                if admin_page(&mut pages, page)? {
                    return pages.finish();
                }
            }
        };
        listed(route, ended.await)
    }

    /// A listing of `api.goto.com`: the page without a marker is the last.
    pub(super) async fn marker_pages<T: DeserializeOwned + Send, R: Send>(
        &self,
        route: Route,
        path: &[&str],
        account: &AccountKey,
        page_size: Option<&str>,
        map: &mut (dyn FnMut(T) -> Option<R> + Send),
    ) -> Result<Complete<R>, Incomplete> {
        let mut pages = Collector::new(map);
        let mut marker: Option<String> = None;
        let ended = async {
            loop {
                let mut query = vec![("accountKey", account.as_str())];
                query.extend(page_size.map(|size| ("pageSize", size)));
                query.extend(marker.as_deref().map(|marker| ("pageMarker", marker)));
                let page: MarkerPage<T> = self.channel.json(&Call::get(route, &self.api, path, &query)).await?;
                pages.page(page.items)?;
                let Some(next) = page.next_page_marker else { return pages.finish() };
                pages.follow(&next)?;
                marker = Some(next);
            }
        };
        listed(route, ended.await)
    }
}

/// Takes a page in; true: it was the last.
fn admin_page<T, R>(pages: &mut Collector<'_, T, R>, page: AdminPage<T>) -> Result<bool, IncompleteCause> {
    let AdminPage { results, from_index, to_index, total } = page;
    pages.expect_total(total)?;
    if results.is_empty() {
        return if pages.arrived() >= total { Ok(true) } else { Err(IncompleteCause::PageDidNotAdvance) };
    }
    if from_index != pages.arrived() || to_index < from_index {
        return Err(IncompleteCause::PageDidNotAdvance);
    }
    if results.len() as u64 != to_index - from_index + 1 {
        return Err(IncompleteCause::Truncated);
    }
    pages.page(results)?;
    Ok(pages.arrived() >= total)
}

/// `email eq "…"`; an address that could end the quoted text is not sent.
pub(super) fn email_filter(route: Route, email: &str) -> Result<String, ApiError> {
    if email.chars().any(|char| char.is_control() || matches!(char, '"' | '\\')) {
        return Err(ApiError::InvalidInput { route, why: "the address holds a quotation mark or a control character" });
    }
    Ok(format!("email eq \"{email}\""))
}
