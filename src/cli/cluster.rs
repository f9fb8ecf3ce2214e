//! Which cluster and which namespace a command is about, said as to kubectl.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Somebody sits before it: what takes longer is told.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Cluster and namespace of a command.
#[derive(Args)]
pub(super) struct ClusterOptions {
    /// Path of the kubeconfig; absent: the files that KUBECONFIG names, or ~/.kube/config.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; absent: its current one.
    #[arg(long, value_name = "NAME", env = "TEAMS_CONNECTOR_CONTEXT")]
    context: Option<String>,
    /// Namespace; absent: the one of the context.
    #[arg(short, long, value_name = "NAME", env = "TEAMS_CONNECTOR_NAMESPACE")]
    namespace: Option<String>,
}

/// A cluster and a namespace of it.
pub(super) struct Cluster {
    /// Speaks as the user of the context.
    pub(super) client: Client,
    /// The namespace that was meant.
    pub(super) namespace: String,
}

impl ClusterOptions {
    /// Reads the kubeconfig; the cluster is not asked yet.
    pub(super) async fn open(self) -> anyhow::Result<Cluster> {
        let Self { kubeconfig, context, namespace } = self;
        let mut config = read(kubeconfig, context).await?;
        // A write that is repeated unseen would be refused as the second one.
        config.default_retry = false;
        config.read_timeout = Some(ANSWER_WITHIN);
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Cluster { client, namespace })
    }
}

async fn read(kubeconfig: Option<PathBuf>, context: Option<String>) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(&path).map_err(unusable)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)
        }
        None if options.context.is_some() => Config::from_kubeconfig(&options).await.map_err(unusable),
        // In a pod the ServiceAccount speaks, as with kubectl.
        None => Config::infer().await.map_err(|error| {
            anyhow!("no cluster is configured: name a kubeconfig by --kubeconfig or KUBECONFIG ({error})")
        }),
    }
}

/// Its text names its causes already.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(error: KubeconfigError) -> anyhow::Error {
    anyhow!("the kubeconfig cannot be used: {error}; --kubeconfig, KUBECONFIG and --context say which one")
}
