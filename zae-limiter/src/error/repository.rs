//! Errors of reading and writing the table.
//!
//! [`RepositoryError`] describes the meaning: the table is missing, an entity exists, a namespace is gone.
//! [`StoreError`] describes one call: its operation and its known effect. The effect decides if a write may be
//! repeated:
//!
//! | [`StoreErrorKind`] | took effect | repeated by the engine |
//! |---|---|---|
//! | `ConditionFailed` | no | planned again from the returned image |
//! | `NotApplied` (throttled, transaction conflict) | no | until the waiters' deadlines |
//! | `NotSent`, `NotConnected` | no | settlements only: a waiter gets its answer at once |
//! | `TableMissing`, `AccessDenied`, `Rejected` | no | no |
//! | `Ambiguous` (timeout, broken connection, 5xx) | unknown | never: adding twice would be wrong |

use std::{fmt, time::Duration};

use super::{BoxError, ConnectError, Disabled, NoCredentials, UnavailableReason, ValidationError};
use crate::model::name::{EntityId, NamespaceId, NamespaceName, StackName};

/// The reason why an operation on the table failed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{EntityId, NewEntity, Repository, RepositoryError};
///
/// let repository = Repository::embedded().await?;
/// let key = NewEntity::new(EntityId::new("key-1")?);
/// repository.create_entity(key.clone()).await?;
/// let twice = repository.create_entity(key).await;
/// assert!(matches!(twice, Err(RepositoryError::EntityExists(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// An argument is invalid; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// The AWS configuration in the environment is unusable; nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The store failed.
    ///
    /// Its [`kind`](StoreError::kind) tells if the call may have had an effect.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table does not exist.
    #[error("table {table} does not exist: create it with `zae-deploy deploy --name {table}`")]
    TableMissing {
        /// The table's (and stack's) name.
        table: String,
    },
    /// The stack could not be provisioned.
    #[error("stack {stack} could not be provisioned")]
    NotProvisioned {
        /// The stack's name.
        stack: StackName,
        /// The reason.
        source: BoxError,
    },
    /// An entity with that id already exists.
    #[error("entity {0} already exists: use another id, or `Repository::delete_entity` first")]
    EntityExists(EntityId),
    /// There is no entity of that id.
    #[error("entity {0} does not exist: create it with `Repository::create_entity` first")]
    EntityNotFound(EntityId),
    /// No active namespace has that name.
    #[error(
        "namespace '{0}' is not registered: `zae-deploy namespace register {0}` or `Repository::register_namespace`"
    )]
    NamespaceNotFound(NamespaceName),
    /// The table has no namespace `default` yet, and the credentials may not register it.
    #[error(
        "namespace '{namespace}' is not registered, and these credentials may not register it: run `zae-deploy \
         namespace register {namespace} --name {stack}` with an administrator's once"
    )]
    MayNotRegister {
        /// The namespace.
        namespace: NamespaceName,
        /// The stack, which is also the table's name.
        stack: StackName,
        /// The refused write.
        source: StoreError,
    },
    /// No namespace has that id.
    #[error("namespace id {0} is unknown: `zae-deploy namespace orphans` lists those that can be recovered")]
    NamespaceIdNotFound(NamespaceId),
    /// The namespace's state does not allow the operation.
    #[error("namespace id {id} is {state}: {advice}")]
    NamespaceState {
        /// The namespace.
        id: NamespaceId,
        /// Its state.
        state: NamespaceState,
        /// Advice on alternatives.
        advice: &'static str,
    },
    /// The table's version record does not permit this client's version.
    #[error("client {client} may not use this table, which requires {minimum} or newer; upgrade this client")]
    ClientTooOld {
        /// This client's version.
        client: String,
        /// The required version.
        minimum: String,
    },
    /// The deployed functions do not support a feature, and would corrupt its data.
    #[error(
        "{feature} need functions of level {needs}, and the table's version record names {}; \
         upgrade the stack first (zae-deploy upgrade)",
        functions.as_deref().unwrap_or("none")
    )]
    FunctionsTooOld {
        /// The feature in words.
        feature: String,
        /// The version that supports it.
        needs: String,
        /// The version of the deployed functions according to the record.
        functions: Option<String>,
    },
    /// The table's schema has another major version.
    #[error("the table has schema {schema}, this client uses {client}: migrate the table first")]
    IncompatibleSchema {
        /// This client's schema version.
        client: String,
        /// The stored one.
        schema: String,
    },
    /// An item is malformed.
    #[error("item {key} cannot be read: {problem}. Fix it or overwrite it")]
    Malformed {
        /// The item's key.
        key: String,
        /// A description of the problem.
        problem: String,
    },
    /// A feature of newer clients is in use.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Disabled by an operator.
    #[error(transparent)]
    Disabled(#[from] Disabled),
    /// A setting is stored, but was not copied to all buckets concerned.
    #[error("{what} is stored, but only {stamped} buckets were updated: repeat the call to update the others")]
    FanoutIncomplete {
        /// The setting and its target.
        what: String,
        /// Number of buckets that were updated.
        stamped: u64,
        /// The reason why the others were not.
        source: Box<RepositoryError>,
    },
}

