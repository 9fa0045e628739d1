//! A response is the same as without the limit.

use axum::{http::StatusCode, response::IntoResponse};
use reqwest::{Client, Response};
use reqwest_middleware::ClientBuilder;
use tower::{Layer, Service, ServiceExt};
use zae_reqwest::{
    Admission,
    provider::{Answer, Verdict},
};

use crate::{
    bench::{chat, limiter, llm},
    provider::Provider,
};

fn facts(response: &Response) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut headers = response.headers().clone();
    headers.remove("date");
    let address = response.remote_addr().map(|address| address.port());
    (response.url().clone(), response.version(), response.status(), headers, address, response.content_length())
}

#[tokio::test]
async fn url_version_address_headers_and_length_stay() {
    let provider = Provider::boundless().await;
    let limiter = limiter(100, 10_000).await;
    let url = format!("{}?key=secret", provider.chat_url());
    for body in [chat(100), crate::bench::streaming(chat(100))] {
        let plain = Client::new().post(&url).json(&body).send().await.unwrap();
        let by_middleware = ClientBuilder::new(Client::new()).with(llm(&limiter)).build();
        let by_middleware = by_middleware.post(&url).json(&body).send().await.unwrap();
        let request = Client::new().post(&url).json(&body).build().unwrap();
        let by_layer = llm(&limiter).layer(Client::new()).oneshot(request).await.unwrap();
        assert!(plain.remote_addr().is_some() && plain.url().query() == Some("key=secret"));
        for limited in [by_middleware, by_layer] {
            assert_eq!(facts(&limited), facts(&plain));
            assert!(limited.extensions().get::<Admission>().is_some());
            assert_eq!(limited.extensions().get::<Answer>().unwrap().verdict, Verdict::Served);
            assert!(!format!("{limited:?}").contains("no.url.provided"));
        }
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_arrives_whole_however_long_it_is() {
    let long = "x".repeat(300_000);
    for body in ["", "{}", &long] {
        let answer = body.to_owned();
        let status = StatusCode::TOO_MANY_REQUESTS;
        let provider = Provider::scripted(move |_| Some((status, answer.clone()).into_response())).await;
        let limiter = limiter(100, 10_000).await;
        let client = ClientBuilder::new(Client::new()).with(llm(&limiter)).build();
        let response = client.post(provider.chat_url()).json(&chat(2)).send().await.unwrap();
        assert_eq!(response.content_length(), Some(body.len() as u64));
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_where_that_is_wished_for_and_known() {
    let provider = Provider::boundless().await;
    let limiter = limiter(100, 10_000).await;
    let accounting = zae_reqwest::llm::Accounting::new(zae_reqwest::llm::Tariff::openai()).include_usage();
    let client = ClientBuilder::new(Client::new()).with(llm(&limiter).llm(accounting)).build();
    let mut body = chat(2);
    body["stream"] = true.into();
    let answer = client.post(provider.chat_url()).json(&body).send().await.unwrap().text().await.unwrap();
    assert!(answer.ends_with("data: [DONE]\n\n") && !answer.contains("\"usage\""), "the caller did not ask: {answer}");
    let (headers, sent) = provider.last();
    assert!(String::from_utf8_lossy(&sent).contains(r#""stream_options":{"include_usage":true}"#), "{sent:?}");
    assert_eq!(headers["content-length"].to_str().unwrap(), sent.len().to_string());
    client.post(provider.messages_url()).json(&body).send().await.unwrap();
    assert_eq!(provider.last().1, body.to_string(), "Anthropic does not know it");
}

/// A service that is ready once, and only for the instance that was polled.
#[derive(Debug)]
struct Careful {
    client: Client,
    ready: bool,
}

impl Clone for Careful {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), ready: false }
    }
}

impl Service<reqwest::Request> for Careful {
    type Response = Response;
    type Error = reqwest::Error;
    type Future = <Client as Service<reqwest::Request>>::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), reqwest::Error>> {
        self.ready = true;
        self.client.poll_ready(context)
    }

    fn call(&mut self, request: reqwest::Request) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        self.client.call(request)
    }
}

#[tokio::test]
async fn the_layer_calls_the_instance_that_was_ready() {
    let provider = Provider::boundless().await;
    let limiter = limiter(100, 10_000).await;
    let mut service = llm(&limiter).layer(Careful { client: Client::new(), ready: false });
    for _ in 0..2 {
        let request = Client::new().post(provider.chat_url()).json(&chat(2)).build().unwrap();
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_body_that_streams_out_is_sent_and_not_looked_at() {
    let provider = Provider::boundless().await;
    let limiter = limiter(100, 10_000).await;
    let limit = llm(&limiter);
    let client = ClientBuilder::new(Client::new()).with(limit).build();
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(chat(2).to_string())]);
    let request = client.post(provider.chat_url()).body(reqwest::Body::wrap_stream(chunks));
    let response = request.send().await.unwrap();
    let resource = response.extensions().get::<Admission>().unwrap().resource().to_string();
    assert!(resource.starts_with("route/127.0.0.1"), "no model is seen: {resource}");
    assert_eq!(response.status(), 200);
}
