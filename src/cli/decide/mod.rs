//! `approve` and `deny`: the run is printed whole, then its decision is set. Nothing else of it is ever written.

mod decidable;
mod people;
mod runs;
mod size;
mod text;
mod user;

use std::io::Write as _;

use clap::Args;
use teams_connector_operator::api::Decision;

use super::cluster::ClusterOptions;
use runs::Runs;

/// What a decision needs.
#[derive(Args)]
pub(crate) struct Options {
    /// Name of the run, as `kubectl get usersyncruns` lists it.
    #[arg(value_parser = name)]
    run: String,
    /// Number of actions of the run, instead of typing it. Needed for a Disconnect without a terminal.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Who decides; absent: the user that the API server sees.
    #[arg(long, value_name = "NAME", value_parser = decider)]
    by: Option<String>,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Prints a run and decides it.
pub(super) fn decide(decision: Decision, options: Options) -> anyhow::Result<()> {
    super::install_tls()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(look_and_decide(decision, options))
}

async fn look_and_decide(decision: Decision, options: Options) -> anyhow::Result<()> {
    let Options { run: name, count, by, cluster } = options;
    let cluster = cluster.open().await?;
    let runs = Runs::new(&cluster);
    let run = runs.read(&name).await?;
    decidable::check(&run)?;
    let by = match by {
        Some(by) => by,
        None => user::name(&cluster).await?,
    };
    let people = people::of(&cluster, &run).await;
    write!(std::io::stdout(), "{}", text::whole(&run, &people))?;
    size::confirm(&run.spec, decision, count)?;
    runs.record(&run, decision, &by).await?;
    writeln!(std::io::stdout(), "\n{name}: {} by {}", past(decision), text::plain(&by))?;
    Ok(())
}

/// `kubectl get -o name` prints the kind before it.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
fn name(text: &str) -> Result<String, String> {
    Ok(text.rsplit('/').next().unwrap_or(text).to_owned())
}

fn decider(text: &str) -> Result<String, String> {
    match text.len() {
        1..=320 => Ok(text.to_owned()),
        _ => Err("a name has 1 to 320 characters".to_owned()),
    }
}

fn past(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approved",
        Decision::Deny => "denied",
    }
}
