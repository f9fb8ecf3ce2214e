//! Names for calls: method and route template, the same for every object.

/// The API behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upstream {
    /// The Kubernetes API server.
    Kubernetes,
    /// An API of the simulator, by the name that its journal uses.
    Simulator(&'static str),
}

impl Upstream {
    /// `kubernetes`, `connector`, `graph` …
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Simulator(name) => name,
        }
    }

    /// The name of a call: `PATCH teamsconnectorusers/status`, `WATCH usersyncpolicies`, `PUT /v1/accounts/{id}`.
    pub fn route(self, method: &str, path: &str, query: &str) -> String {
        match self {
            Self::Kubernetes => kubernetes(method, path, query),
            Self::Simulator(_) => format!("{method} {}", template(path)),
        }
    }
}

/// `/api/v1/namespaces/x/secrets/y` and its kind. Reads are told apart: GET, LIST and WATCH.
fn kubernetes(method: &str, path: &str, query: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let below = match segments.as_slice() {
        ["api", _version, rest @ ..] | ["apis", _, _version, rest @ ..] if !rest.is_empty() => rest,
        _ => return format!("{method} {path}"),
    };
    let below = match below {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (resource, named) = match below {
        [resource, _name, subresource @ ..] if !subresource.is_empty() => {
            (format!("{resource}/{}", subresource.join("/")), true)
        }
        [resource, _name] => ((*resource).to_owned(), true),
        rest => (rest.concat(), false),
    };
    let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
    let verb = match (method, named) {
        ("GET", _) if watches => "WATCH",
        ("GET", false) => "LIST",
        _ => method,
    };
    format!("{verb} {resource}")
}

/// A path with every identifier replaced by `{id}`.
fn template(path: &str) -> String {
    path.split('/').map(|segment| if is_identifier(segment) { "{id}" } else { segment }).collect::<Vec<_>>().join("/")
}

/// Keys, GUIDs, addresses, and words with a number in them; versions such as `v1.0` are words.
fn is_identifier(segment: &str) -> bool {
    let is_version =
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let has_digit = segment.bytes().any(|byte| byte.is_ascii_digit());
    (has_digit && !is_version) || segment.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T1: a crash point is named by route and ordinal.
    #[test]
    fn calls_to_kubernetes_are_named_by_verb_and_resource() {
        let ours = "/apis/teamsconnector.dev/v1alpha1/namespaces/telephony";
        let cases = [
            ("PATCH", format!("{ours}/teamsconnectorusers/hq-2000/status"), "", "PATCH teamsconnectorusers/status"),
            ("PATCH", format!("{ours}/usersyncruns/hq-1"), "fieldManager=x", "PATCH usersyncruns"),
            ("GET", format!("{ours}/usersyncpolicies"), "limit=500", "LIST usersyncpolicies"),
            ("GET", format!("{ours}/usersyncpolicies"), "watch=true&x=1", "WATCH usersyncpolicies"),
            ("GET", "/api/v1/namespaces/telephony/secrets/goto".to_owned(), "", "GET secrets"),
            ("GET", "/api/v1/namespaces/telephony".to_owned(), "", "GET namespaces"),
            ("POST", "/api/v1/namespaces/t/serviceaccounts/a/token".to_owned(), "", "POST serviceaccounts/token"),
            ("POST", "/apis/events.k8s.io/v1/namespaces/t/events".to_owned(), "", "POST events"),
            ("GET", "/apis/teamsconnector.dev/v1alpha1/usersyncruns".to_owned(), "", "LIST usersyncruns"),
            ("GET", "/version".to_owned(), "", "GET /version"),
        ];
        for (method, path, query, expected) in cases {
            assert_eq!(Upstream::Kubernetes.route(method, &path, query), expected);
        }
    }

    #[test]
    fn calls_to_a_vendor_are_named_by_method_and_template() {
        let connector = Upstream::Simulator("connector");
        let path = "/v1/accounts/1234567890123456789/pbxs/00000000-0000-4000-8000-0000000000ff/users:batch";
        assert_eq!(connector.route("POST", path, ""), "POST /v1/accounts/{id}/pbxs/{id}/users:batch");
        let path = "/v1.0/users/ann@contoso.example/manager";
        assert_eq!(Upstream::Simulator("graph").route("GET", path, "a=b"), "GET /v1.0/users/{id}/manager");
    }
}
