//! Whose a pair in the connector is (R8): the one place where that is decided.

use crate::api::Managed;
use crate::domain::EntraObjectId;

/// What tells whose a pair is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// What is stored of the user; `None` without an object.
    pub managed: Managed,
    /// Whether the pair has this policy's id at the connector.
    pub is_marked: bool,
    /// The Microsoft user whom the pair must have; `None`: nobody is known yet.
    pub expected: Option<EntraObjectId>,
    /// The Microsoft user whom it has.
    pub actual: EntraObjectId,
}

/// Whether the policy added the pair or took it over. One that somebody else made in its place, or gave another Microsoft user, is
/// nobody's but theirs.
pub(super) fn of(evidence: Evidence) -> Managed {
    let same = evidence.expected.is_none_or(|id| id == evidence.actual);
    match evidence.managed {
        _ if !same => Managed::None,
        Managed::Adopted => Managed::Adopted,
        Managed::None | Managed::Added if evidence.is_marked => Managed::Added,
        Managed::None | Managed::Added => Managed::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R8: by what is stored, the id at the connector and the Microsoft user.
    #[test]
    fn whose_a_pair_is() {
        use Managed::{Added, Adopted, None as Nobodys};
        let table = [
            (Nobodys, false, Nobodys),
            (Nobodys, true, Added),
            (Added, false, Nobodys),
            (Added, true, Added),
            (Adopted, false, Adopted),
            (Adopted, true, Adopted),
        ];
        let [actual, other] = [1, 2].map(|end| format!("00000000-0000-0000-0000-00000000000{end}").parse().unwrap());
        for (managed, is_marked, whose) in table {
            for (expected, result) in [(None, whose), (Some(actual), whose), (Some(other), Nobodys)] {
                assert_eq!(of(Evidence { managed, is_marked, expected, actual }), result, "{managed:?} {is_marked}");
            }
        }
    }
}
