//! The main job, whole, as a user would type it: `make demo`.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use super::chart;
use super::control_plane::ControlPlane;
use super::environment::{Environment, Setup};
use super::watchdog;

/// The namespace of the samples.
const NAMESPACE: &str = "telephony";

/// How the demo is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Leaves everything running at the end until Ctrl-C.
    pub keep: bool,
    /// Simulated seconds for each real second.
    pub speed: f64,
}

/// One thing that is shown.
enum Step {
    /// A headline.
    Say(&'static str),
    /// What a user types after `kubectl -n telephony`; its output is shown and it must succeed.
    Kubectl(&'static [&'static str]),
    /// The first link that the account's pending actions name is opened and its button pressed.
    Click,
}

/// The demo, from the samples on.
const STEPS: &[Step] = &[
    Step::Say(
        "The plan is stored as a run before the first write. Then a Global Administrator must allow the push into the tenant",
    ),
    Step::Kubectl(&[
        "wait",
        "--for=jsonpath={.status.pendingActions[0].link}",
        "teamsconnectoraccount/contoso",
        "--timeout=180s",
    ]),
    Step::Kubectl(&["get", "teamsconnectoraccounts,usersyncpolicies,usersyncruns"]),
    Step::Kubectl(&[
        "get",
        "teamsconnectoraccount/contoso",
        "-o",
        "jsonpath={range .status.pendingActions[*]}{.actor}: {.action}{\"\\n\"}{.link}{\"\\n\"}{end}",
    ]),
    Step::Say("The Global Administrator opens the link and signs in"),
    Step::Click,
    Step::Say("Numbers, voice and registration are read back before anybody is called connected"),
    Step::Kubectl(&["wait", "--for=condition=Ready", "usersyncpolicy/head-office", "--timeout=180s"]),
    Step::Kubectl(&["wait", "--for=condition=Complete", "usersyncrun", "--all", "--timeout=60s"]),
    Step::Say("The end state: two connected, one without a match, two blocked, one waits for a license"),
    Step::Kubectl(&["get", "teamsconnectoraccounts,usersyncpolicies,usersyncruns"]),
    Step::Kubectl(&["get", "teamsconnectorusers"]),
    Step::Say("Why can this person not call? The object says so, and who does what next"),
    Step::Kubectl(&["describe", "teamsconnectoruser", "head-office-2000000000000000004"]),
];

/// Runs it and prints to `screen`.
pub async fn run(options: Options, screen: &mut dyn Write) -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("teams-connector-demo-{}", std::process::id()));
    watchdog::remove_at_end(Some(&directory))?;
    let outcome = tokio::select! {
        outcome = show(options, &directory, screen) => outcome,
        signal = tokio::signal::ctrl_c() => signal.context("waiting for Ctrl-C"),
    };
    if outcome.is_err() {
        watchdog::remove_at_end(None)?;
    }
    outcome.with_context(|| format!("the logs are in {}", directory.display()))
}

async fn show(options: Options, directory: &Path, screen: &mut dyn Write) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut demo = Demo::start(options, directory, screen).await?;
    demo.apply_samples(&directory.join("samples")).await?;
    for step in STEPS {
        demo.show(step).await?;
    }
    writeln!(demo.screen, "\nDone in {} s.", began.elapsed().as_secs())?;
    if options.keep {
        demo.keep().await?;
    }
    Ok(())
}

struct Demo<'a> {
    environment: Environment,
    plane: ControlPlane,
    screen: &'a mut dyn Write,
}

impl<'a> Demo<'a> {
    async fn start(options: Options, directory: &Path, screen: &'a mut dyn Write) -> anyhow::Result<Self> {
        writeln!(screen, "# A real control plane, a simulator of GoTo, Microsoft and the connector, and the operator")?;
        let plane = ControlPlane::start(&directory.join("control-plane"), &step_time).await?;
        let began = Instant::now();
        plane.kubectl_stdout(&["create", "namespace", NAMESPACE]).await?;
        let release = chart::render(plane.programs(), NAMESPACE, &json!({})).await?;
        release.apply_crds(&plane.admin().await?).await?;
        step_time("CRDs", began.elapsed());
        let speed = options.speed.to_string();
        let flags = ["--demo", "--clock", "auto", "--speed", &speed, "--humans", "manual"];
        let mut setup = Setup::new(NAMESPACE, directory);
        setup.simulator = flags.map(str::to_owned).to_vec();
        let began = Instant::now();
        let environment = Environment::prepare(&plane, setup).await?;
        step_time("simulator and chart", began.elapsed());
        let began = Instant::now();
        environment.operator().start_ready().await?;
        step_time("operator", began.elapsed());
        Ok(Self { environment, plane, screen })
    }

