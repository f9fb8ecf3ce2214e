//! What the real binary needs for a first synchronization and after it (P4, P5, P6), against a real control plane and the
//! simulator, hostile, its clock jumping, its humans clicking by themselves.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;
use teams_connector_operator::devenv::chart;
use teams_connector_operator::devenv::control_plane::ControlPlane;
use teams_connector_operator::devenv::environment::{Environment, Setup};
use teams_connector_operator::devenv::objects::{self, condition};

/// A first synchronization may take so long.
const PATIENCE: Duration = Duration::from_mins(30);

struct Row {
    users: u32,
    idle: u64,
    peak: u64,
    restarted: u64,
    seconds: u64,
    cpu: f64,
    writes: usize,
    calls: usize,
    passes: u64,
}

/// Prints a line for each number of users, and what one user more costs.
pub(crate) async fn table(sizes: &[u32]) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let plane = ControlPlane::start(&directory.path().join("control-plane"), &|_, _| ()).await?;
    let client = plane.admin().await?;
    chart::render(plane.programs(), "default", &json!({})).await?.apply_crds(&client).await?;
    println!("First synchronization; RSS in MiB: with no object, at its peak, after a restart with all objects");
    println!("users    idle   peak  after    seconds  CPU ms/user  writes/user  external calls  passes");
    let mut rows = Vec::new();
    for &users in sizes {
        let row = measure(&plane, &client, users, directory.path()).await?;
        let each = f64::from(users);
        println!(
            "{users:<7}{:>6.1} {:>6.1} {:>6.1} {:>10} {:>12.2} {:>12.3} {:>15} {:>7}",
            mebibytes(row.idle),
            mebibytes(row.peak),
            mebibytes(row.restarted),
            row.seconds,
            row.cpu * 1e3 / each,
            as_f64(row.writes) / each,
            row.calls,
            row.passes,
        );
        rows.push(row);
    }
    if let [first, .., last] = rows.as_slice() {
        let between = f64::from(last.users - first.users);
        let kibibytes = |of: fn(&Row) -> u64| (mebibytes(of(last)) - mebibytes(of(first))) * 1024.0 / between;
        println!(
            "one user more: {:.1} KiB after a restart, {:.1} KiB at the peak",
            kibibytes(|row| row.restarted),
            kibibytes(|row| row.peak)
        );
    }
    Ok(())
}

async fn measure(plane: &ControlPlane, client: &Client, users: u32, directory: &Path) -> anyhow::Result<Row> {
    let namespace = format!("bench-{users}");
    let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
    let object = Namespace { metadata, ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &object).await?;
    let mut setup = Setup::new(&namespace, &directory.join(&namespace));
    let flags = ["--users", &users.to_string(), "--unmatched", "5", "--clock", "jump", "--humans", "auto:5s"];
    setup.simulator = flags.map(str::to_owned).to_vec();
    let environment = Environment::prepare(plane, setup).await?;
    environment.operator().start_ready().await?;
    let idle = memory(&environment, "VmRSS")?;
    let began = Instant::now();
    environment.apply(&environment.samples()?).await?;
    ready(&environment).await?;
    let (seconds, peak, cpu) = (began.elapsed().as_secs(), memory(&environment, "VmHWM")?, cpu(&environment)?);
    let journal = environment.simulator().control().journal("").await?;
    let writes = environment.audit(plane)?.iter().filter(|request| request.writes()).count();
    let (passes, _) = counted(&environment).await?;
    let restarted = restart(&environment).await?;
    environment.operator().terminate().await?;
    let calls = journal["calls"].as_array().map_or(0, Vec::len);
    Ok(Row { users, idle, peak, restarted, seconds, cpu, writes, calls, passes })
}

/// The memory of a new process that has read everything once and found nothing to do.
async fn restart(environment: &Environment) -> anyhow::Result<u64> {
    environment.operator().start_ready().await?;
    loop {
        let (passes, readings) = counted(environment).await?;
        if passes >= 2 && readings >= 2 {
            return memory(environment, "VmRSS");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn ready(environment: &Environment) -> anyhow::Result<()> {
    let api = objects::api(environment.client(), environment.namespace(), "usp")?;
    objects::wait(&api, "everybody is connected", PATIENCE, |policies| {
        policies.values().any(|policy| condition(policy, "Ready") == Some("True")).then_some(())
    })
    .await
}

/// Passes of policies, and readings of everything.
async fn counted(environment: &Environment) -> anyhow::Result<(u64, u64)> {
    let page = environment.operator().metrics().await?;
    let sum = |name: &str, label: &str| -> u64 {
        let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    Ok((sum("teams_connector_reconcile_total{", "UserSyncPolicy"), sum("teams_connector_readings_total{", "full")))
}

/// A line of `/proc/<pid>/status`, in bytes.
fn memory(environment: &Environment, line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", environment.operator().process()?.pid()))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes: u64 =
        found.and_then(|text| text.split_whitespace().next()).context("the memory of a process")?.parse()?;
    Ok(kibibytes * 1024)
}

/// Seconds of CPU so far; a tick is a hundredth of a second on Linux.
fn cpu(environment: &Environment) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", environment.operator().process()?.pid()))?;
    let (_, fields) = stat.rsplit_once(") ").context("the statistics of a process")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
