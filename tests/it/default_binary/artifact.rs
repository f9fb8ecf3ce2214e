//! Where the binary of the default features is: `scripts/test` puts it beside the build; else it is built here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::harness::package;

const NAME: &str = "teams-connector-operator";

/// The binary, built from the sources as they are.
pub(super) fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find).clone()
}

fn find() -> PathBuf {
    // `CARGO_TARGET_TMPDIR` is `tmp` in the target folder.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("default-features");
    let binary = folder.join(NAME);
    if modified(&binary) < newest_source() {
        build(&folder);
        std::fs::copy(folder.join("debug").join(NAME), &binary).unwrap();
    }
    binary
}

/// In a target folder of its own: in the other one it would replace the binary that the tests beside this one run.
fn build(folder: &Path) {
    eprintln!("building {NAME} with the default features in {} (`make test` does it faster)", folder.display());
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(package()).args(["build", "--quiet", "--locked", "--bin", NAME, "--target-dir"]).arg(folder);
    assert!(command.status().unwrap().success(), "building {NAME}");
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

/// When something was last changed that the binary is made of.
fn newest_source() -> Option<SystemTime> {
    let mut folders = vec![package().join("src")];
    let mut newest = modified(&package().join("Cargo.lock")).max(modified(&package().join("Cargo.toml")));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            newest = newest.max(modified(&path));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    newest
}
