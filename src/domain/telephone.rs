//! Telephone numbers and extensions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a telephone number needs E.164 form: + and 8 to 15 digits, the first not 0")]
pub struct InvalidTelephoneNumber;

/// A telephone number in E.164 form, `+` included. Ordered as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// The number with its leading `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for E164 {
    type Err = InvalidTelephoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidTelephoneNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidTelephoneNumber)?;
        let shaped = (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if shaped && !digits.starts_with('0') { Ok(Self(text.to_owned())) } else { Err(InvalidTelephoneNumber) }
    }
}

impl TryFrom<String> for E164 {
    type Error = InvalidTelephoneNumber;

    fn try_from(text: String) -> Result<Self, InvalidTelephoneNumber> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0
    }
}

/// Numbers are personal data: `Debug` shows none of the digits.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("E164(..)")
    }
}

/// The short number of a line inside its PBX, such as `1001`.
pub type Extension = String;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_e164_is_a_telephone_number() {
        assert!("+15555550100".parse::<E164>().is_ok());
        for text in ["15555550100", "+0555555010", "+1555", "+1555555010012345", "tel:+15555550100", "+1 5555550100"] {
            assert!(text.parse::<E164>().is_err(), "{text}");
        }
    }
}
