//! Adoption: users who were in the connector before the policy are taken over, once (R8).
//!
//! **Architecture invariants**
//! - It is decided at the policy's first complete plan and stored on the policy before any run or user: a later edit of
//!   `spec.adoption` takes nobody over, and a crash in the middle of that plan ends the same (R10).
//! - Where the mark is missing but users or runs are known, or where it cannot be read, only who matches is adopted.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedPolicy;
use super::snapshot::ConnectorUser;
use crate::api::Adoption;

/// The value of the annotation `teamsconnector.dev/adopted`: what was decided at the first complete plan, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Whom it took over.
    pub adoption: Adoption,
    /// Time of the plan; a pair that changed later is nobody's but its maker's.
    pub at: Timestamp,
}

impl fmt::Display for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { adoption, at } = self;
        write!(f, "{adoption:?}@{at}")
    }
}

impl FromStr for Adopted {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        let (adoption, at) = value.split_once('@').ok_or(())?;
        let adoption = match adoption {
            "Matched" => Adoption::Matched,
            "All" => Adoption::All,
            _ => return Err(()),
        };
        Ok(Self { adoption, at: at.parse().map_err(drop)? })
    }
}

/// Who may be adopted by this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The mark to be stored with this plan; `None`: there is one.
    pub mark: Option<Adopted>,
    /// Whether pairs whose user matches nobody are adopted too.
    pub all: bool,
    /// When the mark that is stored was made.
    pub marked_at: Option<Timestamp>,
    /// Pairs that changed later are not adopted; `None`: there is nothing yet that is older.
    until: Option<Timestamp>,
}

impl Scope {
    /// `first`: the oldest time that the specs of users and runs tell.
    pub(super) fn of(observed: &ObservedPolicy<'_>, first: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(stored) = observed.adopted else {
            let adoption = if first.is_some() { Adoption::Matched } else { observed.spec.adoption };
            let mark = Adopted { adoption, at: first.unwrap_or(now) };
            return Self { mark: Some(mark), all: adoption == Adoption::All, marked_at: None, until: first };
        };
        let stored: Option<Adopted> = stored.parse().ok();
        let marked_at = stored.map(|stored| stored.at);
        let both = stored.is_some_and(|it| it.adoption == Adoption::All) && observed.spec.adoption == Adoption::All;
        Self { mark: None, all: both, marked_at, until: [first, marked_at].into_iter().flatten().min() }
    }

    /// The connector has pairs with our mark: the policy is not new, whatever became of its objects, so it adopts only who matches.
    pub(super) fn is_known_at_the_connector(&mut self) {
        if let Some(mark) = &mut self.mark {
            mark.adoption = Adoption::Matched;
            self.all = false;
        }
    }

    /// Whether the pair was there before the policy's first complete plan. The time comes from specs and the mark, which survive
    /// a crash in the middle of that plan and a restore: a status decides nothing here.
    pub(super) fn covers(&self, pair: &ConnectorUser) -> bool {
        self.until.is_none_or(|until| pair.updated_at <= until)
    }
}
