//! A scripted CloudFormation, and as much of what a deployment asks besides.
//!
//! It answers in the shapes of the API's documentation, and holds one stack whose next states, events and change set the
//! test has written down. DynamoDB's requests go to an embedded store.

use axum::{body::Body, response::Response};

/// An error of the query protocol.
pub(crate) fn error(code: &str, message: &str) -> Response {
    let status = if code == "AccessDenied" { 403 } else { 400 };
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>test</RequestId></ErrorResponse>"
    );
    Response::builder().status(status).header("content-type", "text/xml").body(Body::from(body)).unwrap()
}
