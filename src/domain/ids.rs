//! Identifiers of GoTo and Microsoft.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {expected}")]
pub struct InvalidId {
    kind: &'static str,
    expected: &'static str,
}

/// Defines an identifier that GoTo writes as a string of digits or as a bare JSON number
/// (19 digits, beyond the exact range of a double), always kept as the string.
macro_rules! digits_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The digits as the vendor writes them.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind, expected: "1 to 20 digits" })
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(DigitsVisitor)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

digits_id!(
    /// A GoTo account (`accountKey` of the Admin API and of users/v1).
    AccountKey,
    "an accountKey"
);
digits_id!(
    /// A GoTo user: `key` of the Admin API, `userKey` of users/v1. It survives every rename.
    UserKey,
    "a user key"
);

/// Accepts a JSON string or an integer; a float would have lost digits already and is refused.
struct DigitsVisitor;

impl Visitor<'_> for DigitsVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key as a string of digits or as an integer")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// Defines an identifier that is a GUID, kept in its lower-case hyphenated form.
macro_rules! guid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { kind: $kind, expected: "a GUID" })
            }
        }
    };
}

guid_id!(
    /// A PBX: `organizationId` in GoTo's APIs ("account" in its prose).
    OrganizationId,
    "an organizationId"
);
guid_id!(
    /// A Microsoft 365 tenant.
    TenantId,
    "a tenant id"
);
guid_id!(
    /// An object of Entra ID: the id of a user, group or service principal.
    EntraObjectId,
    "an Entra object id"
);

#[cfg(test)]
mod tests {
    use super::*;

    /// A key beyond 2^53 keeps every digit, as a string and as a number.
    #[test]
    fn a_nineteen_digit_key_keeps_its_digits() {
        for json in ["\"1234567890123456789\"", "1234567890123456789"] {
            let key: AccountKey = serde_json::from_str(json).unwrap();
            assert_eq!(key.as_str(), "1234567890123456789");
        }
    }

    #[test]
    fn a_key_in_scientific_notation_is_refused() {
        assert!(serde_json::from_str::<AccountKey>("1.2345e18").is_err());
        assert!("12a".parse::<UserKey>().is_err());
        assert!("".parse::<UserKey>().is_err());
    }

    #[test]
    fn a_guid_is_kept_in_lower_case() {
        let id: TenantId = "11111111-AAAA-4111-8111-111111111111".parse().unwrap();
        assert_eq!(id.to_string(), "11111111-aaaa-4111-8111-111111111111");
    }
}