impl RepositoryError {
    /// Returns true if the error is about a request that never left this process.
    pub(crate) fn was_never_sent(&self) -> bool {
        matches!(self, Self::Store(error) if error.was_never_sent())
    }

    /// Returns the reason why the store was unavailable, if the error is about the store's health rather than about the
    /// request.
    pub(crate) fn outage(&self) -> Option<UnavailableReason> {
        let Self::Store(error) = self else { return None };
        let is_outage =
            error.was_never_sent() || matches!(error.kind, StoreErrorKind::Ambiguous | StoreErrorKind::NotApplied);
        is_outage.then_some(match error.heard {
            Heard::Answer if error.kind == StoreErrorKind::NotApplied => UnavailableReason::Throttled,
            Heard::Answer => UnavailableReason::StoreFailed,
            Heard::NothingInTime => UnavailableReason::DeadlineExceeded,
            Heard::Nothing => UnavailableReason::Unreachable,
        })
    }
}

/// The state of a namespace's record.
///
/// ```
/// use zae_limiter::error::NamespaceState;
/// assert_eq!(NamespaceState::Reregistered.to_string(), "re-registered");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NamespaceState {
    /// In use.
    Active,
    /// Soft-deleted: data intact, recoverable.
    Deleted,
    /// Being removed for good.
    Purging,
    /// Its name belongs to another namespace.
    #[serde(rename = "re-registered")]
    Reregistered,
}

impl NamespaceState {
    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
            Self::Purging => "purging",
            Self::Reregistered => "re-registered",
        }
    }
}

impl fmt::Display for NamespaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bucket or configuration carries an attribute of a feature that this version does not implement.
///
/// Enforcing the other attributes without it would grant too much, so nothing is granted.
///
/// ```
/// use zae_limiter::AcquireError;
///
/// fn needs_upgrade(error: &AcquireError) -> Option<&str> {
///     match error {
///         AcquireError::Unsupported(unsupported) => Some(&unsupported.attribute),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{item} uses `{attribute}`, a feature that this version does not implement: remove it, or use a client that does"
)]
#[non_exhaustive]
pub struct Unsupported {
    /// The attribute's name.
    pub attribute: String,
    /// The item's key.
    pub item: String,
}

/// A failed call to DynamoDB.
///
/// ```
/// use zae_limiter::{RepositoryError, error::StoreErrorKind};
///
/// /// Returns true if the same call may succeed later.
/// fn is_transient(error: &RepositoryError) -> bool {
///     let RepositoryError::Store(error) = error else { return false };
///     matches!(error.kind(), StoreErrorKind::NotApplied | StoreErrorKind::NotConnected | StoreErrorKind::Ambiguous)
/// }
/// ```
///
/// The text names the operation, its known effect, and DynamoDB's code and message. The SDK's complete error is the
/// [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct StoreError {
    /// The DynamoDB operation.
    pub(crate) operation: &'static str,
    /// The meaning of the failure.
    pub(crate) kind: StoreErrorKind,
    /// DynamoDB's own code and message, if it responded.
    pub(crate) code: Option<ServiceMessage>,
    /// Tells if there was a response.
    pub(crate) heard: Heard,
    /// True if DynamoDB takes no more writes of this item, or of those beside it, for now.
    pub(crate) is_of_key_range: bool,
    /// The SDK's error, or the text of an error of our own.
    pub(crate) source: BoxError,
}

