//! A real control plane on loopback: etcd, kube-apiserver with RBAC and an audit log, kube-controller-manager.
//!
//! There is no scheduler and no kubelet. The controller-manager is there for garbage collection, for the deletion of
//! namespaces and for service accounts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use super::audit;
use super::kubeconfig::{self, Server, User};
use super::process::{Process, free_port};
use super::programs::Programs;
use super::tls::Authority;

/// Called with the name of each step of the start and how long it took.
pub type StepReport<'a> = &'a (dyn Fn(&str, Duration) + Sync);

/// How long a program of the control plane may take to become ready: seconds as a rule, more on a machine that compiles.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// The longest life the API server grants; no test lives as long.
const TOKEN_SECONDS: i64 = 24 * 3600;
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A running control plane. Dropping it ends it; so does the end of this process.
pub struct ControlPlane {
    directory: PathBuf,
    programs: Programs,
    authority: Authority,
    url: String,
    // Dropped in this order: those who depend first.
    _controller_manager: Process,
    _apiserver: Process,
    _etcd: Process,
}

impl ControlPlane {
    /// Finds or builds the programs and starts them; data, keys and logs go to `directory`, which must be empty.
    pub async fn start(directory: &Path, report: StepReport<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut step = Steps::new(report);
        let programs = Programs::resolve().await?;
        step.done("programs");
        let authority = write_keys(directory)?;
        let (etcd, etcd_url) = start_etcd(directory, &programs).await?;
        step.done("etcd");
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        write_kubeconfigs(directory, &authority, &url)?;
        let apiserver = start_apiserver(directory, &programs, &etcd_url, port)?;
        wait_ready(&apiserver, &url, &authority.pem()).await?;
        step.done("kube-apiserver");
        let controller_manager = start_controller_manager(directory, &programs)?;
        step.done("kube-controller-manager");
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            programs,
            authority,
            url,
            _controller_manager: controller_manager,
            _apiserver: apiserver,
            _etcd: etcd,
        })
    }

    /// The programs it was made of; helm is among them.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// `https://127.0.0.1:port` of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority of the API server in PEM.
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// The kubeconfig of a cluster administrator.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }

    /// A new client of the administrator, for the current runtime.
    pub async fn admin(&self) -> anyhow::Result<Client> {
        kubeconfig::client(&self.admin_kubeconfig()).await
    }

    /// A kubeconfig that speaks as a ServiceAccount, with a token from the TokenRequest API.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> anyhow::Result<PathBuf> {
        let server = Server { url: &self.url, authority: &self.authority() };
        self.kubeconfig_through(&server, namespace, service_account).await
    }

    /// The same, but reaching the API server at another address, such as a proxy's.
    pub async fn kubeconfig_through(
        &self,
        server: &Server<'_>,
        namespace: &str,
        service_account: &str,
    ) -> anyhow::Result<PathBuf> {
        let token = self.token(namespace, service_account).await?;
        let port = server.url.rsplit(':').next().unwrap_or_default();
        let path = self.directory.join(format!("{namespace}.{service_account}.{port}.kubeconfig"));
        kubeconfig::write(&path, server, &User::Token(&token), namespace)?;
        Ok(path)
    }

    async fn token(&self, namespace: &str, service_account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let spec = TokenRequestSpec {
            audiences: vec![],
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(service_account, &PostParams::default(), &request).await;
        let answer = answer.with_context(|| format!("a token for {namespace}/{service_account}"))?;
        Ok(answer.status.context("a token request without a status")?.token)
    }

    /// Runs the real kubectl as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::new(self.programs.path("kubectl")?);
        command.args(args).env("KUBECONFIG", self.admin_kubeconfig()).kill_on_drop(true);
        command.output().await.context("running kubectl")
    }

    /// What kubectl prints, which must succeed.
    pub async fn kubectl_stdout(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.kubectl(args).await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), complaint.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The requests of a service account so far, from the API server's audit log.
    pub fn audit(&self, namespace: &str, service_account: &str) -> anyhow::Result<Vec<audit::Request>> {
        audit::read(&self.directory.join("audit.log"), namespace, service_account)
    }

    /// The watches of a service account that are open now, by what they watch.
    pub fn open_watches(&self, namespace: &str, service_account: &str) -> anyhow::Result<Vec<String>> {
        audit::open_watches(&self.directory.join("audit.log"), namespace, service_account)
    }
}

