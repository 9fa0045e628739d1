//! The only module that talks to DynamoDB: table name, clients, and the classification of failed calls.
//!
//! A [`Store`] has two SDK clients with the same connector and credentials. One retries, for reads and for writes that
//! may be repeated. The other does not, for the engine's writes that add: the next step depends on a failed write's
//! effect, so nothing below the engine may send one twice.
//!
//! | file | calls | repeated by |
//! |---|---|---|
//! | [`bucket`] | UpdateItem and PutItem of the acquire path | nobody below the engine |
//! | [`shards`] | TransactWriteItems of splits and further shards | the caller, who looks again first |
//! | `read` | GetItem, BatchGetItem, Query | the SDK; left-over keys here |
//! | `write` | conditional writes, batches of deletions, transactions | the SDK; conflicts here |
//! | `admin` | CreateTable, DeleteTable, DescribeTable | the SDK |
//!
//! Every failure is classified here, and only here, by its meaning for the caller ([`StoreErrorKind`]):
//!
//! | kind | effect in the table | the engine |
//! |---|---|---|
//! | `ConditionFailed` | none; the item came back | plans again from it |
//! | `NotApplied` | none: throttled, or in conflict with a transaction | pauses and retries |
//! | `Ambiguous` | unknown | counts it as done |
//! | `NotSent`, `NotConnected`, `AccessDenied`, `Rejected`, `TableMissing` | none | fails; no policy hides the last three |
//!
//! # Deciding between "no effect" and "unknown"
//!
//! Every failure that may have had an effect is `Ambiguous`: a response with status 5xx, a broken connection, a
//! timeout, a response that cannot be parsed. Two kinds of failures are carefully distinguished from those, because a
//! caller may retry them. A connection that was refused or could not be established carried no request
//! (`NotConnected`), which the connector's error chain shows. A failure before there was a connection (no credentials,
//! an invalid endpoint) is of the SDK's kind "other" (`NotSent`).
//!
//! # The seam for tests
//!
//! There is no storage trait. Tests and the embedded store use an ordinary SDK client with another HTTP connector, so
//! they run the production code. Only the simulation replaces the calls themselves (`model`), one level below the
//! expressions.

mod admin;
pub(crate) mod bucket;
pub(crate) mod fold;
#[cfg(feature = "sim")]
pub(crate) mod model;
mod read;
pub(crate) mod shards;
mod write;

