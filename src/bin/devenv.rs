//! The development environment on the command line: `devenv demo`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use teams_connector_operator::devenv::demo::{self, Options};

#[derive(Debug, Parser)]
#[command(name = "devenv", about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connects the users of the simulator's demo world, on a real control plane.
    Demo {
        /// Leave everything running at the end until Ctrl-C, and print how to reach it.
        #[arg(long)]
        keep: bool,
        /// Simulated seconds for each real second.
        #[arg(long, default_value_t = 30.0)]
        speed: f64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command: Command::Demo { keep, speed } } = Arguments::parse();
    match demo::run(Options { keep, speed }, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devenv: {error:#}");
            ExitCode::FAILURE
        }
    }
}
