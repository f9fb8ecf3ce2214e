//! Base URLs. They change by flags only, for the simulator; the connector's comes from an account and is checked.

use std::fmt;

use url::{Host, Url};

/// Base URLs of the vendors, each without a slash at its end.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// GoTo's authorization server; `/oauth/token` follows.
    pub goto_auth: Url,
    /// GoTo's Admin API with its path, `…/admin/rest/v1`.
    pub goto_admin: Url,
    /// GoTo Connect; `/users/v1` and `/voice-admin/v1` follow.
    pub goto_api: Url,
    /// Entra; `/{tenant}/oauth2/v2.0/token` follows.
    pub entra: Url,
    /// Microsoft Graph; `/v1.0` follows, and `{graph}/.default` is the scope of its tokens.
    pub graph: Url,
}

/// The production values of [`Endpoints`], for the defaults of flags.
pub mod production {
    /// See [`super::Endpoints::goto_auth`].
    pub const GOTO_AUTH: &str = "https://authentication.logmeininc.com";
    /// See [`super::Endpoints::goto_admin`].
    pub const GOTO_ADMIN: &str = "https://api.getgo.com/admin/rest/v1";
    /// See [`super::Endpoints::goto_api`].
    pub const GOTO_API: &str = "https://api.goto.com";
    /// See [`super::Endpoints::entra`].
    pub const ENTRA: &str = "https://login.microsoftonline.com";
    /// See [`super::Endpoints::graph`].
    pub const GRAPH: &str = "https://graph.microsoft.com";
}

/// Why a URL is not taken as a base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not a URL with a host.
    #[error("not a URL with a host")]
    NotAUrl,
    /// `http`, and the host is not this machine.
    #[error("must begin with https://")]
    NotHttps,
    /// User name or password, query or fragment.
    #[error("must have no user name, password, query or fragment")]
    Decorated,
    /// A host that GoTo has switched off.
    #[error("GoTo has retired this address; use {0}")]
    Retired(&'static str),
    /// The connector's host is not on the list that the operator's flags set.
    #[error("the host {0} is not on the operator's list of connector hosts")]
    HostNotAllowed(String),
}

impl Endpoints {
    /// The vendors' own addresses.
    pub fn production() -> Result<Self, InvalidEndpoint> {
        Ok(Self {
            goto_auth: base_url(production::GOTO_AUTH)?,
            goto_admin: base_url(production::GOTO_ADMIN)?,
            goto_api: base_url(production::GOTO_API)?,
            entra: base_url(production::ENTRA)?,
            graph: base_url(production::GRAPH)?,
        })
    }
}

/// Checks a base URL of GoTo or Microsoft: https (http on this machine only), nothing but host and path, not retired.
pub fn base_url(text: &str) -> Result<Url, InvalidEndpoint> {
    let url = plain_url(text)?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(InvalidEndpoint::NotHttps);
    }
    match url.host_str() {
        Some("api.jive.com") => Err(InvalidEndpoint::Retired(production::GOTO_API)),
        Some("api.getgo.com") if url.path().starts_with("/oauth") => {
            Err(InvalidEndpoint::Retired(production::GOTO_AUTH))
        }
        _ => Ok(url),
    }
}

/// A connector's base URL that passed [`connector_endpoint`].
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectorEndpoint(Url);

impl ConnectorEndpoint {
    /// For tests against a server without TLS.
    #[cfg(test)]
    pub(crate) fn unchecked(url: Url) -> Self {
        Self(url)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ConnectorEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectorEndpoint({})", self.0)
    }
}

/// Checks the `endpoint` of an account: https only, and the host, or `host:port`, is one of `allowed_hosts`.
pub fn connector_endpoint(text: &str, allowed_hosts: &[String]) -> Result<ConnectorEndpoint, InvalidEndpoint> {
    let url = plain_url(text)?;
    if url.scheme() != "https" {
        return Err(InvalidEndpoint::NotHttps);
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let listed = |entry: &String| entry.eq_ignore_ascii_case(&host) || entry.eq_ignore_ascii_case(&with_port);
    if allowed_hosts.iter().any(listed) {
        Ok(ConnectorEndpoint(url))
    } else {
        Err(InvalidEndpoint::HostNotAllowed(host))
    }
}

fn plain_url(text: &str) -> Result<Url, InvalidEndpoint> {
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| InvalidEndpoint::NotAUrl)?;
    if url.cannot_be_a_base() || url.host().is_none() {
        return Err(InvalidEndpoint::NotAUrl);
    }
    let decorated = !url.username().is_empty() || url.password().is_some();
    if decorated || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidEndpoint::Decorated);
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_production_addresses_pass_their_own_check() {
        assert_eq!(Endpoints::production().unwrap().goto_admin.as_str(), production::GOTO_ADMIN);
    }

    #[test]
    fn retired_addresses_of_goto_are_refused() {
        for text in ["https://api.jive.com", "https://api.jive.com/users/v1", "https://api.getgo.com/oauth/v2"] {
            assert!(matches!(base_url(text), Err(InvalidEndpoint::Retired(_))), "{text}");
        }
    }

    #[test]
    fn http_is_for_this_machine_only() {
        assert_eq!(base_url("http://graph.microsoft.com"), Err(InvalidEndpoint::NotHttps));
        assert!(base_url("http://127.0.0.1:4001/admin/rest/v1/").is_ok());
        assert_eq!(base_url("ftp://127.0.0.1"), Err(InvalidEndpoint::NotHttps));
    }

    #[test]
    fn user_names_and_queries_are_refused() {
        for text in ["https://a:b@x.example", "https://x.example/?q=1", "https://x.example/#f"] {
            assert_eq!(base_url(text), Err(InvalidEndpoint::Decorated), "{text}");
        }
        assert_eq!(base_url("x.example"), Err(InvalidEndpoint::NotAUrl));
    }

    /// S10: https, and a host on the list.
    #[test]
    fn a_connector_needs_https_and_a_listed_host() {
        let allowed = ["connector.example.test".to_owned(), "127.0.0.1:4443".to_owned()];
        assert!(connector_endpoint("https://Connector.example.test/v1/", &allowed).is_ok());
        assert!(connector_endpoint("https://127.0.0.1:4443/v1", &allowed).is_ok());
        for text in ["https://evil.example/v1", "https://127.0.0.1:4444", "https://connector.example.test.evil.example"]
        {
            assert!(matches!(connector_endpoint(text, &allowed), Err(InvalidEndpoint::HostNotAllowed(_))), "{text}");
        }
        assert_eq!(connector_endpoint("http://127.0.0.1:4443", &allowed), Err(InvalidEndpoint::NotHttps));
    }
}