/// The response to a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A response from DynamoDB.
    Answer,
    /// No response in time.
    NothingInTime,
    /// No response: no connection, a broken connection, or a response that is not DynamoDB's.
    Nothing,
}

/// DynamoDB's own description of a failure.
#[derive(Debug)]
pub(crate) struct ServiceMessage {
    /// The error code, for example `ValidationException`.
    pub(crate) code: String,
    /// The message that accompanied it.
    pub(crate) message: Option<String>,
}

/// The meaning of a failed call.
///
/// See [`StoreError`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// A condition did not hold; nothing was written.
    ConditionFailed,
    /// The table does not exist.
    TableMissing,
    /// Refused before it had an effect: throttled, or in conflict with a transaction.
    NotApplied,
    /// Credentials lack a permission.
    AccessDenied,
    /// The request was refused as wrong.
    Rejected,
    /// The call could not be sent: no credentials, no region, or an invalid endpoint.
    NotSent,
    /// No connection could be established, so nothing was sent.
    NotConnected,
    /// The effect is unknown: a timeout, a broken connection, a server error.
    Ambiguous,
}

impl StoreError {
    /// Creates an error from DynamoDB's response.
    pub(crate) fn new(operation: &'static str, kind: StoreErrorKind, source: impl Into<BoxError>) -> Self {
        Self { operation, kind, code: None, heard: Heard::Answer, is_of_key_range: false, source: source.into() }
    }

    /// Creates the error of a call without a response in time; it may have had its effect.
    pub(crate) fn timed_out(operation: &'static str, after: Duration) -> Self {
        let source = format!("no answer within {} ms", after.as_millis());
        Self { heard: Heard::NothingInTime, ..Self::new(operation, StoreErrorKind::Ambiguous, source) }
    }

    /// Returns true if the call certainly had no effect, because it never left this process.
    pub(crate) fn was_never_sent(&self) -> bool {
        matches!(self.kind, StoreErrorKind::NotSent | StoreErrorKind::NotConnected)
    }

    /// Returns true if the write was throttled because one item, or those beside it, are written too often.
    pub(crate) fn is_of_key_range(&self) -> bool {
        self.kind == StoreErrorKind::NotApplied && self.is_of_key_range
    }

    /// Creates the error of a write that lost to other writers each time; it had no effect.
    pub(crate) fn contended(operation: &'static str, why: impl Into<BoxError>) -> Self {
        Self::new(operation, StoreErrorKind::NotApplied, why)
    }

    /// Creates the error of a write that was never sent.
    pub(crate) fn unsent(why: &'static str) -> Self {
        Self { heard: Heard::Nothing, ..Self::new("UpdateItem", StoreErrorKind::NotSent, why) }
    }

    /// Returns the DynamoDB operation, for example `UpdateItem`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns the meaning of the failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Returns DynamoDB's own error code, if it sent one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_ref().map(|said| said.code.as_str())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(none) = NoCredentials::find(self.source.as_ref()) {
            return write!(f, "{} could not be sent: {none}: {}", self.operation, none.advice());
        }
        let unheard = match self.heard {
            Heard::Answer => None,
            Heard::NothingInTime => Some("no answer in time; check region, endpoint and network"),
            Heard::Nothing => Some("no connection, or not DynamoDB's answer; check region, endpoint and network"),
        };
        let meaning = match (self.kind, &self.code) {
            (StoreErrorKind::ConditionFailed, _) => "its condition did not hold",
            (StoreErrorKind::TableMissing, _) => "the table does not exist",
            (StoreErrorKind::NotApplied, _) => "DynamoDB was too busy and wrote nothing; try again later",
            (StoreErrorKind::AccessDenied, _) => "the credentials lack a permission",
            (StoreErrorKind::Rejected, _) => "the request was refused",
            (StoreErrorKind::NotSent, _) => "it could not be sent; check credentials, region and endpoint",
            (StoreErrorKind::NotConnected, _) => "no connection; check region, endpoint and network",
            (StoreErrorKind::Ambiguous, _) => unheard.unwrap_or("DynamoDB itself failed; try again later"),
        };
        write!(f, "{} failed: {meaning}", self.operation)?;
        let Some(ServiceMessage { code, message }) = &self.code else { return Ok(()) };
        match message {
            Some(message) => write!(f, " ({code}: {message})"),
            None => write!(f, " ({code})"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}
