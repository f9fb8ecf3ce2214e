//! Parts of listings, cut by the key of the last item, so that a list that changes meanwhile is neither repeated nor skipped.

/// Which part of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// Key of the last item that was read; `None`: from the beginning.
    pub after: Option<&'a str>,
    /// Items at most.
    pub take: usize,
    /// How much of the listing exists for this reader.
    pub share: Share,
}

/// How much of a listing a reader is shown: all of it, but for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(100);

    /// This many percent of it.
    #[must_use]
    pub fn percent(percent: u8) -> Self {
        Self(percent.min(100))
    }

    /// How many items of so many, rounded down: the first ones.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        total * usize::from(self.0) / 100
    }
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Number of items of the whole listing.
    pub total: usize,
    /// Key of the last item when more follow.
    pub more_after: Option<String>,
}

impl Cut<'_> {
    /// The beginning of the whole listing.
    #[must_use]
    pub fn first(take: usize) -> Self {
        Self { after: None, take, share: Share::WHOLE }
    }

    /// Cuts entries that come in ascending order of their keys.
    pub(crate) fn ascending<'k, I, T>(
        self,
        total: usize,
        entries: impl Iterator<Item = (&'k str, I)>,
        view: impl Fn(I) -> T,
    ) -> Listed<T> {
        let total = self.share.of(total);
        let fresh = entries.take(total).skip_while(|(key, _)| self.after.is_some_and(|after| *key <= after));
        self.take(total, fresh, view)
    }

    /// Cuts entries that come in descending order of their keys.
    pub(crate) fn descending<'k, I, T>(
        self,
        total: usize,
        entries: impl Iterator<Item = (&'k str, I)>,
        view: impl Fn(I) -> T,
    ) -> Listed<T> {
        let total = self.share.of(total);
        let fresh = entries.take(total).skip_while(|(key, _)| self.after.is_some_and(|after| *key >= after));
        self.take(total, fresh, view)
    }

    fn take<'k, I, T>(
        self,
        total: usize,
        entries: impl Iterator<Item = (&'k str, I)>,
        view: impl Fn(I) -> T,
    ) -> Listed<T> {
        let mut entries = entries.peekable();
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < self.take
            && let Some((key, item)) = entries.next()
        {
            last = Some(key);
            items.push(view(item));
        }
        let more_after = last.filter(|_| entries.peek().is_some()).map(str::to_owned);
        Listed { items, total, more_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(after: Option<&str>) -> Listed<i32> {
        let entries = [("a", 1), ("b", 2), ("c", 3)];
        Cut { after, take: 2, share: Share::WHOLE }.ascending(3, entries.into_iter(), |item| item)
    }

    #[test]
    fn the_parts_of_a_listing_are_the_whole() {
        assert_eq!(part(None), Listed { items: vec![1, 2], total: 3, more_after: Some("b".to_owned()) });
        assert_eq!(part(Some("b")), Listed { items: vec![3], total: 3, more_after: None });
    }

    #[test]
    fn a_key_that_is_gone_still_marks_its_place() {
        assert_eq!(part(Some("aa")).items, [2, 3]);
    }

    #[test]
    fn an_exact_last_part_has_no_successor() {
        assert_eq!(part(Some("a")), Listed { items: vec![2, 3], total: 3, more_after: None });
    }

    /// R4, T31: a list that is 90 % shorter agrees with its own total.
    #[test]
    fn a_share_of_a_listing_is_its_beginning_with_a_total_of_its_own() {
        let entries = || [("a", 1), ("b", 2), ("c", 3)].into_iter();
        let cut = |percent| Cut { share: Share::percent(percent), ..Cut::first(2) };
        assert_eq!(cut(70).ascending(3, entries(), |it| it), Listed { items: vec![1, 2], total: 2, more_after: None });
        assert_eq!(cut(0).ascending(3, entries(), |it| it), Listed { items: vec![], total: 0, more_after: None });
    }
}
