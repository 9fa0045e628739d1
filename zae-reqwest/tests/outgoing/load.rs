//! 32 callers against a provider that enforces its limits: through each form of client, no call is refused once the
//! load has settled, and at least nine tenths of the provider's limit are used; without the limit hundreds are refused.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use async_openai::{Client as OpenAi, config::OpenAIConfig, types::chat::CreateChatCompletionRequest};
use reqwest::Client;
use reqwest_middleware::ClientBuilder;
use serde_json::Value;
use tower::{Layer, ServiceExt};
use zae_reqwest::{
    Limit, OutgoingLimit,
    llm::{SettleFrom, Tariff, Usage},
};

use crate::{
    bench::{Bench, chat, llm, streaming},
    provider::Provider,
};

const CALLERS: usize = 32;
/// Number of requests that the provider serves in a second.
const RATE: u64 = 50;
/// Ours stays a little below: what is sent evenly does not arrive so.
const OUR_RATE: u64 = 48;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(2);

/// One load at a time, because they would compete for the machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

type Call = Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

fn call<F, W>(function: F) -> Call
where
    F: Fn(usize) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |index| Box::pin(function(index)))
}

async fn limit() -> OutgoingLimit {
    let requests = Limit::per_second("rpm", OUR_RATE).unwrap().with_burst(RATE / 5).unwrap();
    let limiter = Bench::running().limiter([requests, Limit::per_second("tpm", 1_000_000).unwrap()]).await;
    llm(&limiter)
}

/// Makes all callers call, one call after the other; returns what the provider served and refused during the
/// measurement. Repeated up to twice if it served less than `enough`, because other work on the machine only slows the
/// callers.
async fn under_load(provider: &Provider, call: Call, enough: u64) -> (u64, u64) {
    let _alone = ALONE.lock().await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let call = Arc::clone(&call);
            tokio::spawn(async move {
                loop {
                    call(caller).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let (start, mut served) = (provider.counts(), 0);
    for _ in 0..3 {
        let before = provider.counts();
        tokio::time::sleep(MEASURED).await;
        served = served.max(provider.counts().0 - before.0);
        if served >= enough {
            break;
        }
    }
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    (served, provider.counts().1 - start.1)
}

async fn through(provider: &Provider, seam: &str, call: Call) {
    let permitted = RATE * MEASURED.as_secs();
    let (served, refused) = under_load(provider, call, (permitted * 9).div_ceil(10)).await;
    println!("{seam}: {served} of {permitted} served, {refused} refused");
    assert_eq!(refused, 0, "{seam}");
    assert!(served * 10 >= permitted * 9, "{seam}: {served} of {permitted}");
}

/// Both formats, streamed and not.
fn mixed(provider: &Provider, caller: usize) -> (String, Value) {
    let url = if caller.is_multiple_of(2) { provider.chat_url() } else { provider.messages_url() };
    (url, if caller.is_multiple_of(4) { chat(20) } else { streaming(chat(20)) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_middleware() {
    let provider = Arc::new(Provider::limited(RATE as f64).await);
    let client = ClientBuilder::new(Client::new()).with(limit().await).build();
    let asked = Arc::clone(&provider);
    let seam = call(move |caller| {
        let (url, body) = mixed(&asked, caller);
        let request = client.post(url).json(&body);
        async move { drop(request.send().await.unwrap().bytes().await.unwrap()) }
    });
    through(&provider, "reqwest-middleware", seam).await;
}

/// Calls are estimated at 23 tokens and use 15: the provider's tokens can only be used up if settlements are immediate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tokens_are_what_binds() {
    const USED: u64 = 15;
    let provider = Arc::new(Provider::limited_in_tokens((RATE * USED) as f64).await);
    let tokens = Limit::per_second("tpm", OUR_RATE * USED).unwrap().with_burst(RATE * USED / 5).unwrap();
    let limiter = Bench::running().limiter([Limit::per_second("rpm", 1_000_000).unwrap(), tokens]).await;
    let client = ClientBuilder::new(Client::new()).with(llm(&limiter)).build();
    let asked = Arc::clone(&provider);
    let seam = call(move |caller| {
        let (url, body) = mixed(&asked, caller);
        let request = client.post(url).json(&body);
        async move { drop(request.send().await.unwrap().bytes().await.unwrap()) }
    });
    through(&provider, "tokens", seam).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_layer() {
    let provider = Arc::new(Provider::limited(RATE as f64).await);
    let service = limit().await.layer(Client::new());
    let asked = Arc::clone(&provider);
    let seam = call(move |caller| {
        let (url, body) = mixed(&asked, caller);
        let request = Client::new().post(url).json(&body).build().unwrap();
        let service = service.clone();
        async move { drop(service.oneshot(request).await.unwrap().bytes().await.unwrap()) }
    });
    through(&provider, "tower", seam).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_async_openai() {
    let provider = Provider::limited(RATE as f64).await;
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", provider.url)).with_api_key("test");
    let client = OpenAi::with_config(config).with_http_service(limit().await.openai(Client::new()));
    let seam = call(move |_| {
        let client = client.clone();
        let request: CreateChatCompletionRequest = serde_json::from_value(chat(20)).unwrap();
        async move { drop(client.chat().create(request).await.unwrap()) }
    });
    through(&provider, "async-openai", seam).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_call_site() {
    let provider = Arc::new(Provider::limited(RATE as f64).await);
    let (limit, client) = (limit().await, Client::new());
    let asked = Arc::clone(&provider);
    let seam = call(move |caller| {
        let (limit, client, (url, body)) = (limit.clone(), client.clone(), mixed(&asked, caller));
        async move {
            let tariff = Tariff::openai();
            let permit = limit.acquire("team-1", "gpt-5", tariff.cost(&Usage::new(5, 20))).await.unwrap();
            drop(client.post(url).json(&body).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap());
            drop(permit.settle_from(&Usage::new(5, 10), &tariff).unwrap());
        }
    });
    through(&provider, "call site", seam).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_limit_hundreds_are_refused() {
    let provider = Arc::new(Provider::limited(RATE as f64).await);
    let (client, asked) = (Client::new(), Arc::clone(&provider));
    let seam = call(move |caller| {
        let (url, body) = mixed(&asked, caller);
        let request = client.post(url).json(&body);
        async move { drop(request.send().await.unwrap().bytes().await.unwrap()) }
    });
    let (served, refused) = under_load(&provider, seam, 0).await;
    println!("without: {served} served, {refused} refused");
    assert!(refused >= 200, "{refused}");
}
