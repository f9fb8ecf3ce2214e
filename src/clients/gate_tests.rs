use super::*;
use crate::clients::error::Class;
use crate::clients::testing::{ACCOUNT, Bench, answer, start_of_time};
use crate::clock::manual::ManualClock;

fn gates(jump: bool) -> (Gates, ManualClock) {
    let (clock, time) = Clock::manual(start_of_time());
    if jump {
        time.jump();
    }
    (Gates::new(clock), time)
}

async fn send(gate: &Gate) -> Option<Permit<'_>> {
    gate.pass().await.ok()
}

fn in_seconds(seconds: i64) -> Timestamp {
    start_of_time() + SignedDuration::from_secs(seconds)
}

/// Rule 7 of performance.md: below 10 calls in any second.
#[tokio::test]
async fn any_second_sees_at_most_nine_calls_of_goto() {
    let (gates, time) = gates(true);
    let gate = gates.for_key(Api::GotoAdmin, "client");
    let mut sent = Vec::new();
    for _ in 0..40 {
        send(&gate).await.unwrap().answered();
        sent.push(time.now());
    }
    for (index, at) in sent.iter().enumerate() {
        let within =
            sent[index..].iter().filter(|other| other.duration_since(*at) < SignedDuration::from_secs(1)).count();
        assert!(within <= 9, "{within} calls within a second");
    }
    assert!(time.now() < in_seconds(5), "the pace is used");
}

#[tokio::test]
async fn graph_takes_a_burst_without_a_wait() {
    let (gates, time) = gates(false);
    let gate = gates.for_key(Api::Graph, "tenant/client");
    for _ in 0..100 {
        send(&gate).await.unwrap().answered();
    }
    assert_eq!(time.now(), start_of_time());
}

#[tokio::test]
async fn accounts_with_one_client_id_share_a_gate_and_others_are_untouched() {
    let (gates, _) = gates(false);
    let gate = gates.for_key(Api::GotoUsers, "a");
    let _ = send(&gate).await.unwrap().throttled(Some(in_seconds(300)));
    assert_eq!(gates.for_key(Api::GotoUsers, "a").closed_until(), Some(in_seconds(300)));
    assert_eq!(gates.for_key(Api::GotoUsers, "b").closed_until(), None);
    assert_eq!(gates.for_key(Api::GotoAdmin, "a").closed_until(), None);
    assert_eq!(gates.closed(), [(Api::GotoUsers, in_seconds(300))]);
}

/// T27, P11.
#[tokio::test]
async fn a_short_closing_is_waited_for_and_a_long_one_is_not() {
    let (gates, time) = gates(true);
    let gate = gates.for_key(Api::Connector, "x");
    let _ = send(&gate).await.unwrap().throttled(Some(in_seconds(30)));
    send(&gate).await.unwrap().answered();
    assert_eq!(time.now(), in_seconds(30));
    let _ = send(&gate).await.unwrap().throttled(Some(in_seconds(330)));
    let now = time.now();
    assert_eq!(gate.pass().await.unwrap_err(), in_seconds(330));
    assert_eq!(time.now(), now, "nobody waited");
}

/// T27: never earlier than told up to one hour, beyond that one probe an hour.
#[tokio::test]
async fn a_gate_closed_for_ten_hours_lets_one_probe_an_hour_through() {
    let (gates, time) = gates(false);
    let gate = gates.for_key(Api::Graph, "x");
    let ten_hours = start_of_time() + SignedDuration::from_hours(10);
    let _ = send(&gate).await.unwrap().throttled(Some(ten_hours));
    let mut probes = 0;
    for _ in 0..9 * 60 + 30 {
        if let Some(probe) = send(&gate).await {
            let _ = probe.throttled(Some(ten_hours));
            probes += 1;
        }
        time.advance(Duration::from_mins(1));
    }
    assert_eq!(probes, 9);
}

#[tokio::test]
async fn a_probe_that_is_answered_opens_the_gate_and_its_word_is_the_newest() {
    let (gates, time) = gates(false);
    let gate = gates.for_key(Api::Graph, "x");
    let _ = send(&gate).await.unwrap().throttled(Some(in_seconds(36_000)));
    time.advance(Duration::from_mins(61));
    assert_eq!(send(&gate).await.unwrap().throttled(Some(in_seconds(4_000))), in_seconds(4_000));
    time.advance(Duration::from_hours(1));
    send(&gate).await.unwrap().answered();
    assert_eq!(gate.closed_until(), None);
}

