//! The chart as the real helm renders it, applied by server-side apply.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, TypeMeta};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource, Scope, oneshot};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use serde_json::Value;
use tokio::process::Command;

use super::programs::{Programs, package};

const RELEASE: &str = "teams-connector-operator";
const FIELD_MANAGER: &str = "devenv";
const CRD: &str = "CustomResourceDefinition";

/// A rendered release: its documents in helm's order.
#[derive(Debug, Clone)]
pub struct Release {
    namespace: String,
    documents: Vec<DynamicObject>,
}

/// What the kubelet would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedOperator {
    /// The container's arguments.
    pub args: Vec<String>,
    /// The container's environment, the downward API's values filled in.
    pub env: BTreeMap<String, String>,
    /// Whose token the Pod gets.
    pub service_account: String,
    /// The namespace of the release.
    pub namespace: String,
}

/// Renders the chart for a namespace with `helm template`.
pub async fn render(programs: &Programs, namespace: &str, values: &Value) -> anyhow::Result<Release> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), serde_json::to_vec(values)?)?;
    let mut command = Command::new(programs.path("helm")?);
    command.args(["template", RELEASE]).arg(package().join("charts/teams-connector-operator"));
    command.args(["--namespace", namespace, "--values"]).arg(file.path()).kill_on_drop(true);
    let output = command.output().await.context("running helm")?;
    ensure!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr).trim());
    Release::parse(namespace, &String::from_utf8(output.stdout)?)
}

/// The documents of a YAML file; empty ones are left out.
pub fn parse(yaml: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("reading YAML documents")?;
    let documents = documents.into_iter().filter(|document| !document.is_null());
    documents.map(|document| serde_json::from_value(document).context("a Kubernetes object")).collect()
}

/// The documents of all YAML files of a folder, by file name.
pub fn parse_folder(folder: &Path) -> anyhow::Result<Vec<DynamicObject>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let read =
        |file: &std::path::PathBuf| parse(&std::fs::read_to_string(file)?).with_context(|| file.display().to_string());
    Ok(files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.concat())
}

impl Release {
    fn parse(namespace: &str, yaml: &str) -> anyhow::Result<Self> {
        Ok(Self { namespace: namespace.to_owned(), documents: parse(yaml)? })
    }

    /// Every document.
    pub fn documents(&self) -> &[DynamicObject] {
        &self.documents
    }

    /// The documents of one kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &DynamicObject> {
        self.documents.iter().filter(move |document| self::kind(document) == kind)
    }

    /// Applies the CRDs, waits until they are established, then applies the rest.
    pub async fn apply(&self, client: &Client) -> anyhow::Result<()> {
        self.apply_crds(client).await?;
        let rest: Vec<_> = self.documents.iter().filter(|document| kind(document) != CRD).cloned().collect();
        apply(client, &rest, &self.namespace).await
    }

    /// Applies the CRDs alone and waits until they are established.
    pub async fn apply_crds(&self, client: &Client) -> anyhow::Result<()> {
        let crds: Vec<_> = self.of_kind(CRD).cloned().collect();
        apply(client, &crds, &self.namespace).await?;
        try_join_all(crds.iter().map(|crd| established(client, crd))).await.map(drop)
    }

    /// What the kubelet would start from the Deployment.
    pub fn operator(&self) -> anyhow::Result<RenderedOperator> {
        let deployment = self.of_kind("Deployment").next().context("the chart renders no Deployment")?;
        let deployment: Deployment = serde_json::from_value(serde_json::to_value(deployment)?)?;
        let name = deployment.metadata.name.context("a Deployment without a name")?;
        let pod = deployment.spec.and_then(|spec| spec.template.spec).context("a Deployment without a Pod")?;
        let [container] = pod.containers.as_slice() else { bail!("the Pod has {} containers", pod.containers.len()) };
        let Container { args, env, command, .. } = container;
        ensure!(command.is_none(), "the image's entry point is not to be replaced");
        let fields = [("metadata.name", format!("{name}-0")), ("metadata.namespace", self.namespace.clone())];
        let env = env.iter().flatten().map(|variable| resolve(variable, &fields)).collect::<anyhow::Result<_>>()?;
        Ok(RenderedOperator {
            args: args.clone().unwrap_or_default(),
            env,
            service_account: pod.service_account_name.context("a Pod without a service account of its own")?,
            namespace: self.namespace.clone(),
        })
    }
}

/// As the kubelet does it, for what the chart uses of it.
fn resolve(variable: &EnvVar, fields: &[(&str, String)]) -> anyhow::Result<(String, String)> {
    let EnvVar { name, value, value_from } = variable;
    let Some(source) = value_from else { return Ok((name.clone(), value.clone().unwrap_or_default())) };
    let path = source.field_ref.as_ref().map(|field| field.field_path.as_str());
    let known = fields.iter().find(|(field, _)| Some(*field) == path);
    let (_, value) = known.with_context(|| format!("the variable {name} has a source that is not known here"))?;
    Ok((name.clone(), value.clone()))
}

fn kind(document: &DynamicObject) -> &str {
    document.types.as_ref().map_or("", |types| types.kind.as_str())
}

/// Server-side apply of documents in their order, then of the next; those without a namespace go to `namespace`.
pub async fn apply(client: &Client, documents: &[DynamicObject], namespace: &str) -> anyhow::Result<()> {
    let mut known = BTreeMap::new();
    for document in documents {
        let types = document.types.clone().context("a document without a kind")?;
        let key = (types.api_version.clone(), types.kind.clone());
        if !known.contains_key(&key) {
            known.insert(key.clone(), discover(client, &types).await?);
        }
        let name = document.metadata.name.clone().context("a document without a name")?;
        let api = api(client, &known[&key], document.metadata.namespace.as_deref().unwrap_or(namespace));
        let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(document)).await;
        applied.with_context(|| format!("applying {} {name}", types.kind))?;
    }
    Ok(())
}

async fn discover(client: &Client, types: &TypeMeta) -> anyhow::Result<(ApiResource, ApiCapabilities)> {
    let kind = GroupVersionKind::try_from(types)?;
    oneshot::pinned_kind(client, &kind).await.with_context(|| format!("the API server does not serve {}", types.kind))
}

fn api(client: &Client, resource: &(ApiResource, ApiCapabilities), namespace: &str) -> Api<DynamicObject> {
    match resource.1.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource.0),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource.0),
    }
}

async fn established(client: &Client, crd: &DynamicObject) -> anyhow::Result<()> {
    let name = crd.metadata.name.as_deref().context("a CRD without a name")?;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let waiting = await_condition(crds, name, conditions::is_crd_established());
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await;
    waited.with_context(|| format!("{name} is not established"))??;
    Ok(())
}
