//! What the API server was asked, by whom: its audit log, one line for each answered request of a service account.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// Written to `--audit-policy-file`: our own service accounts at Metadata level, nothing of the control plane itself.
pub(super) const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
"#;

/// One request that the API server answered. A watch counts once, when it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural, with the subresource where there is one: `teamsconnectorusers/status`.
    pub resource: String,
    /// Empty for cluster-wide requests.
    pub namespace: String,
    /// Empty for lists and creations.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

impl Request {
    /// Whether it was meant to change something, refused or not.
    pub fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: ResponseStatus,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

/// The requests of one service account so far, in the order of their answers. Requests that are no resource (discovery,
/// `/version`) are left out.
pub(super) fn read(log: &Path, namespace: &str, service_account: &str) -> anyhow::Result<Vec<Request>> {
    Ok(requests(lines(&text(log)?, &user(namespace, service_account))?))
}

/// The watches of one service account that have not ended: what each is of.
pub(super) fn open_watches(log: &Path, namespace: &str, service_account: &str) -> anyhow::Result<Vec<String>> {
    Ok(open(lines(&text(log)?, &user(namespace, service_account))?))
}

fn user(namespace: &str, service_account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{service_account}")
}

fn text(log: &Path) -> anyhow::Result<String> {
    let mut text = std::fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    // The last line may be half written.
    text.truncate(text.rfind('\n').unwrap_or(0));
    Ok(text)
}

fn lines(text: &str, user: &str) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| line.contains(user)) {
        let line: Line = serde_json::from_str(line).context("a line of the audit log")?;
        lines.extend((line.user.username == user).then_some(line));
    }
    Ok(lines)
}

fn open(lines: Vec<Line>) -> Vec<String> {
    let mut open = BTreeMap::new();
    for Line { audit_id, stage, verb, object_ref, .. } in lines {
        match (stage.as_str(), object_ref) {
            ("ResponseStarted", Some(object)) if verb == "watch" => drop(open.insert(audit_id, object.resource)),
            _ => drop(open.remove(&audit_id)),
        }
    }
    open.into_values().collect()
}

fn requests(lines: Vec<Line>) -> Vec<Request> {
    let mut seen = BTreeSet::new();
    let mut requests = Vec::new();
    for Line { audit_id, verb, object_ref, response_status, .. } in lines {
        let Some(object) = object_ref else { continue };
        // A long-running request has two stages, both with the same id.
        if !seen.insert(audit_id) {
            continue;
        }
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{}", object.resource, object.subresource);
        let ObjectRef { namespace, name, .. } = object;
        requests.push(Request { verb, resource, namespace, name, code: response_status.code });
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, user: &str, verb: &str, subresource: &str) -> String {
        serde_json::json!({
            "auditID": id, "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
            "objectRef": {"resource": "usersyncpolicies", "namespace": "telephony", "name": "hq", "subresource": subresource},
            "responseStatus": {"code": 200},
        })
        .to_string()
    }

    /// P1, P2, P4: what is counted is exact, whoever else is at work.
    #[test]
    fn requests_are_counted_once_and_for_one_service_account_only() {
        let me = "system:serviceaccount:telephony:operator";
        let text = [
            line("1", me, "patch", "status"),
            line("2", me, "watch", ""),
            line("2", me, "watch", ""),
            line("3", "system:serviceaccount:telephony:operator2", "patch", ""),
            r#"{"auditID":"4","verb":"get","user":{"username":"system:serviceaccount:telephony:operator"}}"#.to_owned(),
        ]
        .join("\n");
        let requests = requests(lines(&text, me).unwrap());
        let short: Vec<_> = requests
            .iter()
            .map(|request| (request.verb.as_str(), request.resource.as_str(), request.writes()))
            .collect();
        assert_eq!(short, [("patch", "usersyncpolicies/status", true), ("watch", "usersyncpolicies", false)]);
    }

    /// P16: a watch that was renewed is one watch.
    #[test]
    fn a_watch_is_open_from_its_first_answer_to_its_last() {
        let me = "system:serviceaccount:telephony:operator";
        let began = |id: &str| line(id, me, "watch", "").replace("ResponseComplete", "ResponseStarted");
        let text = [began("1"), began("2"), line("1", me, "watch", ""), line("3", me, "patch", "status")].join("\n");
        assert_eq!(open(lines(&text, me).unwrap()), ["usersyncpolicies"]);
    }
}
