//! The table's version record: who may use it.
//!
//! The record protects data from clients that would misread it. Opening compares three of its values:
//!
//! | value | compared with | where it does not fit |
//! |---|---|---|
//! | `schema_version` | [`SCHEMA_VERSION`]'s major number | [`RepositoryError::IncompatibleSchema`] |
//! | `client_min_version` | [`COMPATIBILITY_LEVEL`] | [`RepositoryError::ClientTooOld`] |
//! | `lambda_version` | the features that a change stores | refused when the feature is first stored (`gate`) |

use super::Repository;
use crate::{
    clock::Clock,
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::version::{COMPATIBILITY_LEVEL, Compatibility, SCHEMA_VERSION, Version, VersionRecord, VersionUpdate},
    store::{ConditionalWrite, Consistency, Store},
    wire::{time, version},
};

/// Number of tries to write the record when others keep raising its minimum.
const ATTEMPTS: usize = 5;

/// The action to take when the table has no version record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingVersion {
    /// Write one of this client's level.
    Initialise,
    /// Leave it: a read-only command writes nothing.
    Leave,
}

/// The name that this crate signs the record with.
fn own_name() -> String {
    format!("client:zae-limiter-rs/{}", env!("CARGO_PKG_VERSION"))
}

impl Store {
    /// Checks that this client may use the table. Returns the record, if there is one.
    ///
    /// # Errors
    /// `ClientTooOld` and `IncompatibleSchema` when it may not. An outdated aggregator is no obstacle.
    pub(crate) async fn check_version(
        &self,
        clock: &dyn Clock,
        missing: MissingVersion,
    ) -> Result<Option<VersionRecord>, RepositoryError> {
        let record = match (self.version_record().await?, missing) {
            (Some(record), _) => record,
            (None, MissingVersion::Leave) => return Ok(None),
            (None, MissingVersion::Initialise) => self.write_version(clock, &VersionUpdate::default()).await?,
        };
        fits(&record)?;
        Ok(Some(record))
    }

    /// Reads the record.
    pub(super) async fn version_record(&self) -> Result<Option<VersionRecord>, RepositoryError> {
        let item = self.get(&version::key(), Consistency::Strong).await?;
        Ok(item.as_ref().map(version::decode))
    }

    /// Writes the record, and again if another writer raised the minimum meanwhile.
    pub(super) async fn write_version(
        &self,
        clock: &dyn Clock,
        update: &VersionUpdate,
    ) -> Result<VersionRecord, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let stored = self.version_record().await?;
            let seen = stored.as_ref().and_then(|record| record.client_min_version.clone());
            let record = updated(stored, update, time::timestamp(clock.now_ms()));
            let change = version::encode(&record, seen.as_deref());
            if self.update(&version::key(), change).await? == ConditionalWrite::Done {
                return Ok(record);
            }
        }
        let source = "others keep changing the version record; try again";
        let error = StoreError::new("UpdateItem", StoreErrorKind::NotApplied, source);
        Err(error.into())
    }
}

/// Checks that a table with this record may be used by this client.
pub(super) fn fits(record: &VersionRecord) -> Result<(), RepositoryError> {
    let client: Version = COMPATIBILITY_LEVEL.parse()?;
    match record.compatibility(&client) {
        Compatibility::Compatible | Compatibility::LambdaOutdated => Ok(()),
        Compatibility::ClientTooOld { minimum } => {
            Err(RepositoryError::ClientTooOld { client: COMPATIBILITY_LEVEL.to_owned(), minimum })
        }
        Compatibility::IncompatibleSchema { schema } => {
            Err(RepositoryError::IncompatibleSchema { client: SCHEMA_VERSION.to_owned(), schema })
        }
    }
}

/// The record that `update` makes of what is stored.
fn updated(stored: Option<VersionRecord>, update: &VersionUpdate, now: String) -> VersionRecord {
    let fresh = stored.is_none();
    let stored = stored.unwrap_or_default();
    let minimum = stored.client_min_version.as_deref();
    let raised = update.minimum.as_ref().filter(|wanted| {
        // A minimum that no client can read binds none of them, so it may be replaced.
        minimum.and_then(|text| text.parse::<Version>().ok()).is_none_or(|minimum| minimum < **wanted)
    });
    let lambda = update.lambda_version.as_ref().map(Version::to_string).or(stored.lambda_version);
    VersionRecord {
        schema_version: stored.schema_version.or_else(|| Some(SCHEMA_VERSION.to_owned())),
        lambda_version: lambda.or_else(|| fresh.then(|| COMPATIBILITY_LEVEL.to_owned())),
        client_min_version: raised.map(Version::to_string).or(stored.client_min_version),
        updated_at: Some(now),
        updated_by: Some(update.updated_by.clone().unwrap_or_else(own_name)),
    }
}

impl Repository {
    /// The table's version record; `None` in a table that nobody has opened yet.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::Repository;
    ///
    /// let record = Repository::embedded().await?.version_record().await?.expect("written by the first who opens");
    /// println!("schema {:?}, oldest client {:?}", record.schema_version, record.client_min_version);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read.
    pub async fn version_record(&self) -> Result<Option<VersionRecord>, RepositoryError> {
        self.store().version_record().await
    }

    /// Writes the version record after an upgrade, and returns it. The schema version stays, and the minimum for
    /// clients is never lowered: both protect data that is already there.
    ///
    /// Cancel safe: a dropped call has written all or nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Repository, version::VersionUpdate};
    ///
    /// let repository = Repository::embedded().await?;
    /// let update = VersionUpdate::default().updated_by("our deployment 42");
    /// let record = repository.set_version_record(&update).await?;
    /// assert_eq!(record.updated_by.as_deref(), Some("our deployment 42"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] when the table cannot be read or written.
    pub async fn set_version_record(&self, update: &VersionUpdate) -> Result<VersionRecord, RepositoryError> {
        self.store().write_version(&**self.clock(), update).await
    }
}
