use super::*;

async fn calls_of_a_day(seed: u64) -> Vec<(u16, Value)> {
    let bench = Bench::start(SimConfig { world: generated(60), calm: false, seed, ..config() }).await;
    let mut calls = Vec::new();
    let mut token = None;
    while token.is_none() {
        let (_, body) = read(bench.entra_call(&entra_fields())).await;
        token = body["access_token"].as_str().map(str::to_owned);
    }
    let token = token.unwrap();
    for _ in 0..60 {
        let (status, mut body) = bench.json(Api::Graph, "/v1.0/users?$top=50", &token).await;
        body["@odata.nextLink"].take();
        body["error"].take();
        calls.push((status, body));
    }
    calls
}

#[tokio::test]
async fn the_same_seed_misbehaves_in_the_same_way() {
    let [first, again, other] = [calls_of_a_day(21).await, calls_of_a_day(21).await, calls_of_a_day(22).await];
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn a_hostile_day_has_short_pages_failures_and_unknown_fields() {
    let day = calls_of_a_day(21).await;
    let sizes = day.iter().filter_map(|(_, body)| Some(body["value"].as_array()?.len()));
    assert!(sizes.clone().any(|size| size < 50) && sizes.clone().any(|size| size == 50));
    assert!(day.iter().any(|(status, _)| *status == 429 || *status >= 500));
    assert!(day.iter().any(|(_, body)| body.get("previewOfLater").is_some()));
}

#[tokio::test]
async fn the_control_port_is_never_hostile() {
    let bench = Bench::start(SimConfig { calm: false, seed: 21, ..config() }).await;
    for _ in 0..100 {
        assert_eq!(bench.control("GET", "/state-hash", None).await.0, 200);
    }
}

/// A token that was promised an hour may end before it.
#[tokio::test]
async fn tokens_expire_early_now_and_then() {
    let bench = Bench::start(SimConfig { calm: false, seed: 21, ..config() }).await;
    for _ in 0..60 {
        read(bench.entra_call(&entra_fields())).await;
    }
    let world = bench.sim.world();
    let promised = bench.sim.now() + k8s_openapi::jiff::SignedDuration::from_secs(3599);
    let ends: Vec<Timestamp> = world.tenant.access_tokens.values().map(|token| token.expires_at).collect();
    assert!(ends.iter().any(|end| *end < promised) && ends.contains(&promised));
    assert!(ends.iter().all(|end| *end <= promised));
}
