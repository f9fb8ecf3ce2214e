//! Kubeconfig files, and clients made from them.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::tls::Identity;

/// Who a kubeconfig speaks as.
pub enum User<'a> {
    /// A client certificate.
    Certificate(&'a Identity),
    /// A bearer token.
    Token(&'a str),
}

/// An API server and the authority it is verified by.
pub struct Server<'a> {
    /// `https://host:port`.
    pub url: &'a str,
    /// The authority in PEM.
    pub authority: &'a str,
}

/// Writes a kubeconfig with one context (JSON is YAML).
pub fn write(path: &Path, server: &Server<'_>, user: &User<'_>, namespace: &str) -> anyhow::Result<()> {
    let user = match user {
        User::Certificate(identity) => json!({
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }),
        User::Token(token) => json!({ "token": token }),
    };
    let document: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "devenv",
        "clusters": [{"name": "devenv", "cluster": {
            "server": server.url,
            "certificate-authority-data": STANDARD.encode(server.authority),
        }}],
        "users": [{"name": "devenv", "user": user}],
        "contexts": [{"name": "devenv", "context": {"cluster": "devenv", "user": "devenv", "namespace": namespace}}],
    });
    std::fs::write(path, serde_json::to_vec_pretty(&document)?).with_context(|| format!("writing {}", path.display()))
}

/// A client of the cluster and user that a kubeconfig names. It belongs to the current runtime.
pub async fn client(path: &Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(path).with_context(|| format!("reading {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("making a Kubernetes client")
}
