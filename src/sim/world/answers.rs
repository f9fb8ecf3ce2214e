//! Answers to POSTs, kept for a day under their idempotency key.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::World;
use super::connector::Answer;
use crate::domain::AccountKey;

/// How long the same key returns the first answer, as the contract says.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl World {
    /// The first answer to this route and key, if it is not too old.
    pub fn remembered(&self, account: &AccountKey, route_and_key: &str, now: Timestamp) -> Option<&Answer> {
        let answer = self.connectors.get(account)?.answers.get(route_and_key)?;
        (now.duration_since(answer.at) < KEPT).then_some(answer)
    }

    /// Keeps an answer and drops those that are too old.
    pub fn remember(&mut self, account: &AccountKey, route_and_key: String, answer: Answer) {
        if let Some(connector) = self.connectors.get_mut(account) {
            connector.answers.retain(|_, old| answer.at.duration_since(old.at) < KEPT);
            connector.answers.insert(route_and_key, answer);
        }
    }
}
