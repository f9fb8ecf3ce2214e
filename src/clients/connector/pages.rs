//! The connector's paging: by marker, with a total.

use serde::de::DeserializeOwned;

use super::ConnectorClient;
use super::wire::Page;
use crate::clients::listing::{Collector, Complete, Incomplete, listed};
use crate::clients::route::Route;

const PAGE_SIZE: &str = "100";

impl ConnectorClient {
    /// A listing: the page without a marker is the last, and the number of items is the total that each page names.
    pub(super) async fn pages<T: DeserializeOwned + Send, R: Send>(
        &self,
        route: Route,
        path: &[&str],
        query: &[(&str, &str)],
        map: &mut (dyn FnMut(T) -> Option<R> + Send),
    ) -> Result<Complete<R>, Incomplete> {
        let mut pages = Collector::new(map);
        let mut marker: Option<String> = None;
        let ended = async {
            loop {
                let mut query = query.to_vec();
                query.push(("pageSize", PAGE_SIZE));
                query.extend(marker.as_deref().map(|marker| ("pageMarker", marker)));
                let page: Page<T> = self.channel.json(&self.account_get(route, path, &query)).await?;
                pages.expect_total(page.total)?;
                pages.page(page.items)?;
                let Some(next) = page.next_page_marker else { return pages.finish() };
                pages.follow(&next)?;
                marker = Some(next);
            }
        };
        listed(route, ended.await)
    }
}
