//! Telling CloudFormation how it went.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{http::HttpConnector, orchestrator::HttpRequest, result::ConnectorError},
    http::Request,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::Applied;
use crate::function::with_causes;

/// CloudFormation's own limit is 4096 bytes; ids of its own take up to 2 KiB of them.
const LONGEST_REASON: usize = 1_000;
/// What CloudFormation accepts in all.
const LONGEST_BODY: usize = 4_096;
/// How often an answer is sent before giving up; unheard, CloudFormation waits for an hour.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Sends answers to CloudFormation's presigned URLs.
#[derive(Clone, Debug)]
pub struct Responder {
    /// Reads the system's certificates when it is first used: most events are not CloudFormation's.
    connector: Arc<LazyLock<Connector>>,
}

/// Why an answer did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The URL in the event is none.
    #[error("the event's ResponseURL cannot be used: send the event as CloudFormation makes it")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody answered there.
    #[error(
        "CloudFormation could not be told the outcome: a function in a VPC needs a way to S3, a gateway endpoint for example"
    )]
    Unreachable(#[source] ConnectorError),
    /// It was refused.
    #[error(
        "CloudFormation refused the outcome with HTTP status {0}: it waits an hour for one, unless the stack's update is cancelled"
    )]
    Refused(u16),
}

impl Default for Responder {
    fn default() -> Self {
        let connector = || Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        Self { connector: Arc::new(LazyLock::new(connector)) }
    }
}

/// How it went.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    Success { id: &'a str, applied: &'a Applied },
    Failed { id: &'a str, reason: &'a str },
}

/// The document that CloudFormation waits for.
#[derive(Debug)]
pub(super) struct Response(Value);

impl Response {
    pub(super) fn new(event: &Value, outcome: Outcome<'_>) -> Self {
        let log = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|_| "unknown".to_owned());
        let log = format!("See CloudWatch Log Stream: {log}");
        let (status, id, reason, data) = match outcome {
            Outcome::Success { id, applied } => {
                let data = json!({
                    "status": "applied",
                    "created": applied.created.to_string(),
                    "updated": applied.updated.to_string(),
                    "deleted": applied.deleted.to_string(),
                });
                ("SUCCESS", id, log, data)
            }
            Outcome::Failed { id, reason } => ("FAILED", id, format!("{}. {log}", shortened(reason)), json!({})),
        };
        let copied = |name: &str| event.get(name).cloned().unwrap_or_default();
        Self(json!({
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": id,
            "StackId": copied("StackId"),
            "RequestId": copied("RequestId"),
            "LogicalResourceId": copied("LogicalResourceId"),
            "Data": data,
        }))
    }

    pub(super) fn status(&self) -> &str {
        self.0["Status"].as_str().unwrap_or_default()
    }

    fn body(&self) -> String {
        let body = self.0.to_string();
        if body.len() <= LONGEST_BODY {
            return body;
        }
        let mut shorter = self.0.clone();
        shorter["Reason"] = "See the function's log".into();
        shorter.to_string()
    }
}

fn shortened(reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    let mut short = String::new();
    for character in reason.chars() {
        // Quotes and the like take more room in JSON than here.
        if short.len() + 6 > LONGEST_REASON {
            short.push('…');
            break;
        }
        short.push(if character.is_control() { ' ' } else { character });
    }
    short
}

impl Responder {
    pub(super) async fn send(&self, url: &str, response: &Response) -> Result<(), ResponseError> {
        let body = response.body();
        let mut pause = FIRST_PAUSE;
        let mut tried = 1;
        loop {
            let sent = self.put(url, &body).await;
            match sent {
                Ok(()) => return Ok(()),
                Err(error @ ResponseError::Url(_)) => return Err(error),
                Err(error) if tried == TRIES => return Err(error),
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), tried, "answer to CloudFormation is sent again");
                }
            }
            tokio::time::sleep(pause).await;
            (pause, tried) = (pause * 2, tried + 1);
        }
    }

    async fn put(&self, url: &str, body: &str) -> Result<(), ResponseError> {
        let mut request: HttpRequest = Request::new(SdkBody::from(body));
        request.set_method("PUT").map_err(|error| ResponseError::Url(error.into()))?;
        request.set_uri(url.to_owned()).map_err(|error| ResponseError::Url(error.into()))?;
        // The URL's signature covers an empty content type.
        request.headers_mut().insert("content-type", "");
        request.headers_mut().insert("content-length", body.len().to_string());
        let answer = self.connector.call(request).await.map_err(ResponseError::Unreachable)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(ResponseError::Refused(status.as_u16())),
        }
    }
}
