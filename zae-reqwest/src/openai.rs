//! The limit for `async-openai`: [`OpenAiService`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use reqwest::Response;
use tower_layer::Layer;
use tower_service::Service;

use crate::{error::ServiceError, outgoing::OutgoingLimit, service::LimitedService};

/// A service for `async_openai::Client::with_http_service`; created by [`OutgoingLimit::openai`].
///
/// If the call is not made, the client's error is [`OpenAIError::Boxed`], from which
/// [`CallError::find`](crate::CallError::find) extracts the reason.
///
/// See [`OutgoingLimit::openai`] for an example.
#[derive(Clone, Debug)]
pub struct OpenAiService {
    limited: LimitedService<reqwest::Client>,
}

impl OutgoingLimit {
    /// Creates a service for `async_openai::Client::with_http_service`.
    ///
    /// Each call of the service is charged. `async-openai` does not retry by itself once it is given a service; put its
    /// retry layer around this one, and each attempt waits its turn and is charged:
    ///
    /// ```
    /// # fn example(limit: zae_reqwest::OutgoingLimit) {
    /// use async_openai::{Client, config::OpenAIConfig, middleware::retry::OpenAIRetryLayer};
    /// use tower::Layer;
    /// let service = OpenAIRetryLayer::default().layer(limit.openai(reqwest::Client::new()));
    /// let client = Client::with_config(OpenAIConfig::default()).with_http_service(service);
    /// # }
    /// ```
    pub fn openai(&self, client: reqwest::Client) -> OpenAiService {
        OpenAiService { limited: self.layer(client) }
    }
}

impl Service<HttpRequestFactory> for OpenAiService {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        self.limited.poll_ready(context).map_err(OpenAIError::from)
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        // The instance that was polled ready is the one that must be called; the clone waits for its own turn.
        let not_ready = self.limited.clone();
        let mut ready = std::mem::replace(&mut self.limited, not_ready);
        Box::pin(async move {
            let request = factory.build().await?;
            Ok(ready.call(request).await?)
        })
    }
}

impl From<ServiceError<reqwest::Error>> for OpenAIError {
    fn from(error: ServiceError<reqwest::Error>) -> Self {
        match error {
            ServiceError::Inner(error) => Self::Reqwest(error),
            limited @ ServiceError::Limited(_) => Self::Boxed(Box::new(limited)),
        }
    }
}
