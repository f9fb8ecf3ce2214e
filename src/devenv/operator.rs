//! The operator as a process beside the cluster: the arguments and environment of the rendered Deployment, and the token
//! of its ServiceAccount.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use super::chart::RenderedOperator;
use super::process::Process;
use super::proxy::OnKill;

/// How long the operator may take from its start to `/readyz`.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A way to start the operator again and again, with the same log. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Operator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    binary: PathBuf,
    rendered: RenderedOperator,
    kubeconfig: PathBuf,
    log: PathBuf,
    process: Mutex<Option<Arc<Process>>>,
}

impl Operator {
    /// Nothing is started yet.
    pub fn new(binary: PathBuf, rendered: RenderedOperator, kubeconfig: PathBuf, log: &Path) -> Self {
        Self(Arc::new(Shared { binary, rendered, kubeconfig, log: log.to_owned(), process: Mutex::default() }))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.0.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it with exactly what the Deployment says, plus `KUBECONFIG`; one that still runs is killed first.
    pub async fn start(&self) -> anyhow::Result<Arc<Process>> {
        let old = self.slot().take();
        if let Some(old) = old {
            old.kill().await?;
        }
        let Shared { binary, rendered, kubeconfig, log, .. } = &*self.0;
        let mut command = Command::new(binary);
        command.args(&rendered.args).env_clear().envs(&rendered.env).env("KUBECONFIG", kubeconfig);
        let process = Arc::new(Process::spawn("teams-connector-operator", command, log)?);
        *self.slot() = Some(Arc::clone(&process));
        Ok(process)
    }

    /// Starts it and returns once `/readyz` answers 200.
    pub async fn start_ready(&self) -> anyhow::Result<()> {
        let readyz = format!("{}/readyz", self.url()?);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let process = self.start().await?;
        let ready = async || http.get(&readyz).send().await.ok().filter(|answer| answer.status().is_success());
        process.until(READY_WITHIN, ready).await.map(drop)
    }

    /// The running or ended process.
    pub fn process(&self) -> anyhow::Result<Arc<Process>> {
        self.slot().clone().context("the operator was not started")
    }

    /// What a proxy calls to kill it.
    pub fn killer(&self) -> OnKill {
        let operator = self.clone();
        Arc::new(move |_| {
            let operator = operator.clone();
            Box::pin(async move {
                // One that is not running is dead enough.
                drop(operator.kill().await);
            })
        })
    }

    /// SIGKILL.
    pub async fn kill(&self) -> anyhow::Result<ExitStatus> {
        self.process()?.kill().await
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&self) -> anyhow::Result<ExitStatus> {
        self.process()?.terminate().await
    }

    /// Everything it has logged, over all its starts.
    pub fn logs(&self) -> anyhow::Result<String> {
        let log = &self.0.log;
        std::fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))
    }

    /// `/metrics` as it is now.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(http.get(format!("{}/metrics", self.url()?)).send().await?.error_for_status()?.text().await?)
    }

    /// What it was rendered to.
    pub fn rendered(&self) -> &RenderedOperator {
        &self.0.rendered
    }

    /// Base URL of `/livez`, `/readyz` and `/metrics`, from the rendered `--listen`.
    pub fn url(&self) -> anyhow::Result<String> {
        let listen = self.0.rendered.args.iter().find_map(|argument| argument.strip_prefix("--listen="));
        Ok(format!("http://{}", listen.context("the Deployment does not say where to listen")?))
    }
}
