//! Parts of listings, cut by the key of the last item, so that a list that changes meanwhile is neither repeated nor skipped.

/// Which part of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// Key of the last item that was read; `None`: from the beginning.
    pub after: Option<&'a str>,
    /// Items at most.
    pub take: usize,
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
    /// Cuts entries that come in ascending order of their keys.
    pub(crate) fn ascending<'k, I, T>(
        self,
        total: usize,
        entries: impl Iterator<Item = (&'k str, I)>,
        view: impl Fn(I) -> T,
    ) -> Listed<T> {
        let fresh = entries.skip_while(|(key, _)| self.after.is_some_and(|after| *key <= after));
        self.take(total, fresh, view)
    }

    /// Cuts entries that come in descending order of their keys.
    pub(crate) fn descending<'k, I, T>(
        self,
        total: usize,
        entries: impl Iterator<Item = (&'k str, I)>,
        view: impl Fn(I) -> T,
    ) -> Listed<T> {
        let fresh = entries.skip_while(|(key, _)| self.after.is_some_and(|after| *key >= after));
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
        Cut { after, take: 2 }.ascending(3, entries.into_iter(), |item| item)
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
}
