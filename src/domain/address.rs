//! E-mail addresses and user principal names, in the one form in which they are compared.

use std::fmt;
use std::str::FromStr;

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address needs the form local@domain")]
pub struct InvalidAddress;

/// An e-mail address or UPN in comparable form: trimmed, Unicode NFC, fully case-folded, domain in ASCII.
/// `+tag` stays significant. `Debug` and `Display` of the original are deliberately absent: addresses are personal data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// The comparable form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain in ASCII form.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(InvalidAddress)?;
        let folded: String = default_case_fold_str(&local.nfc().collect::<String>()).nfc().collect();
        let domain = idna::domain_to_ascii(&domain.nfc().collect::<String>()).map_err(|_| InvalidAddress)?;
        if folded.is_empty() || domain.is_empty() || folded.contains(char::is_whitespace) {
            return Err(InvalidAddress);
        }
        Ok(Self(format!("{folded}@{domain}")))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn case_and_composition_and_domain_form_do_not_matter() {
        assert_eq!(address(" Ann.LEE@Contoso.Example "), address("ann.lee@contoso.example"));
        assert_eq!(address("jose\u{301}@x.example"), address("jos\u{e9}@x.example"));
        assert_eq!(address("STRASSE@x.example"), address("straße@x.example"));
        assert_eq!(address("a@bücher.example"), address("a@xn--bcher-kva.example"));
    }

    #[test]
    fn a_tag_is_significant() {
        assert_ne!(address("ann+pbx@x.example"), address("ann@x.example"));
    }

    #[test]
    fn what_has_no_local_part_or_domain_is_refused() {
        for text in ["", "ann", "@x.example", "ann@", "a b@x.example"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_does_not_print_itself() {
        assert_eq!(format!("{:?}", address("ann@x.example")), "Address(..)");
    }
}
