//! Complete listings, and why one is not complete. Nothing else in the program can make a [`Complete`].
//!
//! **Invariant (R4, T30):** a listing that failed, was cut short or does not add up never looks like a shorter listing.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::error::{ApiError, Class};
use super::route::Route;

/// No listing of this product is larger.
pub const ITEM_LIMIT: usize = 1_000_000;
/// A listing that has not ended after this many pages never will.
pub const PAGE_LIMIT: usize = 50_000;

/// Every page arrived and the count agreed. Only the listing code can build it.
/// `Debug` tells the number of records only: they may hold personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Complete<T>(Vec<T>);

impl<T> fmt::Debug for Complete<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Complete({} records)", self.0.len())
    }
}

impl<T> Complete<T> {
    /// The records.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.0
    }

    /// The same listing in other words.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Complete<U> {
        Complete(self.0.into_iter().map(change).collect())
    }

    /// The records, to be kept elsewhere.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.0
    }
}

/// A listing that did not come to its end. It says nothing about what exists.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{route}: the listing is incomplete")]
pub struct Incomplete {
    /// Which listing.
    pub route: Route,
    /// Why.
    #[source]
    pub cause: IncompleteCause,
}

/// Why a listing is [`Incomplete`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum IncompleteCause {
    /// A page could not be fetched.
    #[error(transparent)]
    Failed(Box<ApiError>),
    /// A page holds fewer items than it says, or the last page lacks the mark of the end.
    #[error("it was cut short")]
    Truncated,
    /// The number of items is not the total that the API names.
    #[error("{got} items arrived, {expected} were announced")]
    CountMismatch {
        /// The total.
        expected: u64,
        /// Items that arrived.
        got: u64,
    },
    /// The total changed between two pages.
    #[error("the total changed between two pages")]
    TotalChanged,
    /// The next page does not begin where the last one ended.
    #[error("a page does not go on where the last one ended")]
    PageDidNotAdvance,
    /// A page names a next page that was read already.
    #[error("a page leads back to an earlier one")]
    RepeatedMarker,
    /// The page token expired, and again after a restart.
    #[error("the page token expired again after a restart")]
    ExpiredPageToken,
    /// The link to the next page leads to another host.
    #[error("the next page is at another host")]
    ForeignLink,
    /// A record lacks a property that was asked for and that every record has.
    #[error("a record lacks a property that was asked for")]
    PropertyMissing,
    /// More items or pages than any listing has.
    #[error("it has more than {ITEM_LIMIT} items or {PAGE_LIMIT} pages")]
    TooLarge,
}

impl IncompleteCause {
    /// The value of the metric label `cause`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Truncated => "truncated",
            Self::CountMismatch { .. } => "count_mismatch",
            Self::TotalChanged => "total_changed",
            Self::PageDidNotAdvance => "page_did_not_advance",
            Self::RepeatedMarker => "repeated_marker",
            Self::ExpiredPageToken => "expired_page_token",
            Self::ForeignLink => "foreign_link",
            Self::PropertyMissing => "property_missing",
            Self::TooLarge => "too_large",
        }
    }
}

impl Incomplete {
    /// What it means for the caller: that of the failed call, else to read again.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.cause {
            IncompleteCause::Failed(error) => error.class(),
            IncompleteCause::Truncated
            | IncompleteCause::CountMismatch { .. }
            | IncompleteCause::TotalChanged
            | IncompleteCause::PageDidNotAdvance
            | IncompleteCause::RepeatedMarker
            | IncompleteCause::ExpiredPageToken
            | IncompleteCause::ForeignLink
            | IncompleteCause::PropertyMissing
            | IncompleteCause::TooLarge => Class::Retry,
        }
    }
}

impl From<ApiError> for IncompleteCause {
    fn from(error: ApiError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl IncompleteCause {
    /// The failed call, if it was one.
    #[must_use]
    pub fn failure(&self) -> Option<&ApiError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

impl From<ApiError> for Incomplete {
    fn from(error: ApiError) -> Self {
        Self { route: error.route(), cause: IncompleteCause::Failed(Box::new(error)) }
    }
}

/// Takes the pages of one listing in. `R` is the caller's compact record; a page is gone once it is mapped.
pub(crate) struct Collector<'a, T, R> {
    map: &'a mut (dyn FnMut(T) -> Option<R> + Send),
    records: Vec<R>,
    /// Items that arrived, whether the caller keeps them or not.
    arrived: u64,
    pages: usize,
    total: Option<u64>,
    markers: HashSet<u64>,
}

impl<'a, T, R> Collector<'a, T, R> {
    pub(crate) fn new(map: &'a mut (dyn FnMut(T) -> Option<R> + Send)) -> Self {
        Self { map, records: Vec::new(), arrived: 0, pages: 0, total: None, markers: HashSet::new() }
    }

    /// Items that arrived so far.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// The total that each page names must stay the same.
    pub(crate) fn expect_total(&mut self, total: u64) -> Result<(), IncompleteCause> {
        if *self.total.get_or_insert(total) == total { Ok(()) } else { Err(IncompleteCause::TotalChanged) }
    }

    pub(crate) fn page(&mut self, items: Vec<T>) -> Result<(), IncompleteCause> {
        self.pages += 1;
        self.arrived += items.len() as u64;
        if self.arrived > ITEM_LIMIT as u64 || self.pages > PAGE_LIMIT {
            return Err(IncompleteCause::TooLarge);
        }
        self.records.extend(items.into_iter().filter_map(&mut self.map));
        Ok(())
    }

    /// A marker or link that was there before leads in a circle.
    pub(crate) fn follow(&mut self, marker: &str) -> Result<(), IncompleteCause> {
        let mut hasher = DefaultHasher::new();
        marker.hash(&mut hasher);
        if self.markers.insert(hasher.finish()) { Ok(()) } else { Err(IncompleteCause::RepeatedMarker) }
    }

    /// The API has shown the mark of the end; the count must agree where it names a total.
    pub(crate) fn finish(self) -> Result<Complete<R>, IncompleteCause> {
        match self.total {
            Some(expected) if expected != self.arrived => {
                Err(IncompleteCause::CountMismatch { expected, got: self.arrived })
            }
            _ => Ok(Complete(self.records)),
        }
    }
}

/// Names the listing in the error.
pub(crate) fn listed<R>(route: Route, result: Result<R, IncompleteCause>) -> Result<R, Incomplete> {
    result.map_err(|cause| Incomplete { route, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_that_never_ends_is_given_up() {
        let mut keep = Some;
        let mut pages: Collector<'_, u8, u8> = Collector::new(&mut keep);
        let taken = (0..=PAGE_LIMIT).take_while(|_| pages.page(Vec::new()).is_ok()).count();
        assert_eq!(taken, PAGE_LIMIT);
        let mut pages: Collector<'_, u8, u8> = Collector::new(&mut keep);
        assert!(matches!(pages.page(vec![0; ITEM_LIMIT + 1]), Err(IncompleteCause::TooLarge)));
    }

    /// S8.
    #[test]
    fn a_complete_listing_does_not_print_its_records() {
        let mut keep = Some;
        let mut pages = Collector::new(&mut keep);
        pages.page(vec!["ann@example.test"]).unwrap();
        assert_eq!(format!("{:?}", pages.finish().unwrap()), "Complete(1 records)");
    }
}