struct Steps<'a> {
    report: StepReport<'a>,
    began: Instant,
}

impl<'a> Steps<'a> {
    fn new(report: StepReport<'a>) -> Self {
        Self { report, began: Instant::now() }
    }

    fn done(&mut self, step: &str) {
        (self.report)(step, self.began.elapsed());
        self.began = Instant::now();
    }
}

fn write_keys(directory: &Path) -> anyhow::Result<Authority> {
    let authority = Authority::new("control plane of the development environment")?;
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
    let serving = authority.server(&names)?;
    let tokens = rcgen::KeyPair::generate()?;
    let files = [
        ("ca.crt", authority.pem()),
        ("apiserver.crt", serving.certificate),
        ("apiserver.key", serving.key),
        ("tokens.key", tokens.serialize_pem()),
        ("tokens.pub", tokens.public_key_pem()),
        ("audit-policy.yaml", audit::POLICY.to_owned()),
        ("audit.log", String::new()),
    ];
    for (name, text) in files {
        std::fs::write(directory.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    Ok(authority)
}

fn write_kubeconfigs(directory: &Path, authority: &Authority, url: &str) -> anyhow::Result<()> {
    let server = Server { url, authority: &authority.pem() };
    let admin = authority.client("devenv-admin", "system:masters")?;
    kubeconfig::write(&directory.join("admin.kubeconfig"), &server, &User::Certificate(&admin), "default")?;
    let manager = authority.client("system:kube-controller-manager", "system:authenticated")?;
    kubeconfig::write(
        &directory.join("controller-manager.kubeconfig"),
        &server,
        &User::Certificate(&manager),
        "kube-system",
    )
}

async fn start_etcd(directory: &Path, programs: &Programs) -> anyhow::Result<(Process, String)> {
    let (clients, peers) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{clients}");
    let peer_url = format!("http://127.0.0.1:{peers}");
    let mut command = Command::new(programs.path("etcd")?);
    command.arg("--data-dir").arg(directory.join("etcd")).arg("--unsafe-no-fsync");
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
    command.arg(format!("--initial-cluster=default={peer_url}")).args(["--log-level", "warn"]);
    let etcd = Process::spawn("etcd", command, &directory.join("etcd.log"))?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let health = format!("{url}/health");
    etcd.until(READY_WITHIN, async || {
        http.get(&health).send().await.ok().filter(|answer| answer.status().is_success())
    })
    .await?;
    Ok((etcd, url))
}

fn start_apiserver(directory: &Path, programs: &Programs, etcd: &str, port: u16) -> anyhow::Result<Process> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", directory.join(name).display());
    let mut command = Command::new(programs.path("kube-apiserver")?);
    command.args([
        format!("--etcd-servers={etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--anonymous-auth=true".to_owned(),
        "--profiling=false".to_owned(),
        format!("--service-account-issuer={ISSUER}"),
        file("service-account-signing-key-file", "tokens.key"),
        file("service-account-key-file", "tokens.pub"),
        file("client-ca-file", "ca.crt"),
        file("tls-cert-file", "apiserver.crt"),
        file("tls-private-key-file", "apiserver.key"),
        file("audit-policy-file", "audit-policy.yaml"),
        file("audit-log-path", "audit.log"),
        // One file, whatever happens: counts are read from it.
        "--audit-log-maxsize=4096".to_owned(),
    ]);
    Process::spawn("kube-apiserver", command, &directory.join("kube-apiserver.log"))
}

async fn wait_ready(apiserver: &Process, url: &str, authority: &str) -> anyhow::Result<()> {
    let trusted = reqwest::Certificate::from_pem(authority.as_bytes())?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build()?;
    let readyz = format!("{url}/readyz");
    let ready = async || http.get(&readyz).send().await.ok().filter(|answer| answer.status().is_success());
    apiserver.until(READY_WITHIN, ready).await.map(drop)
}

fn start_controller_manager(directory: &Path, programs: &Programs) -> anyhow::Result<Process> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", directory.join(name).display());
    let mut command = Command::new(programs.path("kube-controller-manager")?);
    command.args([
        file("kubeconfig", "controller-manager.kubeconfig"),
        file("service-account-private-key-file", "tokens.key"),
        file("root-ca-file", "ca.crt"),
        "--use-service-account-credentials=true".to_owned(),
        "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,\
         serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller"
            .to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    Process::spawn("kube-controller-manager", command, &directory.join("kube-controller-manager.log"))
}
