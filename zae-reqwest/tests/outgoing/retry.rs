//! Combination with retry layers: which of them charge each attempt, and how they treat our errors.

use std::time::Duration;

use async_openai::middleware::retry::OpenAIRetryLayer;
use axum::{http::StatusCode, response::IntoResponse};
use reqwest_middleware::{ClientBuilder, Error};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tower::{Layer, ServiceExt};
use zae_reqwest::{Admission, CallError, Pauses, RateLimiter, Refusals};

use crate::{
    bench::{chat, left, limiter, llm},
    provider::{Provider, axum_json},
};

/// Creates a provider that fails twice.
async fn flaky() -> Provider {
    Provider::scripted(|number| (number < 2).then(|| StatusCode::BAD_GATEWAY.into_response())).await
}

fn retries() -> RetryTransientMiddleware<ExponentialBackoff> {
    let bounds = (Duration::from_millis(1), Duration::from_millis(2));
    let policy = ExponentialBackoff::builder().retry_bounds(bounds.0, bounds.1).build_with_max_retries(3);
    RetryTransientMiddleware::new_with_policy(policy)
}

async fn requests(limiter: &RateLimiter) -> i64 {
    100 - left(limiter, "gpt-5").await.0
}

#[tokio::test]
async fn inside_of_a_retry_middleware_each_attempt_is_charged() {
    let (provider, limiter) = (flaky().await, limiter(100, 10_000).await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(retries()).with(llm(&limiter)).build();
    let response = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), provider.asked()), (200, 3));
    assert!(!response.extensions().get::<Admission>().unwrap().lease().is_settled(), "the last attempt's own lease");
    response.bytes().await.unwrap();
    assert_eq!(requests(&limiter).await, 3);
}

#[tokio::test]
async fn outside_of_a_retry_middleware_all_attempts_are_charged_once() {
    let (provider, limiter) = (flaky().await, limiter(100, 10_000).await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(llm(&limiter)).with(retries()).build();
    let response = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), provider.asked()), (200, 3));
    response.bytes().await.unwrap();
    assert_eq!(requests(&limiter).await, 1);
}

#[tokio::test]
async fn a_refusal_is_told_through_a_retry_middleware_and_not_retried() {
    let provider = Provider::boundless().await;
    let limiter = limiter(1, 10_000).await;
    let limit = llm(&limiter).max_wait(Duration::ZERO);
    let client = ClientBuilder::new(reqwest::Client::new()).with(retries()).with(limit).build();
    client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    let error = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap_err();
    assert!(matches!(error, Error::Middleware(_)));
    assert_eq!(CallError::find(&error).and_then(CallError::retry_after), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_refusal_for_good_is_retried_unless_it_is_an_error() {
    let quota = |_| {
        let error = serde_json::json!({ "error": { "type": "insufficient_quota", "code": "insufficient_quota" } });
        Some((StatusCode::TOO_MANY_REQUESTS, axum_json(&error)).into_response())
    };
    for (refusals, asked) in [(Refusals::PassOn, 4), (Refusals::Fail, 1)] {
        let (provider, limiter) = (Provider::scripted(quota).await, limiter(100, 10_000).await);
        let limit = llm(&limiter).refusals(refusals);
        let client = ClientBuilder::new(reqwest::Client::new()).with(retries()).with(limit).build();
        let result = client.post(provider.chat_url()).json(&chat(2)).send().await;
        assert_eq!(provider.asked(), asked, "{refusals:?}");
        match result {
            Ok(response) => assert_eq!(response.status(), 429),
            Err(error) => {
                let Some(CallError::RefusedForGood(refusal)) = CallError::find(&error) else { panic!("{error:?}") };
                assert_eq!((refusal.status.as_u16(), refusal.reason.as_str()), (429, "insufficient_quota"));
                assert!(refusal.body.starts_with(b"{\"error\""));
            }
        }
    }
}

#[tokio::test]
async fn a_request_cloned_with_its_extensions_gets_a_lease_of_its_own() {
    let (provider, limiter) = (Provider::boundless().await, limiter(100, 10_000).await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(llm(&limiter)).build();
    let mut request = client.post(provider.chat_url()).json(&chat(2));
    let first = request.try_clone().unwrap().send().await.unwrap();
    // Simulates copying a response's extensions into the next request.
    *request.extensions() = first.extensions().clone();
    first.bytes().await.unwrap();
    let second = request.send().await.unwrap();
    assert!(!second.extensions().get::<Admission>().unwrap().lease().is_settled());
    second.bytes().await.unwrap();
    assert_eq!(requests(&limiter).await, 2);
}

#[tokio::test]
async fn inside_of_openais_retry_layer_each_attempt_is_charged() {
    let (provider, limiter) = (flaky().await, limiter(100, 10_000).await);
    let limit = llm(&limiter).pauses(Pauses::Ignored);
    let service = OpenAIRetryLayer::new(3).layer(limit.openai(reqwest::Client::new()));
    let url = provider.chat_url();
    let factory = async_openai::middleware::HttpRequestFactory::new(move || {
        let request = reqwest::Client::new().post(&url).json(&chat(2)).build().unwrap();
        async move { Ok(request) }
    });
    let response = service.oneshot(factory).await.unwrap();
    assert_eq!((response.status().as_u16(), provider.asked()), (200, 3));
    response.bytes().await.unwrap();
    assert_eq!(requests(&limiter).await, 3);
}