use aws_sdk_dynamodb::{
    Client,
    config::{SharedInterceptor, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};

use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::{
    clock::StoreDates,
    error::{BoxError, Heard, RepositoryError, ServiceMessage, StoreError, StoreErrorKind},
};

#[cfg(feature = "embedded")]
pub(crate) use crate::store::admin::EMBEDDED_REGION;
pub(crate) use crate::store::read::{Consistency, Order, Query};
pub(crate) use crate::store::write::{Committed, ConditionalUpdate, ConditionalWrite, TransactPart};

/// A table and the two clients for it.
#[derive(Clone)]
pub(crate) struct Store {
    /// The table's name, which is also the stack's.
    pub(crate) table: String,
    /// For reads and for writes that may be repeated: the SDK retries them.
    pub(crate) client: Client,
    /// For the engine's writes. They add, and a repetition would charge or refund twice, so nothing below the engine
    /// retries. The engine sets a deadline for each, which ends a stalled call. The SDK's stalled-stream protection,
    /// which takes a timer and wraps both bodies for every call, is therefore disabled, as are its operation timeouts,
    /// because a caller may want to wait longer.
    pub(crate) once: Client,
    /// The store's own time, from its responses.
    pub(crate) dates: StoreDates,
    /// Replaces all of it in a simulation.
    #[cfg(feature = "sim")]
    pub(crate) model: Option<std::sync::Arc<dyn model::Table>>,
}

impl std::fmt::Debug for Store {
    /// Omits the clients, which print all of their settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Store {
    /// Creates both clients from one. They share the connector and its pool, and differ in retries and in who ends a
    /// slow call.
    pub(crate) fn new(table: String, client: &Client) -> Self {
        let dates = StoreDates::default();
        let mut config = client.config().to_builder();
        // One that can be disabled is looked up in the configuration 19 times in a call, which takes microseconds.
        config.push_interceptor(SharedInterceptor::permanent(dates.clone()));
        let client = Client::from_conf(config.build());
        let config = client.config();
        let retries = config.retry_config().is_none_or(|retries| retries.max_attempts() > 1);
        let watches = config.stalled_stream_protection().is_none_or(StalledStreamProtectionConfig::is_enabled);
        let bounded = config.timeout_config().is_some_and(|timeouts| {
            timeouts.operation_timeout().is_some() || timeouts.operation_attempt_timeout().is_some()
        });
        let once = if retries || watches || bounded {
            let once = config.to_builder().retry_config(RetryConfig::disabled());
            // Timeouts left unset keep the client's own values: those of connections, which both clients share.
            let unbounded = TimeoutConfig::builder().disable_operation_timeout().disable_operation_attempt_timeout();
            let once = once.timeout_config(unbounded.build());
            Client::from_conf(once.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build())
        } else {
            client.clone()
        };
        Self {
            table,
            client,
            once,
            dates,
            #[cfg(feature = "sim")]
            model: None,
        }
    }

    /// Creates the error of a failed call, with the table's name if the table is missing.
    pub(crate) fn fail<E>(&self, operation: &'static str, error: SdkError<E>) -> RepositoryError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let error = StoreError::from_sdk(operation, error);
        match error.kind {
            StoreErrorKind::TableMissing => RepositoryError::TableMissing { table: self.table.clone() },
            _ => error.into(),
        }
    }
}

/// Returns true if `error` is about a connection that could not be established.
fn is_connect(error: Option<&ConnectorError>) -> bool {
    let error = error.map(|error| error as &(dyn std::error::Error + 'static));
    let mut chain = std::iter::successors(error, |error| error.source());
    chain.any(|error| {
        error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
            || error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// Creates the error of a request that could not be built.
pub(super) fn rejected(operation: &'static str, error: impl Into<BoxError>) -> RepositoryError {
    StoreError::new(operation, StoreErrorKind::Rejected, error).into()
}

/// Error codes of refusals before any effect. Throttling has several codes, depending on the API and its version.
const NOT_APPLIED: [&str; 7] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "LimitExceededException",
    "TransactionConflictException",
    "TransactionInProgressException",
];
/// The reason that DynamoDB gives (`ThrottlingReasons`) where the writes of one partition of the table are too many; an
/// index's partition has another.
pub(crate) const HOT_ITEM: &str = "TableWriteKeyRangeThroughputExceeded";
/// Error codes of invalid, expired or insufficient credentials.
const DENIED: [&str; 6] = [
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "MissingAuthenticationTokenException",
    "InvalidSignatureException",
    "ExpiredTokenException",
];

impl StoreError {
    /// Classifies an SDK error.
    pub(crate) fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error
            .code()
            .map(|code| ServiceMessage { code: code.to_owned(), message: error.message().map(str::to_owned) });
        let body = error.raw_response().and_then(|response| response.body().bytes()).unwrap_or_default();
        let is_of_key_range = body.windows(HOT_ITEM.len()).any(|part| part == HOT_ITEM.as_bytes());
        // A failed server may already have done the work, whatever its error code.
        let server_failed = error.raw_response().is_some_and(|response| response.status().is_server_error());
        let kind = match (&error, code.as_ref().map(|said| said.code.as_str())) {
            (SdkError::ServiceError(_), Some("ConditionalCheckFailedException")) => StoreErrorKind::ConditionFailed,
            (SdkError::ServiceError(_), Some("ResourceNotFoundException")) => StoreErrorKind::TableMissing,
            (SdkError::ServiceError(_), Some(code)) if NOT_APPLIED.contains(&code) => StoreErrorKind::NotApplied,
            (SdkError::ServiceError(_), Some(code)) if DENIED.contains(&code) => StoreErrorKind::AccessDenied,
            (SdkError::ServiceError(_), _) if server_failed => StoreErrorKind::Ambiguous,
            (SdkError::ServiceError(_), Some(_)) => StoreErrorKind::Rejected,
            (SdkError::ConstructionFailure(_), _) => StoreErrorKind::Rejected,
            (SdkError::DispatchFailure(failure), _) if is_connect(failure.as_connector_error()) => {
                StoreErrorKind::NotConnected
            }
            // A failure before there is a connection has none of the connection's kinds.
            (SdkError::DispatchFailure(failure), _) if failure.is_other() => StoreErrorKind::NotSent,
            _ => StoreErrorKind::Ambiguous,
        };
        let heard = match &error {
            SdkError::TimeoutError(_) => Heard::NothingInTime,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Heard::NothingInTime,
            SdkError::ServiceError(_) if code.is_some() || server_failed => Heard::Answer,
            _ => Heard::Nothing,
        };
        Self { operation, kind, code, heard, is_of_key_range, source: BoxError::from(error) }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{Config, config::BehaviorVersion};
    use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};

    use super::*;

    #[test]
    fn what_adds_is_never_repeated_whatever_the_client_does() {
        let attempts = |client: &Client| client.config().retry_config().map(RetryConfig::max_attempts);
        for retry in [RetryConfig::standard(), RetryConfig::disabled()] {
            let most = retry.max_attempts();
            let config = Config::builder().behavior_version(BehaviorVersion::latest()).retry_config(retry);
            let config = config.sleep_impl(SharedAsyncSleep::new(TokioSleep::new())).build();
            let store = Store::new("limiter".to_owned(), &Client::from_conf(config));
            assert_eq!((attempts(&store.once), attempts(&store.client)), (Some(1), Some(most)));
            let watch = store.once.config().stalled_stream_protection();
            assert!(watch.is_some_and(|watch| !watch.upload_enabled() && !watch.download_enabled()));
        }
    }
}
