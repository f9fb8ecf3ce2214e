//! `teams-connector-operator`: the command line. Each command is one call into `cli`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::Command;

/// Runs GoTo Connect's Teams Connector from Kubernetes objects.
#[derive(Parser)]
#[command(name = "teams-connector-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cli::execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("teams-connector-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
