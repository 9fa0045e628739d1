//! Lambda's Invoke call for the stack's functions, and STS for the question who is calling.

use std::time::Duration;

use axum::{
    body::Bytes,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use zae_limiter::StackName;

use crate::{aggregator::Aggregator, package::Function, provisioner::Functions};

/// As long as the deployed function may take.
const TIME: Duration = Duration::from_secs(300);

/// The functions.
#[derive(Clone, Debug)]
pub(super) struct Lambda {
    pub(super) stack: StackName,
    pub(super) provisioner: Functions,
    pub(super) aggregator: Aggregator,
}

impl Lambda {
    /// Answers `POST /2015-03-31/functions/{name}/invocations`. The name may be an ARN.
    pub(super) async fn invoke(&self, name: &str, body: &Bytes) -> Response {
        let name = name.split(':').skip_while(|part| *part != "function").nth(1).unwrap_or(name);
        let event: Value = match serde_json::from_slice(if body.is_empty() { b"{}" } else { body }) {
            Ok(event) => event,
            Err(error) => {
                let problem = format!("Could not parse request body into json: {error}");
                return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &problem);
            }
        };
        if name == Function::Provisioner.name_in(&self.stack) {
            return match self.provisioner.handle(&event, TIME).await {
                Ok(answer) => axum::Json(answer).into_response(),
                Err(error) => {
                    let answer = json!({"errorType": "HandlerError", "errorMessage": error.to_string()});
                    ([("x-amz-function-error", "Unhandled")], axum::Json(answer)).into_response()
                }
            };
        }
        if name == Function::Aggregator.name_in(&self.stack) {
            let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
            return axum::Json(self.aggregator.process(records, None).await.to_json()).into_response();
        }
        refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &format!("Function not found: {name}"))
    }
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = json!({"Type": "User", "Message": message});
    (status, [("x-amzn-errortype", kind)], axum::Json(body)).into_response()
}

/// STS's answer to who is calling: whoever is logged in here.
pub(super) fn caller() -> Response {
    let user = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let user = if user.is_empty() { "local".to_owned() } else { user };
    let body = format!(
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/{user}</Arn><UserId>{user}</UserId><Account>000000000000</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#
    );
    ([(CONTENT_TYPE, "text/xml")], body).into_response()
}
