//! Where the programs of the control plane and our own are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// The folder of the package this was built from: chart, samples and `control-plane/` are read from there.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The programs of the control plane by name.
#[derive(Debug, Clone)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Runs `control-plane/build.sh`, which finds the programs or builds them from Go modules; progress goes to our stderr.
    pub async fn resolve() -> anyhow::Result<Self> {
        let script = package().join("control-plane/build.sh");
        let mut command = Command::new(&script);
        command.stderr(Stdio::inherit()).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("running {}", script.display()))?;
        ensure!(output.status.success(), "{} ended with {}", script.display(), output.status);
        let lines = String::from_utf8(output.stdout)?;
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        Ok(Self(pairs.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).collect()))
    }

    /// The path of one program, such as `kubectl`.
    pub fn path(&self, name: &str) -> anyhow::Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).with_context(|| format!("control-plane/build.sh did not name {name}"))
    }
}

/// One of our own programs: named by the environment variable `variable`, else beside the running executable (for a test
/// binary one folder up).
pub fn own(name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let executable = std::env::current_exe().context("finding the running executable")?;
    let folders = executable.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not beside {}: build it, or set {variable}", executable.display()))
}