#[tokio::test]
async fn an_answer_to_a_call_from_before_the_closing_does_not_open_the_gate() {
    let (gates, _) = gates(false);
    let gate = gates.for_key(Api::Graph, "x");
    let (early, second, third) = (send(&gate).await.unwrap(), send(&gate).await.unwrap(), send(&gate).await.unwrap());
    let _ = second.throttled(Some(in_seconds(300)));
    early.answered();
    assert_eq!(gate.closed_until(), Some(in_seconds(300)));
    assert_eq!(third.throttled(Some(in_seconds(100))), in_seconds(300), "the later time holds");
}

#[tokio::test]
async fn without_a_retry_after_the_gate_closes_for_longer_each_time() {
    let (gates, time) = gates(true);
    let gate = gates.for_key(Api::GotoVoiceAdmin, "x");
    for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0] {
        let permit = send(&gate).await.unwrap();
        let closed = permit.throttled(None).duration_since(time.now()).as_secs_f64();
        assert!((expected * 0.749..=expected).contains(&closed), "{closed} instead of {expected}");
    }
    send(&gate).await.unwrap().answered();
    let again = send(&gate).await.unwrap().throttled(None).duration_since(time.now());
    assert!(again <= SignedDuration::from_millis(500));
}

#[tokio::test]
async fn a_clock_that_is_set_back_leaves_nothing_shut() {
    let mut state = State::default();
    let (interval, late) = (SignedDuration::from_millis(111), start_of_time() + SignedDuration::from_hours(5));
    assert!(matches!(state.decide(late, interval, 1), Verdict::Go { .. }));
    let _ = state.close(late, Some(late + SignedDuration::from_mins(10)), false, "key");
    let back = start_of_time();
    match state.decide(back, interval, 1) {
        Verdict::Go { .. } => {}
        Verdict::Wait(at) => assert!(at <= back + interval),
        Verdict::Refuse(until) => panic!("shut until {until}"),
    }
}

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    let now = start_of_time();
    assert_eq!(retry_after("1", now), Some(in_seconds(1)));
    assert_eq!(retry_after(" 300 ", now), Some(in_seconds(300)));
    assert_eq!(retry_after("Thu, 20 Aug 2026 10:05:00 GMT", now), Some(in_seconds(300)));
    assert_eq!(retry_after("Thu, 20 Aug 2020 10:05:00 GMT", now), Some(now));
    assert_eq!(retry_after("99999999999999999999", now), Some(now + LONGEST_CLOSING));
    for odd in ["", "soon", "-5", "1.5"] {
        assert_eq!(retry_after(odd, now), None, "{odd}");
    }
}

/// P11, T27, through a whole client: the closed window in the server's own record stays empty.
#[tokio::test]
async fn no_call_arrives_inside_a_closed_window() {
    let bench = Bench::start(|seen| match seen.ordinal {
        1 => Some(answer(429, "").with("retry-after", "20")),
        2 => Some(answer(429, "").with("retry-after", "Thu, 20 Aug 2026 10:01:00 GMT")),
        _ if seen.is_token_call() => None,
        _ => Some(answer(200, "{\"items\": []}")),
    })
    .await;
    let goto = bench.goto();
    let account = ACCOUNT.parse().unwrap();
    let (first, second) = tokio::join!(goto.phone_numbers(&account, Some), goto.extensions(&account, Some));
    assert!(first.is_ok() && second.is_ok());
    let seen = bench.seen();
    let api: Vec<_> = seen.iter().filter(|seen| !seen.is_token_call()).collect();
    let mut closed_until = start_of_time();
    for call in &api {
        assert!(call.at >= closed_until, "a call at {} inside the window to {closed_until}", call.at);
        match call.ordinal {
            1 => closed_until = call.at + SignedDuration::from_secs(20),
            2 => closed_until = in_seconds(60),
            _ => {}
        }
    }
    assert!(api.len() >= 4);
    assert_eq!(bench.records().iter().filter(|record| record.throttled).count(), 2);
}

/// T27: 300 s is the caller's to wait for; nothing is sent meanwhile.
#[tokio::test]
async fn a_long_closing_comes_back_at_once_with_its_end() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| answer(429, "").with("retry-after", "300"))).await;
    let goto = bench.goto();
    let expected = Class::Throttled { until: Some(bench.time.now() + SignedDuration::from_secs(300)) };
    assert_eq!(goto.me().await.unwrap_err().class(), expected);
    assert_eq!(goto.me().await.unwrap_err().class(), expected);
    assert_eq!(bench.lines().len(), 1);
    assert!(goto.closed_until().is_some());
}
