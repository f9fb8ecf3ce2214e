//! The budgets that need a quiet machine: how the plan grows, what an object costs in memory. `make bench` runs it and prints
//! tables; it judges nothing, as times differ from machine to machine and the ratios are for people to read.
#![expect(clippy::print_stdout, reason = "tables for whoever runs it")]

mod machine;
mod memory;
mod planning;
mod world;

fn main() -> anyhow::Result<()> {
    machine::describe()?;
    planning::table()?;
    let sizes = std::env::var("BENCH_USERS").unwrap_or_else(|_| "1000 5000".to_owned());
    let sizes = sizes.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    if sizes.is_empty() {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(memory::table(&sizes))
}
