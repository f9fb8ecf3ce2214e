//! `teams-connector-sim`: GoTo, Microsoft and the connector in one process, for tests, demonstrations and development.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use serde_json::json;
use teams_connector_operator::sim::clock::Mode;
use teams_connector_operator::sim::world::{GenerateOptions, Humans, World};
use teams_connector_operator::sim::{Sim, SimConfig};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(name = "teams-connector-sim", version, about)]
struct Arguments {
    /// World file (YAML or JSON).
    #[arg(long, conflicts_with_all = ["demo", "users"])]
    world: Option<PathBuf>,
    /// The demo world: six users, two licenses. This is the default.
    #[arg(long, conflicts_with = "users")]
    demo: bool,
    /// The untouched world: two PBXs and a tenant, nothing set up.
    #[arg(long, conflicts_with_all = ["demo", "users", "world"])]
    untouched: bool,
    /// A generated world with so many users.
    #[arg(long)]
    users: Option<u32>,
    /// Connector licenses of a generated world; as many as users if absent.
    #[arg(long, requires = "users")]
    licenses: Option<u32>,
    /// Percent of the users of a generated world whom the tenant does not know.
    #[arg(long, requires = "users", default_value_t = 0)]
    unmatched: u32,
    /// Seed of generated worlds and of the misbehavior.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No misbehavior and no read-after-write lag.
    #[arg(long)]
    calm: bool,
    /// How virtual time moves.
    #[arg(long, value_enum, default_value = "auto")]
    clock: ClockMode,
    /// Virtual seconds for each real second with `--clock auto`.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// `manual`, or `auto:5s`: every human does what a link asks for after that business time. Absent: as the world says.
    #[arg(long, value_parser = humans)]
    humans: Option<Humans>,
    /// Address of the APIs; the control port is always on loopback.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// First of seven ports in a row; whatever is free if absent.
    #[arg(long)]
    port_base: Option<u16>,
    /// Directory for `ca.pem` and `endpoints.json`; a temporary one if absent.
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClockMode {
    Auto,
    Explicit,
    Jump,
}

fn humans(text: &str) -> Result<Humans, String> {
    if text == "manual" {
        return Ok(Humans::Manual);
    }
    let seconds = text.strip_prefix("auto:").map(|wait| wait.trim_end_matches('s').parse());
    match seconds {
        Some(Ok(after_seconds)) => Ok(Humans::Auto { after_seconds }),
        _ => Err("expected manual or auto:<seconds>s".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let directory = arguments.state_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let sim = Sim::start(config(&arguments)?).await?;
    announce(&sim, &directory)?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for SIGINT")?,
    }
    drop(sim);
    Ok(())
}

fn config(arguments: &Arguments) -> anyhow::Result<SimConfig> {
    let mut world = world(arguments)?;
    if let Some(humans) = arguments.humans {
        world.settings.humans = humans;
    }
    let clock = match arguments.clock {
        ClockMode::Auto if arguments.speed.is_finite() && arguments.speed > 0.0 => {
            Mode::Auto { speed: arguments.speed }
        }
        ClockMode::Auto => bail!("--speed must be above 0"),
        ClockMode::Explicit => Mode::Explicit,
        ClockMode::Jump => Mode::Jump,
    };
    Ok(SimConfig {
        world,
        seed: arguments.seed,
        calm: arguments.calm,
        clock,
        listen: arguments.listen,
        port_base: arguments.port_base,
        ..SimConfig::default()
    })
}

fn world(arguments: &Arguments) -> anyhow::Result<World> {
    if let Some(file) = &arguments.world {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        return serde_saphyr::from_str(&text).with_context(|| format!("the world of {}", file.display()));
    }
    if arguments.untouched {
        return Ok(World::untouched()?);
    }
    let Some(users) = arguments.users else { return Ok(World::demo()?) };
    let options = GenerateOptions {
        users,
        licenses: arguments.licenses.unwrap_or(users),
        unmatched_percent: arguments.unmatched,
        seed: arguments.seed,
    };
    Ok(World::generated(&options)?)
}

/// Writes the files first: whoever reads the line finds them.
fn announce(sim: &Sim, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let ca_file = directory.join("ca.pem");
    std::fs::write(&ca_file, sim.ca_pem()).context("writing ca.pem")?;
    let line = json!({"endpoints": sim.endpoints(), "caFile": ca_file, "control": sim.endpoints().control, "seed": sim.seed()});
    std::fs::write(directory.join("endpoints.json"), line.to_string()).context("writing endpoints.json")?;
    writeln!(std::io::stdout(), "{line}").context("announcing the endpoints")
}
