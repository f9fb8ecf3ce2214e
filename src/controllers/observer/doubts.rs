//! What the newest complete listing had and the next one lacks may be a page that was lost on the way: most listings have no
//! total. It counts as gone only when two readings in a row lack it. Where each item has an id its own absence is doubted; of the
//! connector's users only that all of them are gone, as the plan compares two readings of them itself.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Mutex, PoisonError};

use crate::domain::OrganizationId;

/// A source, and the PBX that it belongs to if there is one for each.
pub(super) type Name = (&'static str, Option<OrganizationId>);

/// What was missed once, by source. Items are kept as hashes of their ids.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<HashMap<Name, HashSet<u64>>>);

impl Doubts {
    /// Whether all that is missing in `new` was missing in the reading before too; else it is remembered.
    pub(super) fn settled<T, K: Hash>(
        &self,
        source: Name,
        known: Option<&Vec<T>>,
        new: &[T],
        id: impl Fn(&T) -> Option<K>,
    ) -> bool {
        let ids = |items: &[T]| items.iter().filter_map(&id).map(|id| hashed(&id)).collect::<HashSet<_>>();
        let missing = known.map(|known| &ids(known) - &ids(new)).unwrap_or_default();
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = doubts.remove(&source).unwrap_or_default();
        let settled = missing.is_subset(&before);
        if !settled {
            doubts.insert(source, missing);
        }
        settled
    }
}

fn hashed(id: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(doubts: &Doubts, known: &[u8], new: &[u8]) -> bool {
        doubts.settled(("telephoneNumbers", None), Some(&known.to_vec()), new, |item| Some(*item))
    }

    /// R5: two readings in a row must agree; what is new needs no second look.
    #[test]
    fn what_is_missing_once_is_doubted_and_what_is_missing_twice_is_gone() {
        let doubts = Doubts::default();
        assert!(settled(&doubts, &[1, 2], &[1, 2, 3]));
        assert!(!settled(&doubts, &[1, 2, 3], &[1, 2]));
        assert!(settled(&doubts, &[1, 2, 3], &[1, 2]));
    }

    /// R5: a reading that misses something else does not agree, and one that misses nothing ends the doubt.
    #[test]
    fn readings_that_miss_different_items_do_not_agree() {
        let doubts = Doubts::default();
        assert!(!settled(&doubts, &[1, 2, 3], &[1, 2]));
        assert!(!settled(&doubts, &[1, 2, 3], &[2, 3]));
        assert!(settled(&doubts, &[1, 2, 3], &[1, 2, 3]));
        assert!(!settled(&doubts, &[1, 2, 3], &[2, 3]));
    }

    #[test]
    fn the_first_reading_and_another_pbx_are_judged_alone() {
        let doubts = Doubts::default();
        assert!(doubts.settled(("telephoneNumbers", None), None::<&Vec<u8>>, &[], |item| Some(*item)));
        assert!(!settled(&doubts, &[1], &[]));
        let other = ("telephoneNumbers", Some(OrganizationId::from(uuid::Uuid::nil())));
        assert!(!doubts.settled(other, Some(&vec![1]), &[], |item| Some(*item)));
    }
}
