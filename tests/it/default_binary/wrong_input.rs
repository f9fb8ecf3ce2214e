//! The command line of the binary that ships.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use teams_connector_operator::devenv::{chart, programs::Programs};

use super::artifact;
use crate::harness;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(artifact::binary());
    command.env_clear().env("HOME", "/nonexistent").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every flag is also an environment variable, and its help says which; every flag that the chart sets is there, and none that
/// only a simulator understands.
#[tokio::test(flavor = "multi_thread")]
async fn the_help_names_every_flag_with_its_environment_variable() {
    let output = run(&["run", "--help"]);
    let help = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let mut flags = BTreeSet::new();
    for part in help.split("\n      --").skip(1) {
        let flag = part.split([' ', '\n', '=']).next().unwrap().to_owned();
        let variable = format!("[env: TEAMS_CONNECTOR_{}=]", flag.replace('-', "_").to_uppercase());
        assert!(part.contains(&variable), "--{flag} does not name {variable}");
        assert!(part.lines().nth(1).is_some_and(|line| !line.trim().is_empty()), "--{flag} is not explained");
        flags.insert(flag);
    }
    let programs = Programs::resolve().await.unwrap();
    let values = serde_json::json!({
        "watchNamespaces": ["a"], "caBundle": {"file": "/ca.pem"}, "connector": {"allowedHosts": ["a.example"]},
    });
    let release = chart::render(&programs, "operators", &values).await.unwrap();
    let rendered = release.operator().unwrap().args;
    let set: BTreeSet<_> =
        rendered.iter().filter_map(|argument| argument.strip_prefix("--")?.split('=').next()).collect();
    assert!(set.len() >= 5, "{rendered:?}");
    assert!(set.iter().all(|flag| flags.contains(*flag)), "{set:?} {flags:?}");
    assert!(!flags.contains("clock-url"), "a flag for tests");
    let top = text(&run(&["--help"]).stdout);
    assert!(["run", "crds", "--version"].iter().all(|word| top.contains(word)), "{top}");
}

/// An environment variable does what its flag does.
#[test]
fn an_environment_variable_is_the_flag() {
    let mut command = Command::new(artifact::binary());
    command.env_clear().env("TEAMS_CONNECTOR_GRAPH_URL", "http://graph.example").args(["run", "--listen=127.0.0.1:0"]);
    let output = command.output().unwrap();
    assert_one_line("--graph-url", &output);
}

/// What cannot be used is one clear line that names the flag, and the end: no panic, no stack, no waiting, no log around it.
#[test]
fn wrong_input_is_one_line_that_names_the_flag() {
    let directory = tempfile::tempdir().unwrap();
    let no_certificate = directory.path().join("text.pem");
    std::fs::write(&no_certificate, "no certificate").unwrap();
    let no_certificate = format!("--ca-bundle={}", no_certificate.display());
    let free = "--listen=127.0.0.1:0";
    let cases: [(&str, &[&str]); 9] = [
        ("--goto-api-url", &[free, "--goto-api-url=goto"]),
        ("--entra-url", &[free, "--entra-url=http://login.microsoftonline.com"]),
        ("--graph-url", &[free, "--graph-url=https://me:secret@graph.microsoft.com"]),
        ("--goto-auth-url", &[free, "--goto-auth-url=https://api.getgo.com/oauth/v2"]),
        ("--goto-admin-url", &[free, "--goto-admin-url=https://api.jive.com"]),
        ("--ca-bundle", &[free, "--ca-bundle=/nonexistent/ca.pem"]),
        ("--ca-bundle", &[free, &no_certificate]),
        ("--log", &[free, "--log=info,=debug=trace"]),
        ("KUBECONFIG", &[free]),
    ];
    for (named, arguments) in cases {
        let output = run(&[&["run"], arguments].concat());
        assert_one_line(named, &output);
        assert!(!text(&output.stderr).contains("secret"), "a password is repeated");
    }
    let retired = run(&["run", free, "--goto-auth-url=https://api.getgo.com/oauth/v2"]);
    assert!(
        text(&retired.stderr).contains("https://authentication.logmeininc.com"),
        "it says what to use: {retired:?}"
    );
}

/// The same for a port that somebody else has; the cluster need not answer for that.
#[test]
fn a_port_in_use_is_one_line() {
    const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "c", "user": {}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KUBECONFIG).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    let mut command = Command::new(artifact::binary());
    command.env_clear().env("KUBECONFIG", file.path()).args(["run", &listen]);
    assert_one_line("--listen", &command.output().unwrap());
}

fn assert_one_line(named: &str, output: &Output) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{named}: {error}");
    assert_eq!(error.lines().count(), 1, "{named}: {error}");
    assert!(error.starts_with("teams-connector-operator: ") && error.contains(named), "{named}: {error}");
    assert!(output.stdout.is_empty());
}

/// A kubeconfig that leads nowhere is told too; what is no flag at all is told by the parser of the command line, with 2.
#[test]
fn what_is_no_flag_or_no_value_of_one_ends_with_2() {
    let cases: [(&str, &[&str]); 8] = [
        ("--nonsense", &["run", "--nonsense"]),
        ("--clock-url", &["run", "--clock-url=http://127.0.0.1:1"]),
        ("--log-format", &["run", "--log-format=xml"]),
        ("--listen", &["run", "--listen=nowhere"]),
        ("--interactive-passes", &["run", "--interactive-passes=0"]),
        ("--watch-namespaces", &["run", "--watch-namespaces=telephony,Not_A_Name"]),
        ("--connector-allowed-hosts", &["run", "--connector-allowed-hosts=https://connector.example/api"]),
        ("start", &["start"]),
    ];
    for (named, arguments) in cases {
        let output = run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{named}: {error}");
        assert!(error.lines().next().unwrap().contains(named), "{named}: {error}");
        assert!(!error.contains("panicked"));
    }
    let directory = harness::run_directory().join("no-cluster");
    std::fs::create_dir_all(&directory).unwrap();
    let missing = directory.join("missing.kubeconfig");
    let mut command = Command::new(artifact::binary());
    command.env_clear().env("KUBECONFIG", &missing).args(["run", "--listen=127.0.0.1:0"]);
    assert_one_line("KUBECONFIG", &command.output().unwrap());
}
