//! Pauses that the provider asks for, in the process that receives them and in the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::time::Instant;
use zae_reqwest::{
    Admission, CallError, NotYet, OutgoingLimit, Pauses, RateLimiter, ResourceName, WaitReason, find,
    provider::{Answer, Verdict},
};

use crate::{
    bench::{Bench, chat, llm, per_minute},
    provider::Provider,
};

fn refusal(retry_after: &str) -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", retry_after)]).into_response()
}

fn client(limit: OutgoingLimit) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(limit.max_wait(Duration::ZERO)).build()
}

async fn process(bench: &Bench) -> RateLimiter {
    bench.limiter(per_minute(1_000, 1_000_000)).await
}

#[tokio::test]
async fn no_pause_and_no_wait_is_too_long_to_be_added() {
    let provider = Provider::scripted(|_| Some(refusal("18446744073709551615"))).await;
    for pauses in [Pauses::Local, Pauses::Shared] {
        let limiter = process(&Bench::running()).await;
        let limit = OutgoingLimit::new(&limiter).pauses(pauses).max_pause(Duration::MAX);
        for longest in [Duration::MAX, Duration::from_secs(i64::MAX.unsigned_abs() - 2_000_000_000)] {
            let client = ClientBuilder::new(reqwest::Client::new()).with(limit.clone().max_wait(longest)).build();
            let asked = client.post(provider.chat_url()).json(&chat(2)).send();
            let _ = tokio::time::timeout(Duration::from_millis(300), asked).await;
        }
    }
}

/// Makes a call; returns the status or the error.
async fn ask(client: &ClientWithMiddleware, provider: &Provider) -> Result<u16, NotYet> {
    match client.post(provider.chat_url()).json(&chat(2)).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => match CallError::find(&error) {
            Some(CallError::NotYet(not_yet)) => Err(not_yet.clone()),
            other => panic!("{other:?} {error:?}"),
        },
    }
}

async fn refused_then_boundless(retry_after: &'static str) -> Provider {
    Provider::scripted(move |number| (number == 0).then(|| refusal(retry_after))).await
}

#[tokio::test]
async fn what_one_process_is_told_all_keep() {
    let (bench, provider) = (Bench::at_a_standstill(), refused_then_boundless("40").await);
    let (first, second) = (process(&bench).await, process(&bench).await);
    let (here, there) = (client(llm(&first)), client(llm(&second)));
    assert_eq!(ask(&here, &provider).await.unwrap(), 429);
    for client in [&here, &there] {
        let not_yet = ask(client, &provider).await.unwrap_err();
        assert!(matches!(&not_yet.reason, WaitReason::Provider { said } if &**said == "429"), "{not_yet:?}");
        assert!(not_yet.retry_after > Duration::from_secs(30) && not_yet.retry_after <= Duration::from_secs(40));
        assert!(not_yet.to_string().contains("asked for a pause (429)"), "{not_yet}");
    }
    assert_eq!(provider.asked(), 1, "nobody called meanwhile");
}

#[tokio::test]
async fn a_pause_is_for_its_scope() {
    let (bench, provider) = (Bench::at_a_standstill(), refused_then_boundless("40").await);
    let limiter = process(&bench).await;
    let client = client(llm(&limiter));
    assert_eq!(ask(&client, &provider).await.unwrap(), 429);
    let mut other = chat(2);
    other["model"] = "gpt-6".into();
    assert_eq!(client.post(provider.chat_url()).json(&other).send().await.unwrap().status(), 200);

    // With the host as scope, the pause is for all models.
    let provider = refused_then_boundless("40").await;
    let limit = llm(&limiter).pause_scope(find::host()).max_wait(Duration::ZERO);
    let client = ClientBuilder::new(reqwest::Client::new()).with(limit).build();
    assert_eq!(ask(&client, &provider).await.unwrap(), 429);
    client.post(provider.chat_url()).json(&other).send().await.unwrap_err();
}

#[tokio::test]
async fn a_pause_may_stay_here_or_be_ignored() {
    for (mode, here, there) in [(Pauses::Local, false, true), (Pauses::Ignored, true, true)] {
        let (bench, provider) = (Bench::at_a_standstill(), refused_then_boundless("40").await);
        let (first, second) = (process(&bench).await, process(&bench).await);
        let (told, other) = (client(llm(&first).pauses(mode)), client(llm(&second)));
        assert_eq!(ask(&told, &provider).await.unwrap(), 429);
        assert_eq!(ask(&told, &provider).await.is_ok(), here, "{mode:?}");
        assert_eq!(ask(&other, &provider).await.is_ok(), there, "{mode:?}");
    }
}

#[tokio::test]
async fn no_pause_is_longer_than_the_cap_of_whoever_keeps_it() {
    let (bench, provider) = (Bench::at_a_standstill(), refused_then_boundless("99999999999").await);
    let (first, second) = (process(&bench).await, process(&bench).await);
    let told = client(llm(&first).max_pause(Duration::from_secs(50)));
    let other = client(llm(&second).max_pause(Duration::from_secs(20)));
    assert_eq!(ask(&told, &provider).await.unwrap(), 429);
    let here = ask(&told, &provider).await.unwrap_err().retry_after;
    let there = ask(&other, &provider).await.unwrap_err().retry_after;
    assert!(here > Duration::from_secs(40) && here <= Duration::from_secs(50), "{here:?}");
    assert!(there > Duration::from_secs(10) && there <= Duration::from_secs(20), "{there:?}");
}

