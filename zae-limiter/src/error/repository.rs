//! Errors of reading and writing the table.
//!
//! [`RepositoryError`] is about meaning: the table is missing, an entity exists, a namespace is gone. [`StoreError`] is
//! about one call: which operation, and what is known of its effect. The second distinction decides whether a write may
//! be repeated:
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
    /// An argument is wrong; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// AWS cannot be called with what the environment says; nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The store failed.
    ///
    /// Its [`kind`](StoreError::kind) says whether the call may have had an effect.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table does not exist.
    #[error("table {table} does not exist: create it with `zae-deploy deploy --name {table}`")]
    TableMissing {
        /// The table's (and stack's) name.
        table: String,
    },
    /// The stack could not be made.
    #[error("stack {stack} could not be provisioned")]
    NotProvisioned {
        /// The stack's name.
        stack: StackName,
        /// The reason.
        source: BoxError,
    },
    /// An entity of that id exists.
    #[error("entity {0} exists already: use another id, or `Repository::delete_entity` first")]
    EntityExists(EntityId),
    /// No namespace of that name is active.
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
        /// The stack, and so the table.
        stack: StackName,
        /// The refused write.
        source: StoreError,
    },
    /// No namespace of that id is known.
    #[error("namespace id {0} is unknown: `zae-deploy namespace orphans` lists those that can be recovered")]
    NamespaceIdNotFound(NamespaceId),
    /// A namespace is not in a state in which the operation makes sense.
    #[error("namespace id {id} is {state}: {advice}")]
    NamespaceState {
        /// The namespace.
        id: NamespaceId,
        /// The state it is in.
        state: NamespaceState,
        /// Advice on what to do instead.
        advice: &'static str,
    },
    /// The table's version record forbids this client.
    #[error("client {client} may not use this table: it asks for {minimum} or newer; upgrade this client")]
    ClientTooOld {
        /// This client's level.
        client: String,
        /// The level asked for.
        minimum: String,
    },
    /// The deployed functions do not know a feature, and would corrupt it.
    #[error(
        "{feature} need functions of level {needs}, and the table's version record names {}; \
         upgrade the stack first (zae-deploy upgrade)",
        functions.as_deref().unwrap_or("none")
    )]
    FunctionsTooOld {
        /// The feature, in words.
        feature: String,
        /// The level that knows it.
        needs: String,
        /// The level of the deployed functions, as the record has it.
        functions: Option<String>,
    },
    /// The table's schema is of another major version.
    #[error("the table has schema {schema}, this client speaks {client}: migrate the table first")]
    IncompatibleSchema {
        /// This client's schema version.
        client: String,
        /// The stored one.
        schema: String,
    },
    /// An item is not as it should be.
    #[error("item {key} cannot be read: {problem}. Fix it or overwrite it")]
    Malformed {
        /// The item's key.
        key: String,
        /// A description of the problem.
        problem: String,
    },
    /// A feature of newer clients.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// An operator has switched it off.
    #[error(transparent)]
    Disabled(#[from] Disabled),
    /// A setting is stored, but not all buckets that it concerns could be told.
    #[error("{what} is stored, but only {stamped} buckets were told of it: repeat the call to reach the others")]
    FanoutIncomplete {
        /// The setting and its target.
        what: String,
        /// Number of buckets that were reached.
        stamped: u64,
        /// The reason why the others were not.
        source: Box<RepositoryError>,
    },
}

impl RepositoryError {
    /// Returns true if it is about a request that never left this process.
    pub(crate) fn was_never_sent(&self) -> bool {
        matches!(self, Self::Store(error) if error.was_never_sent())
    }

    /// Returns the reason why the store could not be asked, where the error is about the store's health rather than
    /// about the request.
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
    /// Its name now belongs to another namespace.
    #[serde(rename = "re-registered")]
    Reregistered,
}

impl NamespaceState {
    /// The stored text.
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
/// Enforcing the rest without it would grant too much, so nothing is granted.
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
/// The text names the operation, what is known about its effect, and DynamoDB's code and message. The SDK's whole error
/// is the [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct StoreError {
    /// The DynamoDB operation.
    pub(crate) operation: &'static str,
    /// The meaning of the failure.
    pub(crate) kind: StoreErrorKind,
    /// DynamoDB's own words, where it answered.
    pub(crate) code: Option<ServiceMessage>,
    /// Tells if there was an answer at all.
    pub(crate) heard: Heard,
    /// The SDK's error, or the text of a failure that is our own.
    pub(crate) source: BoxError,
}

/// The answer to a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// An answer of DynamoDB's.
    Answer,
    /// Nothing, for as long as was waited.
    NothingInTime,
    /// Nothing: no connection, or one that broke, or an answer that is not DynamoDB's.
    Nothing,
}

/// DynamoDB's own description of a failure.
#[derive(Debug)]
pub(crate) struct ServiceMessage {
    /// The error code, for example `ValidationException`.
    pub(crate) code: String,
    /// The text that came with it.
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
    /// It could not be sent: no credentials, no region, or an endpoint that is none.
    NotSent,
    /// No connection could be made, so that nothing was sent.
    NotConnected,
    /// It is not known whether it had an effect: a timeout, a broken connection, a server error.
    Ambiguous,
}

impl StoreError {
    /// A failure that DynamoDB's answers led to.
    pub(crate) fn new(operation: &'static str, kind: StoreErrorKind, source: impl Into<BoxError>) -> Self {
        Self { operation, kind, code: None, heard: Heard::Answer, source: source.into() }
    }

    /// A call that was not answered in time: it may have had its effect.
    pub(crate) fn timed_out(operation: &'static str, after: Duration) -> Self {
        let source = format!("no answer within {} ms", after.as_millis());
        Self { heard: Heard::NothingInTime, ..Self::new(operation, StoreErrorKind::Ambiguous, source) }
    }

    /// Returns true if it certainly had no effect, because it never left this process.
    pub(crate) fn was_never_sent(&self) -> bool {
        matches!(self.kind, StoreErrorKind::NotSent | StoreErrorKind::NotConnected)
    }

    /// A write that was never sent.
    pub(crate) fn unsent(why: &'static str) -> Self {
        Self { heard: Heard::Nothing, ..Self::new("UpdateItem", StoreErrorKind::NotSent, why) }
    }

    /// The DynamoDB operation, for example `UpdateItem`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns the meaning of the failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// DynamoDB's own error code, when it sent one.
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
            Heard::Nothing => Some("no connection, or no answer of DynamoDB's; check region, endpoint and network"),
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
