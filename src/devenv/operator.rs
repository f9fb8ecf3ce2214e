//! The operator as a process beside the cluster: the arguments and environment of the rendered Deployment, and the token
//! of its ServiceAccount.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;

use super::chart::RenderedOperator;
use super::process::Process;

/// How long the operator may take from its start to `/readyz`.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A way to start the operator again and again, with the same log.
#[derive(Debug)]
pub struct Operator {
    binary: PathBuf,
    rendered: RenderedOperator,
    kubeconfig: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Operator {
    /// Nothing is started yet.
    pub fn new(binary: PathBuf, rendered: RenderedOperator, kubeconfig: PathBuf, log: &Path) -> Self {
        Self { binary, rendered, kubeconfig, log: log.to_owned(), process: None }
    }

    /// Starts it with exactly what the Deployment says, plus `KUBECONFIG`; one that still runs is killed first.
    pub async fn start(&mut self) -> anyhow::Result<&Process> {
        if let Some(old) = self.process.take() {
            old.kill().await?;
        }
        let mut command = Command::new(&self.binary);
        command.args(&self.rendered.args).env_clear().envs(&self.rendered.env).env("KUBECONFIG", &self.kubeconfig);
        Ok(self.process.insert(Process::spawn("teams-connector-operator", command, &self.log)?))
    }

    /// Starts it and returns once `/readyz` answers 200.
    pub async fn start_ready(&mut self) -> anyhow::Result<()> {
        let readyz = format!("{}/readyz", self.url()?);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let process = self.start().await?;
        let ready = async || http.get(&readyz).send().await.ok().filter(|answer| answer.status().is_success());
        process.until(READY_WITHIN, ready).await.map(drop)
    }

    /// The running or ended process.
    pub fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the operator was not started")
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
        std::fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }

    /// `/metrics` as it is now.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(http.get(format!("{}/metrics", self.url()?)).send().await?.error_for_status()?.text().await?)
    }

    /// What it was rendered to.
    pub fn rendered(&self) -> &RenderedOperator {
        &self.rendered
    }

    /// Base URL of `/livez`, `/readyz` and `/metrics`, from the rendered `--listen`.
    pub fn url(&self) -> anyhow::Result<String> {
        let listen = self.rendered.args.iter().find_map(|argument| argument.strip_prefix("--listen="));
        Ok(format!("http://{}", listen.context("the Deployment does not say where to listen")?))
    }
}