#[tokio::test]
async fn a_call_waits_a_pause_out_and_then_is_made() {
    let (bench, provider) = (Bench::at_a_standstill(), refused_then_boundless("0.6").await);
    let limiter = process(&bench).await;
    let waits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waits);
    let limit = llm(&limiter).on_wait(move |wait| {
        assert!(matches!(wait.reason, WaitReason::Provider { .. }));
        count.fetch_add(1, Ordering::SeqCst);
    });
    let client = ClientBuilder::new(reqwest::Client::new()).with(limit).build();
    assert_eq!(ask(&client, &provider).await.unwrap(), 429);
    let response = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    let waited = response.extensions().get::<Admission>().unwrap().waited();
    assert!(response.status() == 200 && waited > Duration::from_millis(300), "{waited:?}");
    assert_eq!(waits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refusals_without_a_time_pause_longer_and_longer() {
    let bare = |_| Some(StatusCode::TOO_MANY_REQUESTS.into_response());
    let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(bare).await);
    let limiter = process(&bench).await;
    let limit = llm(&limiter);
    let scope = ResourceName::new("gpt-5").unwrap();
    let none = http::HeaderMap::new();
    let started = Instant::now();
    let learn = |sent| limit.learn_of(sent, &scope, StatusCode::TOO_MANY_REQUESTS, &none, b"");
    let (mut pauses, mut sent) = (Vec::new(), started);
    for _ in 0..8 {
        let pause = learn(sent).await.unwrap();
        pauses.push(pause.as_secs());
        // Each call that was sent before the pause had ended observes its remainder.
        for early in [started, sent] {
            let left = learn(early).await.unwrap();
            assert!(left <= pause && left + Duration::from_secs(1) > pause, "{left:?} of {pause:?}");
        }
        assert_eq!(limit.learn(&scope, StatusCode::BAD_GATEWAY, &none, b"").await, None, "neither pause nor success");
        sent = Instant::now() + pause;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(limit.learn(&scope, StatusCode::OK, &none, b"").await, None);
    let first = learn(sent + Duration::from_secs(60)).await;
    assert_eq!(first, Some(Duration::from_secs(1)), "a success starts over");
    assert_eq!(ask(&client(limit), &provider).await.unwrap(), 429, "another scope");
}

#[tokio::test]
async fn a_burst_that_is_refused_without_a_time_stops_its_callers_for_one_pause() {
    let bare = |_| Some(StatusCode::TOO_MANY_REQUESTS.into_response());
    let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(bare).await);
    let limiter = process(&bench).await;
    let client = client(llm(&limiter));
    for status in futures_util::future::join_all((0..8).map(|_| ask(&client, &provider))).await {
        assert_eq!(status.unwrap(), 429);
    }
    let not_yet = ask(&client, &provider).await.unwrap_err();
    assert!(not_yet.retry_after <= Duration::from_secs(1), "{not_yet:?}");
}

#[tokio::test]
async fn an_overloaded_provider_is_left_alone() {
    for status in [503, 529] {
        let bare = move |_| Some(StatusCode::from_u16(status).unwrap().into_response());
        let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(bare).await);
        let limiter = process(&bench).await;
        let client = client(llm(&limiter));
        assert_eq!(ask(&client, &provider).await.unwrap(), status);
        let not_yet = ask(&client, &provider).await.unwrap_err();
        assert!(matches!(&not_yet.reason, WaitReason::Provider { .. }), "{not_yet:?}");
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_no_pause() {
    let quota = |_| {
        let body = serde_json::json!({ "error": { "type": "insufficient_quota" } }).to_string();
        let headers = [("content-type", "application/json"), ("retry-after", "40")];
        Some((StatusCode::TOO_MANY_REQUESTS, headers, body).into_response())
    };
    let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(quota).await);
    let limiter = process(&bench).await;
    let client = client(llm(&limiter));
    let response = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    let answer = response.extensions().get::<Answer>().unwrap();
    assert_eq!(answer.verdict, Verdict::Never { reason: "insufficient_quota".into() });
    assert!(response.text().await.unwrap().contains("insufficient_quota"), "it is passed on whole");
    assert_eq!(ask(&client, &provider).await.unwrap(), 429);
}

#[tokio::test]
async fn the_last_of_a_window_pauses_before_anybody_is_refused() {
    let last = |number| {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")];
        (number == 0).then(|| (headers, "{}").into_response())
    };
    let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(last).await);
    let (first, second) = (process(&bench).await, process(&bench).await);
    assert_eq!(ask(&client(llm(&first)), &provider).await.unwrap(), 200);
    let not_yet = ask(&client(llm(&second)), &provider).await.unwrap_err();
    assert!(matches!(&not_yet.reason, WaitReason::Provider { said } if &**said == "nothing left"), "{not_yet:?}");
}

#[tokio::test]
async fn absurd_values_pause_nobody() {
    for value in ["-1", "NaN", "inf", "1e400", "never", "9999999999999999999999999999999999999999"] {
        let answer = move |_| {
            let names = ["x-ratelimit-reset", "anthropic-ratelimit-tokens-reset", "x-ratelimit-reset-requests"];
            let mut response = "{}".into_response();
            for name in names {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            for name in ["x-ratelimit-remaining", "x-ratelimit-remaining-requests"] {
                response.headers_mut().insert(name, "0".parse().unwrap());
            }
            Some(response)
        };
        let (bench, provider) = (Bench::at_a_standstill(), Provider::scripted(answer).await);
        let limiter = process(&bench).await;
        let client = client(llm(&limiter));
        for _ in 0..2 {
            assert_eq!(ask(&client, &provider).await.unwrap(), 200, "{value}");
        }
    }
}
