//! A child process with a log file, that can be killed at a chosen moment and never outlives us.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::watchdog;

/// How often something that cannot notify us is asked whether it is ready.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// A running or ended child. Dropping it kills it. It belongs to no async runtime, so it may be shared between tests.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    status: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` in a process group of its own; what it prints is appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let mut child =
            command.spawn().with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        let id = child.id();
        if let Err(error) = watchdog::started(id) {
            child.kill()?;
            return Err(error);
        }
        let pid = Pid::from_child(&child);
        let (sender, status) = watch::channel(None);
        std::thread::spawn(move || {
            let status = child.wait();
            // Without a watchdog any more we are ending ourselves.
            drop(watchdog::ended(id));
            sender.send_replace(status.ok());
        });
        Ok(Self { name: name.to_owned(), pid, log: log.to_owned(), status })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended; `None` while it runs.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.status.borrow()
    }

    /// SIGKILL; returns once the process is gone.
    pub async fn kill(&self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// SIGTERM; returns once the process is gone, however long it takes.
    pub async fn terminate(&self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Returns once the process is gone.
    pub async fn wait(&self) -> anyhow::Result<ExitStatus> {
        let mut status = self.status.clone();
        let ended = status.wait_for(Option::is_some).await.with_context(|| format!("waiting for {}", self.name))?;
        ended.with_context(|| format!("waiting for {}", self.name))
    }

    /// Asks `probe` until it answers with something; fails when the process ends or `limit` has passed.
    pub async fn until<T>(&self, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
        let began = Instant::now();
        loop {
            if let Some(answer) = probe().await {
                return Ok(answer);
            }
            if let Some(status) = self.status() {
                bail!("{} ended with {status}; {}", self.name, self.last_lines());
            }
            if began.elapsed() > limit {
                bail!("{} is not ready after {} s; {}", self.name, limit.as_secs(), self.last_lines());
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// The end of its log, for an error message.
    pub fn last_lines(&self) -> String {
        let tail = tail(&self.log, 4096).unwrap_or_else(|error| error.to_string());
        format!("the end of {}:\n{tail}", self.log.display())
    }

    fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            // Gone in between is as good.
            let _gone = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn tail(file: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Ports that the system gives to nobody by itself: what is killed and started again finds its port still free.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A loopback port that nobody listens on at the moment.
pub fn free_port() -> anyhow::Result<u16> {
    let mut ports = std::iter::repeat_with(|| rand::random_range(PORTS)).take(100);
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("looking for a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::spawn("shell", command, &directory.path().join("log")).unwrap();
        (directory, process)
    }

    #[tokio::test]
    async fn a_killed_process_is_gone_when_kill_returns() {
        let (_directory, process) = shell("exec tail -f /dev/null");
        let status = process.kill().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        assert_eq!(process.status(), Some(status));
    }

    #[tokio::test]
    async fn a_terminated_process_may_finish_its_work() {
        let (_directory, process) = shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done");
        let up = async || std::fs::read_to_string(process.log()).ok().filter(|log| log.contains("up"));
        process.until(Duration::from_secs(10), up).await.unwrap();
        assert_eq!(process.terminate().await.unwrap().code(), Some(7));
        assert!(std::fs::read_to_string(process.log()).unwrap().contains("bye"));
    }

    #[tokio::test]
    async fn waiting_for_a_process_that_ended_shows_its_last_words() {
        let (_directory, process) = shell("echo no such flag >&2; exit 2");
        let error = process.until(Duration::from_secs(10), async || None::<()>).await.unwrap_err().to_string();
        assert!(error.contains("no such flag"), "{error}");
    }
}
