//! Query strings, strictly: an unknown or repeated parameter is an error, as the contract's `deny_unknown_fields`.

use axum::http::Uri;

/// How a `+` in a query is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// As a space.
    Space,
    /// Not at all: GoTo's Admin API rejects it.
    Rejected,
    /// As itself.
    Literal,
}

/// The parameters of a query.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuery {
    #[error("the parameter {0} is not known")]
    Unknown(String),
    #[error("the parameter {0} is given twice")]
    Twice(String),
    #[error("the query is not well encoded")]
    Encoding,
    #[error("the parameter {0} has no valid value")]
    Value(&'static str),
}

impl Params {
    pub(super) fn parse(uri: &Uri, known: &[&str], plus: Plus) -> Result<Self, BadQuery> {
        let mut params = Self::default();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, Plus::Space)?;
            let value = decode(value, plus)?;
            if !known.contains(&name.as_str()) {
                return Err(BadQuery::Unknown(name));
            }
            if params.get(&name).is_some() {
                return Err(BadQuery::Twice(name));
            }
            params.0.push((name, value));
        }
        Ok(params)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<usize>, BadQuery> {
        self.get(name).map(|text| text.parse().map_err(|_| BadQuery::Value(name))).transpose()
    }
}

fn decode(text: &str, plus: Plus) -> Result<String, BadQuery> {
    let text = match plus {
        Plus::Space => text.replace('+', " "),
        Plus::Rejected if text.contains('+') => return Err(BadQuery::Encoding),
        Plus::Rejected | Plus::Literal => text.to_owned(),
    };
    urlencoding::decode(&text).map(std::borrow::Cow::into_owned).map_err(|_| BadQuery::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, plus: Plus) -> Result<Params, BadQuery> {
        Params::parse(&format!("https://x/y?{query}").parse().unwrap(), &["filter", "$top"], plus)
    }

    #[test]
    fn an_unknown_and_a_repeated_parameter_are_refused() {
        assert_eq!(parse("frob=1", Plus::Space).unwrap_err(), BadQuery::Unknown("frob".to_owned()));
        assert_eq!(parse("%24top=1&$top=2", Plus::Space).unwrap_err(), BadQuery::Twice("$top".to_owned()));
    }

    /// The Admin API rejects `+` for a space and takes `%2B` for a plus.
    #[test]
    fn a_plus_is_a_space_or_refused() {
        assert_eq!(parse("filter=a+b", Plus::Space).unwrap().get("filter"), Some("a b"));
        assert_eq!(parse("filter=a+b", Plus::Rejected).unwrap_err(), BadQuery::Encoding);
        assert_eq!(parse("filter=a%20b%2Bc", Plus::Rejected).unwrap().get("filter"), Some("a b+c"));
    }
}
