//! What a look at one part of the set-up finds.

use crate::api::{Actor, Reason};
use crate::plan::observed::Problem;

/// What one look finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds, by the newest complete values.
    Holds,
    /// It does not.
    Unmet(Finding),
    /// Not read completely yet.
    Unread,
}

/// Why a part of the set-up does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) reason: Reason,
    /// What was found, in sentences, without personal data and without a time that moves.
    pub(super) detail: String,
    /// Who acts, where it is not whom the table names.
    pub(super) actor: Option<Actor>,
}

impl Verdict {
    pub(super) fn unmet(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Unmet(Finding { reason, detail: detail.into(), actor: None })
    }

    /// Holds or not, with what is found otherwise.
    pub(super) fn require(holds: bool, reason: Reason, detail: impl FnOnce() -> String) -> Self {
        if holds { Self::Holds } else { Self::unmet(reason, detail()) }
    }

    /// The first that does not hold; others of the same reason add what they found.
    pub(super) fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut unread = false;
        let mut first: Option<Finding> = None;
        for verdict in verdicts {
            match (verdict, &mut first) {
                (Self::Unread, _) => unread = true,
                (Self::Unmet(finding), None) => first = Some(finding),
                (Self::Unmet(finding), Some(known)) if known.reason == finding.reason => {
                    known.detail = format!("{} {}", known.detail, finding.detail);
                }
                (Self::Holds | Self::Unmet(_), _) => {}
            }
        }
        match first {
            Some(finding) => Self::Unmet(finding),
            None if unread => Self::Unread,
            None => Self::Holds,
        }
    }
}

impl Finding {
    pub(super) fn problem(&self) -> Problem {
        problem(self.reason, &self.detail, self.actor)
    }

    pub(super) fn actor(&self) -> Option<Actor> {
        self.actor.or(self.reason.info().actor)
    }
}

/// What was found, and from the table what to do next and who does it.
pub(super) fn problem(reason: Reason, detail: &str, actor: Option<Actor>) -> Problem {
    let info = reason.info();
    let message = match actor.or(info.actor) {
        Some(actor) => format!("{detail} {actor}: {}", info.next),
        None if info.next.starts_with("Nothing") => detail.to_owned(),
        None => format!("{detail} {}", info.next),
    };
    Problem { reason, message }
}
