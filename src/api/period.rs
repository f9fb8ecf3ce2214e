//! Go durations such as `10m`, as Kubernetes writes them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of business time, written as a Go duration (`90s`, `15m`, `1h30m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// As a signed duration, for arithmetic with timestamps.
    #[must_use]
    pub fn signed(self) -> SignedDuration {
        SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX)
    }
}

/// Why a text is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a duration needs the form 90s, 15m or 1h30m")]
pub struct InvalidPeriod;

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        if text.is_empty() {
            return Err(InvalidPeriod);
        }
        let parsed: kube::core::Duration = text.parse().map_err(|_| InvalidPeriod)?;
        if parsed.is_negative() { Err(InvalidPeriod) } else { Ok(Self(parsed.into())) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        for (value, unit) in [(hours, 'h'), (minutes, 'm')] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        if seconds > 0 || (hours == 0 && minutes == 0) {
            write!(f, "{seconds}s")?;
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 20, "pattern": "^([0-9]+(h|m|s))+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_and_written_as_go_does() {
        for (text, written) in [("90s", "1m30s"), ("10m", "10m"), ("24h", "24h"), ("1h30m", "1h30m"), ("0s", "0s")] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "10", "-5m", "ten minutes"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
