//! Plain `reqwest`: the limit is a Tower layer, and `reqwest::Client` is the service under it.

use std::{future::Future, pin::Pin};

use axum::http::Method;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use zae_reqwest::OutgoingLimit;

use crate::{Failure, MODEL, provider::Provider};

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<String, Failure>> + Send>>;

pub(crate) fn client(limit: &OutgoingLimit, provider: &Provider) -> impl Fn(String) -> Answer + use<> {
    let service = limit.layer(reqwest::Client::new());
    let url = provider.chat_url();
    move |question| {
        let (service, url) = (service.clone(), url.clone());
        Box::pin(async move {
            let mut request = reqwest::Request::new(Method::POST, url.parse()?);
            request.headers_mut().insert("content-type", "application/json".parse()?);
            *request.body_mut() = Some(body(&question).to_string().into());
            let response = service.oneshot(request).await?.error_for_status()?;
            Ok(text(&response.json().await?))
        })
    }
}

pub(crate) fn body(question: &str) -> Value {
    json!({ "model": MODEL, "max_completion_tokens": 50, "messages": [{ "role": "user", "content": question }] })
}

pub(crate) fn text(answer: &Value) -> String {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}
