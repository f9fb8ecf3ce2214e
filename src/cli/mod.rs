//! The commands.

mod cluster;
mod crds;
mod decide;
mod run;

use std::path::PathBuf;

use clap::Subcommand;
use teams_connector_operator::api::Decision;
use teams_connector_operator::settings::Settings;

/// A command of the operator.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the operator until it is told to stop.
    Run(Box<Settings>),
    /// Writes the CustomResourceDefinitions, one file each.
    Crds {
        /// Folder for the files; absent: everything goes to standard output.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Prints a run that waits for a decision, then lets it be carried out.
    Approve(decide::Options),
    /// Prints a run that waits for a decision, then forbids it; it is not proposed again for the same users.
    Deny(decide::Options),
}

/// Executes one command.
///
/// # Errors
/// Whatever keeps the command from its end, as one clear line.
pub(crate) fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(settings) => run::run(*settings),
        Command::Crds { dir } => crds::write(dir.as_deref()),
        Command::Approve(options) => decide::decide(Decision::Approve, options),
        Command::Deny(options) => decide::decide(Decision::Deny, options),
    }
}

/// What every connection of this process is encrypted by.
fn install_tls() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))
}
