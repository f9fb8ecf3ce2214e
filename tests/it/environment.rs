//! The environment that the other tests stand in.

use teams_connector_operator::devenv::objects;
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use crate::harness;

/// S14: what the samples say is accepted as it is, and a fresh object has the status default.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_accepted_by_the_api_server() {
    let environment = harness::prepare("samples").await;
    environment.apply(&environment.samples().unwrap()).await.unwrap();
    let policy = environment.get("usp", "head-office").await.unwrap();
    assert_eq!(policy["status"]["observedGeneration"], -1);
    let account = environment.get("tca", "contoso").await.unwrap();
    assert_eq!(account["spec"]["connector"]["api"]["endpoint"], environment.connector_url().unwrap());
}

/// The credentials of the samples are those that the simulator takes, through the authority of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_of_the_samples_open_the_simulator() {
    let environment = harness::prepare("credentials").await;
    environment.apply(&environment.samples().unwrap()).await.unwrap();
    let simulator = environment.simulator();
    let pem = simulator.authority().unwrap();
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let read = async |name: &str, key: &str| {
        let secret = environment.get("secret", name).await.unwrap();
        let encoded = secret["data"][key].as_str().unwrap().to_owned();
        String::from_utf8(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap()).unwrap()
    };
    let (id, secret) = (read("goto-credentials", "clientId").await, read("goto-credentials", "clientSecret").await);
    let form =
        [("grant_type", "refresh_token".to_owned()), ("refresh_token", read("goto-credentials", "refreshToken").await)];
    let url = format!("{}/oauth/token", simulator.endpoint("gotoAuth").unwrap());
    let mut answers = Vec::new();
    // Hostile: now and then the answer is a 429 or a 5xx.
    for _ in 0..5 {
        let answer = http.post(&url).basic_auth(&id, Some(&secret)).form(&form).send().await.unwrap();
        answers.push(answer.status().as_u16());
    }
    assert!(answers.contains(&200), "{answers:?}");
}

/// Waiting is by watch: what happens while nobody asks is seen, and what does not come is told with the last state.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_change_it_waits_for() {
    let environment = harness::prepare("waits").await;
    let waiting = environment.wait_for("configmap", "x", "says yes", |map| map["data"]["answer"] == "yes");
    let changing = async {
        for answer in ["no", "yes"] {
            let map =
                format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x}}, data: {{answer: '{answer}'}}}}");
            environment.apply_yaml(&map).await.unwrap();
        }
    };
    let (seen, ()) = tokio::join!(waiting, changing);
    assert_eq!(seen.unwrap()["data"]["answer"], "yes");
    let api = objects::api(environment.client(), environment.namespace(), "configmap").unwrap();
    let never = objects::wait(&api, "says never", std::time::Duration::from_millis(300), |_| None::<()>).await;
    assert!(never.unwrap_err().to_string().contains("\nx: "));
}

/// A vigil sees what was wrong for a moment only.
#[tokio::test(flavor = "multi_thread")]
async fn a_vigil_remembers_what_was_wrong_for_a_moment() {
    let environment = harness::prepare("vigil").await;
    let map = |answer: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x}}, data: {{answer: '{answer}'}}}}")
    };
    environment.apply_yaml(&map("good")).await.unwrap();
    let api = objects::api(environment.client(), environment.namespace(), "configmap").unwrap();
    let (sender, seen) = tokio::sync::watch::channel(String::new());
    let vigil = objects::Vigil::start(api, move |objects| {
        let answer = objects.get("x")?["data"]["answer"].as_str()?.to_owned();
        sender.send_replace(answer.clone());
        (answer == "bad").then(|| "x was bad".to_owned())
    });
    seen.clone().wait_for(|answer| answer == "good").await.unwrap();
    environment.apply_yaml(&map("bad")).await.unwrap();
    seen.clone().wait_for(|answer| answer == "bad").await.unwrap();
    environment.apply_yaml(&map("good")).await.unwrap();
    assert_eq!(vigil.end().await.unwrap_err().to_string(), "x was bad");
}

/// T1: the real binary dies by SIGKILL at the named call, which the API server has seen after the commit only, and a restart
/// goes on with the chart's token.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_dies_at_the_call_that_the_script_names() {
    let environment = harness::prepare_with("killed", |setup| setup.proxied = true).await;
    let plane = harness::control_plane().await;
    let seen = || {
        let requests = environment.audit(plane).unwrap();
        requests.iter().filter(|request| request.verb == "list" && request.resource == "usersyncruns").count()
    };
    let proxy = environment.proxy("kubernetes").unwrap();
    let route = "LIST usersyncruns".to_owned();
    for (phase, expected) in [(Phase::BeforeSend, 0), (Phase::AfterCommit, 1)] {
        let lists = proxy.calls().iter().filter(|call| call.route == route).count();
        let before = seen();
        proxy.kill_at(Kill { route: route.clone(), ordinal: lists + 1, phase });
        let status = environment.operator().start().await.unwrap().wait().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{phase:?}");
        assert_eq!(proxy.pending(), [], "{phase:?}");
        assert_eq!(seen() - before, expected, "{phase:?}");
    }
    let listed = proxy.calls().len();
    environment.operator().start().await.unwrap();
    let process = environment.operator().process().unwrap();
    let goes_on = async || (proxy.calls().len() > listed).then_some(());
    process.until(std::time::Duration::from_secs(30), goes_on).await.unwrap();
}
