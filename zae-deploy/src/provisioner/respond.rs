//! Notifies CloudFormation of outcomes.

use std::{
    net::{IpAddr, SocketAddr},
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
/// Maximum length of a response, in bytes, which is CloudFormation's limit.
const LONGEST_BODY: usize = 4_096;
/// Number of attempts to send a response; without one, CloudFormation waits for an hour.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Sends responses to CloudFormation's presigned URLs.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug)]
pub struct Responder {
    hosts: Hosts,
    /// Reads the system's certificates on first use: most events are not CloudFormation's.
    connector: Arc<LazyLock<Connector>>,
}

/// The reason why a response did not arrive.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The URL in the event is invalid.
    #[error("the event's ResponseURL cannot be used: send the event as CloudFormation makes it")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The URL in the event is not CloudFormation's own; nothing was changed, and nothing was sent.
    #[error(
        "the event's ResponseURL leads to '{0}', which is not CloudFormation in this region: nothing was changed; \
         send the event as CloudFormation makes it"
    )]
    Foreign(String),
    /// There was no response.
    #[error(
        "CloudFormation could not be told the outcome: a function in a VPC needs a way to S3, a gateway endpoint \
         for example"
    )]
    Unreachable(#[source] ConnectorError),
    /// The response was rejected.
    #[error(
        "CloudFormation refused the outcome with HTTP status {0}: it waits an hour for one, unless the stack's \
         update is cancelled"
    )]
    Refused(u16),
}

/// The hosts to which responses may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// CloudFormation's bucket for them, by its names in S3.
    CloudFormation(Vec<String>),
    /// This machine.
    Loopback,
}

impl Hosts {
    /// Returns the names of the bucket of `region`, which is named after the region, without its hyphens, and belongs
    /// to AWS.
    fn of_region(region: &str) -> Self {
        let bucket = format!("cloudformation-custom-resource-response-{}", region.replace('-', ""));
        let endpoints = [
            "s3.amazonaws.com".to_owned(),
            format!("s3.{region}.amazonaws.com"),
            format!("s3-{region}.amazonaws.com"),
            format!("s3.{region}.amazonaws.com.cn"),
            format!("s3.{region}.amazonaws.eu"),
        ];
        Self::CloudFormation(endpoints.map(|endpoint| format!("{bucket}.{endpoint}")).into())
    }

    /// Returns true if a URL with that scheme and authority is one of them.
    fn have(&self, scheme: &str, authority: &str) -> bool {
        match self {
            Self::CloudFormation(hosts) => scheme == "https" && hosts.iter().any(|host| host == authority),
            Self::Loopback => {
                let address = authority.parse::<SocketAddr>().map(|address| address.ip());
                let address = address.or_else(|_| authority.parse::<IpAddr>());
                scheme == "http" && address.is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// The outcome of an event.
#[derive(Clone, Copy)]
pub(super) enum ResourceOutcome<'a> {
    Success { id: &'a str, applied: &'a Applied },
    Failed { id: &'a str, reason: &'a str },
}

/// The document that CloudFormation expects.
#[derive(Debug)]
pub(super) struct Response(Value);

impl Response {
    pub(super) fn new(event: &Value, outcome: ResourceOutcome<'_>) -> Self {
        let log = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|_| "unknown".to_owned());
        let log = format!("See CloudWatch Log Stream: {log}");
        let (status, id, reason, data) = match outcome {
            ResourceOutcome::Success { id, applied } => {
                let data = json!({
                    "status": "applied",
                    "created": applied.created.to_string(),
                    "updated": applied.updated.to_string(),
                    "deleted": applied.deleted.to_string(),
                });
                ("SUCCESS", id, log, data)
            }
            ResourceOutcome::Failed { id, reason } => {
                ("FAILED", id, format!("{}. {log}", shortened(reason)), json!({}))
            }
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
        // Quotes and similar characters take more room in JSON than here.
        if short.len() + 6 > LONGEST_REASON {
            short.push('…');
            break;
        }
        short.push(if character.is_control() { ' ' } else { character });
    }
    short
}

impl Responder {
    /// Sends responses to CloudFormation in `region`; without one, to no host.
    pub(super) fn new(region: Option<&str>) -> Self {
        Self::to(region.map_or(Hosts::CloudFormation(Vec::new()), Hosts::of_region))
    }

    /// Sends responses to addresses of this machine.
    pub(super) fn local() -> Self {
        Self::to(Hosts::Loopback)
    }

    fn to(hosts: Hosts) -> Self {
        let connector = || Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        Self { hosts, connector: Arc::new(LazyLock::new(connector)) }
    }

    /// Checks that a response may be sent to `url`. The caller of the function chooses it, so a name that merely
    /// resembles CloudFormation's is not enough.
    pub(super) fn check(&self, url: &str) -> Result<(), ResponseError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if self.hosts.have(scheme, authority) {
            return Ok(());
        }
        let shown = authority.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(ResponseError::Foreign(shown))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: &str = "https://cloudformation-custom-resource-response";

    #[test]
    fn answers_go_to_the_bucket_of_the_region_in_every_form_of_its_name() {
        for (region, host) in [
            ("us-east-1", "-useast1.s3.amazonaws.com"),
            ("eu-west-1", "-euwest1.s3-eu-west-1.amazonaws.com"),
            ("eu-central-1", "-eucentral1.s3.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "-usgovwest1.s3.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "-cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
        ] {
            let responder = Responder::new(Some(region));
            for rest in ["/arn%3Aaws%3A?X-Amz-Signature=x", "?X-Amz-Signature=x"] {
                responder.check(&format!("{BUCKET}{host}{rest}")).unwrap();
            }
            assert!(responder.check(&format!("{BUCKET}{host}/").replace("https", "http")).is_err());
            Responder::new(Some("eu-north-1")).check(&format!("{BUCKET}{host}/")).unwrap_err();
            Responder::new(None).check(&format!("{BUCKET}{host}/")).unwrap_err();
        }
    }

    #[test]
    fn nothing_that_only_looks_like_it_is_answered() {
        let responder = Responder::new(Some("us-east-1"));
        for rest in [
            "-useast1.s3.amazonaws.com.evil.example/",
            "-useast1.s3.amazonaws.com:8443/",
            "-useast1.s3.amazonaws.com@evil.example/",
            "-useast1.s3.amazonaws.com\\@evil.example/",
            "-useast1-mine.s3.amazonaws.com/",
            "-mine.s3.amazonaws.com/",
            "-useast1.evil.example/.s3.amazonaws.com/",
        ] {
            responder.check(&format!("{BUCKET}{rest}")).unwrap_err();
        }
        for url in [
            "https://s3.amazonaws.com/cloudformation-custom-resource-response-useast1/x",
            "https://user@cloudformation-custom-resource-response-useast1.s3.amazonaws.com/",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:8080/",
            "",
        ] {
            let error = responder.check(url).unwrap_err().to_string();
            assert!(error.contains("nothing was changed"), "{error}");
        }
    }

    #[test]
    fn a_local_stack_answers_on_this_machine_alone() {
        let local = Responder::local();
        for url in ["http://127.0.0.1:4000/answer", "http://[::1]:4000/", "http://127.0.0.1/"] {
            local.check(url).unwrap();
        }
        for url in [
            "http://10.0.0.1:80/",
            "http://example.com/",
            "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/",
            "http://127.0.0.1@evil.example/",
        ] {
            local.check(url).unwrap_err();
        }
    }
}