    /// With the real kubectl; only the connector's address differs from the files.
    async fn apply_samples(&mut self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (number, document) in (1..).zip(self.environment.samples()?) {
            std::fs::write(folder.join(format!("{number}.yaml")), serde_json::to_vec(&document)?)?;
        }
        writeln!(
            self.screen,
            "\n# The samples (the connector's address is the simulator's)\n$ kubectl apply -f deploy/samples/"
        )?;
        let printed = self.plane.kubectl_stdout(&["apply", "-f", &folder.display().to_string()]).await?;
        write!(self.screen, "{printed}")?;
        Ok(())
    }

    async fn show(&mut self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Say(text) => writeln!(self.screen, "\n# {text}")?,
            Step::Kubectl(arguments) => self.kubectl(arguments).await?,
            Step::Click => self.click().await?,
        }
        Ok(())
    }

    async fn kubectl(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        let all = [&["-n", NAMESPACE], arguments].concat();
        writeln!(self.screen, "$ kubectl {}", typed(&all))?;
        self.screen.flush()?;
        let printed = self.plane.kubectl_stdout(&all).await?;
        write!(self.screen, "{printed}")?;
        Ok(())
    }

    async fn click(&mut self) -> anyhow::Result<()> {
        let account = self.environment.get("tca", "contoso").await?;
        let mut actions = account["status"]["pendingActions"].as_array().into_iter().flatten();
        let link = actions.find_map(|action| action["link"].as_str());
        let link = link.context("no pending action of the account has a link")?;
        let page = self.environment.simulator().control().click(link).await?;
        writeln!(self.screen, "$ curl -X POST {link}\n{}", text_of(&page))?;
        Ok(())
    }

    async fn keep(&mut self) -> anyhow::Result<()> {
        let control = self.environment.simulator().control().url();
        let log = self.environment.operator().process()?.log().display().to_string();
        writeln!(self.screen, "\nEverything keeps running until Ctrl-C.")?;
        writeln!(self.screen, "export KUBECONFIG={}", self.plane.admin_kubeconfig().display())?;
        writeln!(self.screen, "kubectl        {}", self.plane.programs().path("kubectl")?.display())?;
        writeln!(self.screen, "operator       {}/metrics, log {log}", self.environment.operator().url()?)?;
        writeln!(self.screen, "simulator      {control}/world {control}/journal {control}/card5 {control}/humans")?;
        self.screen.flush()?;
        std::future::pending().await
    }
}

/// Step times are for whoever waits: they go to stderr.
fn step_time(step: &str, took: Duration) {
    // A terminal that is gone needs no progress.
    drop(writeln!(std::io::stderr(), "  {step:<26}{:>6.1} s", took.as_secs_f64()));
}

/// As it would be typed into a shell.
fn typed(arguments: &[&str]) -> String {
    let quote = |argument: &&str| {
        let plain =
            argument.chars().all(|character| character.is_ascii_alphanumeric() || "-_./=,:".contains(character));
        if plain { (*argument).to_owned() } else { format!("'{argument}'") }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The text of the paragraphs of a plain page.
fn text_of(page: &str) -> String {
    let paragraphs = page.split("<p>").skip(1).filter_map(|rest| rest.split_once("</p>"));
    paragraphs.map(|(text, _)| text.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        assert_eq!(typed(&["get", "tca,usp", "-o", "jsonpath={.a}"]), "get tca,usp -o 'jsonpath={.a}'");
    }

    #[test]
    fn a_page_is_shown_as_its_text() {
        assert_eq!(text_of("<html><title>Head</title><body><h1>Head</h1><p>Done: x.</p></body></html>"), "Done: x.");
    }
}
