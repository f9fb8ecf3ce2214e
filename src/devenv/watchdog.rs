//! Ends the children when this process ends, however it ends.
//!
//! A test binary never drops its statics and SIGKILL runs no destructor, so one small shell holds the other end of a pipe:
//! when the pipe closes it kills whatever is still registered and removes the temporary directories.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context as _;

const SCRIPT: &str = r#"
trap '' INT TERM HUP
while read -r what value; do
  case $what in
    started) pids="$pids $value" ;;
    ended) rest=; for pid in $pids; do [ "$pid" = "$value" ] || rest="$rest $pid"; done; pids=$rest ;;
    directory) directory=$value ;;
  esac
done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
[ -z "$directory" ] || rm -rf -- "$directory"
"#;

static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// This process is to be killed when we end.
pub(super) fn started(pid: u32) -> anyhow::Result<()> {
    tell(&format!("started {pid}"))
}

/// It has been reaped: its number may belong to somebody else from now on.
pub(super) fn ended(pid: u32) -> anyhow::Result<()> {
    tell(&format!("ended {pid}"))
}

/// The one directory that is to be removed when we end; `None`: none is.
pub(super) fn remove_at_end(directory: Option<&Path>) -> anyhow::Result<()> {
    tell(&format!("directory {}", directory.map_or_else(String::new, |directory| directory.display().to_string())))
}

fn tell(line: &str) -> anyhow::Result<()> {
    let pipe = if let Some(pipe) = PIPE.get() {
        pipe
    } else {
        // Of two that start at once the second ends again: nobody holds its pipe.
        let started = start()?;
        PIPE.get_or_init(|| Mutex::new(started))
    };
    let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}").context("telling the watchdog")
}

/// In a process group of its own: Ctrl-C in the terminal is for us, not for the one who cleans up after us.
fn start() -> anyhow::Result<ChildStdin> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().context("starting the watchdog")?;
    child.stdin.take().context("the watchdog's pipe")
}
