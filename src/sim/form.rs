//! Form bodies of the token endpoints, strictly.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The fields of a form.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// `None`: no form, or a field is given twice or not known.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8], known: &[&str]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return None;
        }
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if !known.contains(&name.as_ref()) || fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// User name and password of HTTP Basic; both are form-encoded in them (RFC 6749, 2.3.1).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    let decode = |text: &str| urlencoding::decode(text).map_or_else(|_| text.to_owned(), Into::into);
    Some((decode(name), decode(password)))
}
