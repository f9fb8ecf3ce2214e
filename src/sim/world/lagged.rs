//! Read-after-write lag.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A value whose readers see the former one until a moment has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lagged<T> {
    /// What is true.
    value: T,
    /// What is still shown, and until when.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    before: Option<Former<T>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Former<T> {
    value: T,
    until: Timestamp,
}

impl<T> Lagged<T> {
    /// A value that everybody sees.
    pub fn settled(value: T) -> Self {
        Self { value, before: None }
    }

    /// What is true.
    pub fn truth(&self) -> &T {
        &self.value
    }

    /// What a reader sees at `now`.
    pub fn read(&self, now: Timestamp) -> &T {
        match &self.before {
            Some(former) if now < former.until => &former.value,
            _ => &self.value,
        }
    }

    /// When every reader sees what is true; absent: already.
    pub fn settles_at(&self) -> Option<Timestamp> {
        self.before.as_ref().map(|former| former.until)
    }

    /// Changes the value at `now`; readers see what they saw until `visible_at`.
    pub fn set(&mut self, value: T, now: Timestamp, visible_at: Timestamp) {
        let old = std::mem::replace(&mut self.value, value);
        let shown = self.before.take().filter(|former| now < former.until).map_or(old, |former| former.value);
        self.before = (now < visible_at).then_some(Former { value: shown, until: visible_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn readers_see_the_former_value_until_the_lag_is_over() {
        let mut value = Lagged::settled(1);
        value.set(2, at(10), at(20));
        assert_eq!((*value.truth(), *value.read(at(19)), *value.read(at(20))), (2, 1, 2));
        value.set(3, at(15), at(30));
        assert_eq!((*value.read(at(29)), *value.read(at(30))), (1, 3));
    }

    #[test]
    fn without_a_lag_a_change_is_seen_at_once() {
        let mut value = Lagged::settled(1);
        value.set(2, at(10), at(10));
        assert_eq!(*value.read(at(10)), 2);
    }
}
