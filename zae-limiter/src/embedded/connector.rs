//! An HTTP connector for the SDK that answers in process: no sockets, no threads of its own.
//!
//! It is a connector of the SDK instead of a server: the bytes of a request are those that would be sent to AWS,
//! signature included, and the bytes of the response those that would be received. A store in memory answers in place;
//! one in a file waits for the disk, on a thread for blocking work.
//!
//! A store in memory answers in the poll of the request's future: it never waits, so a change of threads would only add
//! latency.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

use super::{EmbeddedStore, Medium, limits::Limited};

/// Answers DynamoDB's JSON protocol from an [`EmbeddedStore`].
#[derive(Clone, Debug)]
pub(super) struct EmbeddedHttp(EmbeddedStore);

impl EmbeddedHttp {
    /// Creates a connector that answers from `store`.
    pub(super) fn new(store: EmbeddedStore) -> Self {
        Self(store)
    }
}

impl HttpClient for EmbeddedHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for EmbeddedHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        let operation = operation.map_or_else(String::new, |(_, operation)| operation.to_owned());
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let store = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (status, text) = match store.medium() {
                Medium::Memory => answer(store.database(), &operation, &body),
                // Waiting for the disk would block a thread that polls futures.
                Medium::Disk(_) => {
                    let work = move || answer(store.database(), &operation, &body);
                    tokio::task::spawn_blocking(work)
                        .await
                        .map_err(|error| ConnectorError::other(error.into(), None))?
                }
            };
            let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(text));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}

/// Returns the status and the body of an answer.
fn answer(database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    match dispatch(database, operation, body) {
        Ok(text) => (200, text),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// Parses a request and applies DynamoDB's limits.
fn read<T: DeserializeOwned + Limited>(database: &Database, body: &[u8]) -> Result<T, DynoxideError> {
    let request: T = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    request.check(database)?;
    Ok(request)
}

/// Creates DynamoDB's error for a malformed request.
fn unreadable(message: &str) -> DynoxideError {
    // The engine uses these prefixes for what DynamoDB reports as a validation error.
    let marks = ["VALIDATION:", "VALIDATION_REQUEST:", "VALIDATION_AS_READ:"];
    if let Some(marked) = marks.iter().find_map(|mark| message.strip_prefix(mark)) {
        return DynoxideError::ValidationException(marked.to_owned());
    }
    // DynamoDB also reports missing and invalid values this way.
    let parts = ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
    if parts.iter().any(|part| message.contains(part)) {
        return DynoxideError::ValidationException(message.to_owned());
    }
    DynoxideError::SerializationException(message.to_owned())
}

/// Serialises a response.
fn write<T: Serialize>(answer: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Executes an operation by its name.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "UpdateItem" => write(&database.update_item(read(database, body)?)?),
        "PutItem" => write(&database.put_item(read(database, body)?)?),
        "GetItem" => write(&database.get_item(read(database, body)?)?),
        "DeleteItem" => write(&database.delete_item(read(database, body)?)?),
        "Query" => write(&database.query(read(database, body)?)?),
        "Scan" => write(&database.scan(read(database, body)?)?),
        "BatchGetItem" => write(&database.batch_get_item(read(database, body)?)?),
        "BatchWriteItem" => write(&database.batch_write_item(read(database, body)?)?),
        "TransactWriteItems" => write(&database.transact_write_items(read(database, body)?)?),
        "TransactGetItems" => write(&database.transact_get_items(read(database, body)?)?),
        "CreateTable" => write(&database.create_table(read(database, body)?)?),
        "DescribeTable" => write(&database.describe_table(read(database, body)?)?),
        "DeleteTable" => write(&database.delete_table(read(database, body)?)?),
        "ListTables" => write(&database.list_tables(read(database, body)?)?),
        "UpdateTimeToLive" => write(&database.update_time_to_live(read(database, body)?)?),
        "DescribeTimeToLive" => write(&database.describe_time_to_live(read(database, body)?)?),
        other => Err(DynoxideError::ValidationException(format!("the embedded store has no operation {other}"))),
    }
}
