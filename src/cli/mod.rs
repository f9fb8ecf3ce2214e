//! The commands.

mod crds;
mod run;

use std::path::PathBuf;

use clap::Subcommand;
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
}

/// Executes one command.
///
/// # Errors
/// Whatever keeps the command from its end, as one clear line.
pub(crate) fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(settings) => run::run(*settings),
        Command::Crds { dir } => crds::write(dir.as_deref()),
    }
}
