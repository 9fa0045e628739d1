//! `rig`: the limit is a middleware of the `reqwest-middleware` client that rig is given.
//!
//! With rig's feature `reqwest-middleware`, a `ClientWithMiddleware` can be used directly. That feature adds a TLS
//! stack, which a provider on loopback does not need, so this program implements rig's client trait itself.

use std::future::Future;

use axum::{
    body::Bytes,
    http::{Request, Response},
};
use futures_util::{FutureExt, TryFutureExt, TryStreamExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use rig_core::{
    client::CompletionClient,
    completion::{AssistantContent, CompletionModel},
    http_client::{Error, HttpClientExt, LazyBody, MultipartForm, StreamingResponse},
    providers::openai,
};
use zae_reqwest::OutgoingLimit;

use crate::{Failure, MODEL, client_reqwest::Answer, provider::Provider};

pub(crate) fn client(limit: &OutgoingLimit, provider: &Provider) -> Result<impl Fn(String) -> Answer + use<>, Failure> {
    let http = Limited(ClientBuilder::new(reqwest::Client::new()).with(limit.clone()).build());
    let client =
        openai::CompletionsClient::builder().api_key("none").base_url(provider.base()).http_client(http).build()?;
    Ok(move |question: String| -> Answer {
        let request = client.completion_model(MODEL).completion_request(question).max_tokens(50);
        Box::pin(async move {
            let answer = request.send().await?.choice.into_iter();
            let texts = answer.filter_map(|content| match content {
                AssistantContent::Text(text) => Some(text.text),
                _ => None,
            });
            Ok(texts.collect())
        })
    })
}

/// A limited client, as rig calls it.
#[derive(Clone, Debug, Default)]
struct Limited(ClientWithMiddleware);

type Sent = Result<reqwest::Response, Error>;

impl Limited {
    fn execute(&self, request: Request<Bytes>) -> impl Future<Output = Sent> + Send + use<> {
        let (parts, body) = request.into_parts();
        let request = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        async move {
            let response = request.send().await.map_err(|error| Error::Instance(error.into()))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let (status, headers) = (response.status(), Box::new(response.headers().clone()));
            let body = response.text().await.unwrap_or_default();
            Err(Error::InvalidStatusCodeWithDetails { status, body, headers })
        }
    }
}

fn with_body<B>(response: &reqwest::Response, body: B) -> Result<Response<B>, Error> {
    let mut whole = Response::builder().status(response.status()).body(body)?;
    *whole.headers_mut() = response.headers().clone();
    Ok(whole)
}

impl HttpClientExt for Limited {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>, Error>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        self.execute(request.map(Into::into)).map(|sent| {
            let response = sent?;
            let head = with_body(&response, ())?;
            let body = response.bytes().map_err(|error| Error::Instance(error.into())).map_ok(U::from).boxed();
            Ok(head.map(|()| body as LazyBody<U>))
        })
    }

    fn send_multipart<U>(
        &self,
        _: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>, Error>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        // This program uploads nothing.
        std::future::ready(Err(Error::Instance("this client sends no forms".into())))
    }

    fn send_streaming<T>(&self, request: Request<T>) -> impl Future<Output = Result<StreamingResponse, Error>> + Send
    where
        T: Into<Bytes> + Send,
    {
        self.execute(request.map(Into::into)).map(|sent| {
            let response = sent?;
            let head = with_body(&response, ())?;
            let stream = response.bytes_stream().map_err(|error| Error::Instance(error.into()));
            Ok(head.map(|()| Box::pin(stream) as _))
        })
    }
}
