//! The published `async-openai`, unmodified.

use std::time::Duration;

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    types::chat::{
        ChatCompletionRequestUserMessageArgs, ChatCompletionStreamOptions, CreateChatCompletionRequest,
        CreateChatCompletionRequestArgs,
    },
};
use futures_util::StreamExt;
use zae_reqwest::{Admission, CallError, OutgoingLimit, RateLimiter};

use crate::{
    bench::{left, limiter, llm},
    provider::Provider,
};

fn client(limit: &OutgoingLimit, provider: &Provider) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", provider.url)).with_api_key("test");
    Client::with_config(config).with_http_service(limit.openai(reqwest::Client::new()))
}

fn request(options: Option<ChatCompletionStreamOptions>) -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default().content("Tell me a story").build().unwrap();
    let mut request = CreateChatCompletionRequestArgs::default()
        .model("gpt-5")
        .max_completion_tokens(300_u32)
        .messages([message.into()])
        .build()
        .unwrap();
    request.stream_options = options;
    request
}

#[tokio::test]
async fn what_holds_a_client_is_debugged_without_what_it_sends() {
    let (provider, limiter) = (Provider::boundless().await, limiter(100, 10_000).await);
    let headers = [(reqwest::header::AUTHORIZATION, "Bearer sk-secret".parse().unwrap())];
    let client = reqwest::Client::builder().default_headers(headers.into_iter().collect()).build().unwrap();
    let limit = OutgoingLimit::new(&limiter);
    let called = reqwest_middleware::ClientBuilder::new(client.clone()).with(limit.clone()).build();
    let called = called.post(provider.chat_url()).json(&crate::bench::chat(2)).send().await.unwrap();
    for (what, text) in [
        ("OutgoingLimit", format!("{limit:?}")),
        ("LimitedService", format!("{:?}", tower::Layer::layer(&limit, client.clone()))),
        ("OpenAiService", format!("{:?}", limit.openai(client))),
        ("Admission", format!("{:?}", called.extensions().get::<Admission>().unwrap())),
    ] {
        assert!(
            text.starts_with(what) && text.len() <= 600 && !text.contains('\n'),
            "{} bytes: {text:.900}",
            text.len()
        );
        assert!(!text.contains("secret"), "{text}");
    }
}

async fn tokens(limiter: &RateLimiter) -> i64 {
    10_000 - left(limiter, "gpt-5").await.1
}

#[tokio::test]
async fn a_chat_costs_what_is_reported() {
    let (provider, limiter) = (Provider::boundless().await, limiter(100, 10_000).await);
    let response = client(&llm(&limiter), &provider).chat().create(request(None)).await.unwrap();
    let usage = response.usage.unwrap();
    assert_eq!(usage.completion_tokens, 150);
    assert_eq!(tokens(&limiter).await, i64::from(usage.total_tokens));
}

#[tokio::test]
async fn a_streamed_chat_costs_what_is_reported() {
    let (provider, limiter) = (Provider::boundless().await, limiter(100, 10_000).await);
    let options = ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None };
    let mut stream = client(&llm(&limiter), &provider).chat().create_stream(request(Some(options))).await.unwrap();
    let (mut text, mut usage) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        text.extend(chunk.choices.iter().filter_map(|choice| choice.delta.content.as_deref()));
        usage = chunk.usage.or(usage);
    }
    drop(stream);
    assert_eq!(text.split_whitespace().count(), 150);
    assert_eq!(tokens(&limiter).await, i64::from(usage.unwrap().total_tokens));
}

#[tokio::test]
async fn its_error_says_when_to_retry() {
    let (provider, limiter) = (Provider::boundless().await, limiter(1, 10_000).await);
    let client = client(&llm(&limiter).max_wait(Duration::ZERO), &provider);
    client.chat().create(request(None)).await.unwrap();
    let error = client.chat().create(request(None)).await.unwrap_err();
    assert!(matches!(error, OpenAIError::Boxed(_)), "{error:?}");
    assert_eq!(CallError::find(&error).unwrap().retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(provider.asked(), 1);
}
