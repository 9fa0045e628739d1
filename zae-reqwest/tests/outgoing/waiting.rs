//! Waiting: up to the maximum, in order, and without losing anything.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use zae_reqwest::{
    AcquireError, Admission, CallError, Cost, EntityId, Limit, MaxWait, OutgoingLimit, ResourceName, WaitReason, find,
};

use crate::{
    bench::{Bench, chat, left, limiter, llm},
    provider::Provider,
};

fn client(limit: OutgoingLimit) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(limit).build()
}

/// One request at once, and this many per second.
fn one_then(per_second: u64) -> Limit {
    Limit::per_second("rpm", per_second).unwrap().with_burst(1).unwrap()
}

#[tokio::test]
async fn a_call_waits_and_says_so() {
    let provider = Provider::boundless().await;
    let limiter = Bench::running().limiter([one_then(10)]).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let limit = OutgoingLimit::new(&limiter).on_wait(move |wait| {
        tell.lock().unwrap().push((wait.reason.as_str(), wait.entity.to_string(), wait.expected));
    });
    let client = client(limit);
    let first = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    assert_eq!(first.extensions().get::<Admission>().unwrap().waited(), Duration::ZERO);
    assert!(told.lock().unwrap().is_empty());

    let second = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    let admission = second.extensions().get::<Admission>().unwrap();
    let told = told.lock().unwrap();
    assert!(admission.waited() >= Duration::from_millis(10), "{admission:?}");
    assert_eq!((told[0].0, told[0].1.as_str()), ("limit", zae_reqwest::DEFAULT_ENTITY));
    assert!(told[0].2 <= Duration::from_millis(130), "a turn of jitter at most: {told:?}");
}

#[tokio::test]
async fn a_call_that_would_wait_too_long_fails_at_once_and_says_when() {
    let provider = Provider::boundless().await;
    let limiter = limiter(1, 1_000).await;
    let client = client(OutgoingLimit::new(&limiter).max_wait(Duration::from_secs(59)));
    client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
    let error = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap_err();
    let Some(CallError::NotYet(not_yet)) = CallError::find(&error) else { panic!("{error:?}") };
    assert_eq!((not_yet.retry_after, not_yet.waited), (Duration::from_secs(60), Duration::ZERO));
    assert!(matches!(not_yet.reason, WaitReason::Limit(_)));
    let text = error.to_string();
    assert!(text.contains("rpm") && text.contains("Retry after 60.0s"), "{text}");
    assert_eq!(provider.asked(), 1, "it was not sent");
}

#[tokio::test]
async fn one_call_may_wait_longer_or_shorter_than_the_others() {
    let provider = Provider::boundless().await;
    let limiter = Bench::running().limiter([one_then(5)]).await;
    let client = client(OutgoingLimit::new(&limiter).max_wait(Duration::ZERO));
    let request = || client.post(provider.chat_url()).json(&chat(2));
    request().send().await.unwrap();
    assert!(CallError::find(&request().send().await.unwrap_err()).is_some());
    request().with_extension(MaxWait(Duration::from_secs(20))).send().await.unwrap();
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn nothing_is_lost_with_a_call_that_stops_waiting() {
    let provider = Provider::boundless().await;
    let limiter = limiter(2, 1_000).await;
    let limit = OutgoingLimit::new(&limiter).resource(ResourceName::new("gpt-5").unwrap());
    let one = client(limit.clone().cost(Cost::of("rpm", 1)).max_wait(Duration::from_secs(3600)));
    let two = client(limit.cost(Cost::of("rpm", 2)).max_wait(Duration::from_secs(3600)));
    one.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();

    let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(two.post(provider.chat_url()).json(&chat(2)).send())).collect();
    tokio::time::timeout(Duration::from_millis(200), async {
        while !waiting.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_err();
    for call in waiting {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    // The line is gone with them: a smaller call is served immediately.
    let now = one.post(provider.chat_url()).json(&chat(2)).with_extension(MaxWait(Duration::ZERO));
    now.send().await.unwrap();
    assert_eq!(left(&limiter, "gpt-5").await, (0, 1_000));
}

#[tokio::test]
async fn a_large_call_is_not_overtaken_for_ever() {
    let provider = Provider::boundless().await;
    let limiter = Bench::running().limiter([Limit::per_second("rpm", 50).unwrap().with_burst(10).unwrap()]).await;
    let limit = OutgoingLimit::new(&limiter)
        .cost(find::from_fn(|call| Some(Cost::of("rpm", call.json()?.get("max_tokens")?.as_u64()?))));
    let client = client(limit);
    let call = |cost: u64| client.post(provider.chat_url()).json(&chat(cost)).send();
    call(10).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for (index, cost) in [10, 1, 1, 1].into_iter().enumerate() {
        let (call, order) = (call(cost), Arc::clone(&order));
        calls.push(tokio::spawn(async move {
            call.await.unwrap();
            order.lock().unwrap().push(index);
        }));
        // In this order.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(order.lock().unwrap()[0], 0, "the large one came first: {order:?}");
}

#[tokio::test]
async fn never_is_not_not_yet() {
    let provider = Provider::boundless().await;
    let limiter = limiter(10, 100).await;
    let error = client(llm(&limiter)).post(provider.chat_url()).json(&chat(500)).send().await.unwrap_err();
    let found = CallError::find(&error).unwrap();
    assert!(matches!(found, CallError::Limiter(AcquireError::NeverFits(_))), "{found:?}");
    assert_eq!(found.retry_after(), None);
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn without_limits_the_call_is_not_made_and_the_error_says_what_to_do() {
    let provider = Provider::boundless().await;
    let limiter = Bench::at_a_standstill().limiter([Limit::per_minute("tpm", 100).unwrap()]).await;
    // The cost counts requests, and no limit does.
    let error = client(OutgoingLimit::new(&limiter)).get(provider.chat_url()).send().await.unwrap_err();
    assert!(matches!(CallError::find(&error), Some(CallError::Limiter(AcquireError::Invalid(_)))), "{error:?}");
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn who_and_what_are_found_in_the_request() {
    let provider = Provider::boundless().await;
    let limiter = limiter(10, 1_000).await;
    let client = client(OutgoingLimit::new(&limiter).resource(find::json::<ResourceName>("/model")));
    let mut body = chat(2);
    let request = client.post(provider.chat_url()).json(&body).with_extension(EntityId::new("team-1").unwrap());
    let response = request.send().await.unwrap();
    let admission = response.extensions().get::<Admission>().unwrap();
    assert_eq!((admission.entity().as_str(), admission.resource().as_str()), ("team-1", "gpt-5"));
    assert_eq!(admission.statuses()[0].available, 9);

    // Without a model the resource is the host; addresses get a hash, because names begin with a letter.
    body.as_object_mut().unwrap().remove("model");
    let response = client.post(provider.chat_url()).json(&body).send().await.unwrap();
    let resource = response.extensions().get::<Admission>().unwrap().resource().to_string();
    assert!(resource.starts_with("route/127.0.0.1-"), "{resource}");

    let twice = r#"{"model":"gpt-5","model":"gpt-4"}"#;
    let error = client.post(provider.chat_url()).body(twice).send().await.unwrap_err();
    assert!(matches!(CallError::find(&error), Some(CallError::Unusable(_))), "{error:?}");
}
