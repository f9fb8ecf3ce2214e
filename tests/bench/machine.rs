//! What the numbers were measured on.

use std::process::Command;

/// Prints processor, memory and compiler.
pub(crate) fn describe() -> anyhow::Result<()> {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism()?;
    let processor = field(&std::fs::read_to_string("/proc/cpuinfo")?, "model name");
    let memory = field(&std::fs::read_to_string("/proc/meminfo")?, "MemTotal");
    let compiler = String::from_utf8(Command::new("rustc").arg("--version").output()?.stdout)?;
    let build = if cfg!(debug_assertions) { "development build: the numbers mean nothing" } else { "release build" };
    println!("{cores} x {processor}, {memory}, {}, {build}\n", compiler.trim());
    Ok(())
}
