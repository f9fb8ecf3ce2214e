//! The committed files that are made from the code: equal to what the code says, or written anew with `UPDATE_GENERATED=1`.

use std::fs;
use std::path::{Path, PathBuf};

use super::runbook::runbook;
use super::{all_crds, crd_yaml};

/// Path in the repository, and text.
fn generated() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = root.join("charts/teams-connector-operator/files/crds");
    let mut files = vec![(root.join("docs/runbook.md"), runbook())];
    for crd in all_crds().unwrap() {
        let (name, text) = (format!("{}.yaml", crd.spec.names.plural), crd_yaml(&crd).unwrap());
        files.push((root.join("crds").join(&name), text.clone()));
        if chart.is_dir() {
            files.push((chart.join(&name), text));
        }
    }
    files
}

/// What is committed is what the code says: reviewers see every change of the contract.
#[test]
fn generated_files_are_up_to_date() {
    let bless = std::env::var_os("UPDATE_GENERATED").is_some();
    for (path, text) in generated() {
        if bless {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{} is out of date: run with UPDATE_GENERATED=1", path.display());
    }
}
