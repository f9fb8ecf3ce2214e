//! Structured logs. A line never holds a secret, an address or a number.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging to standard error.
///
/// # Errors
/// When the filter cannot be parsed, or logging was started before.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    }
    .map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
