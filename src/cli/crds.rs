//! `crds`: the generated CustomResourceDefinitions.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use teams_connector_operator::api::{all_crds, crd_yaml};

/// Writes one file for each kind, or all of them to standard output.
pub(super) fn write(dir: Option<&Path>) -> anyhow::Result<()> {
    for crd in all_crds()? {
        let text = crd_yaml(&crd)?;
        match dir {
            Some(dir) => {
                let file = dir.join(format!("{}.yaml", crd.spec.names.plural));
                std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
            }
            None => write!(std::io::stdout(), "---\n{text}")?,
        }
    }
    Ok(())
}
