//! Pauses that one process receives and all should observe.
//!
//! A pause is extended and never shortened: of two responses to overlapping calls, the later end is the safe one. It
//! stays in the table for an hour after its end, so that an operator can see what happened.

use std::time::Duration;

use super::Repository;
use crate::{
    error::RepositoryError,
    model::{
        name::{IntoName, ResourceName},
        pause::Pause,
    },
    store::{ConditionalWrite, Consistency},
    wire::pause,
};

/// Maximum length of a stored reason, in characters.
const MAX_REASON: usize = 100;

impl Repository {
    /// Returns the current pause of `scope`; `None` if there is none. Makes one read, of half a read unit; not cached.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use zae_limiter::{Repository, ResourceName};
    /// let repository = Repository::embedded().await?;
    /// let scope = ResourceName::new("api.example.com/gpt-4")?;
    /// assert_eq!(repository.pause(&scope).await?, None);
    ///
    /// repository.extend_pause(&scope, Duration::from_secs(30), "429").await?;
    /// repository.extend_pause(&scope, Duration::from_secs(10), "429").await?; // ends earlier: changes nothing
    /// let pause = repository.pause(&scope).await?.expect("a pause");
    /// assert!(pause.left > Duration::from_secs(25));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pause(&self, scope: impl IntoName<ResourceName>) -> Result<Option<Pause>, RepositoryError> {
        let scope = &scope.into_name()?;
        let item = self.store().get(&pause::key(self.ns(), scope.as_str()), Consistency::Eventual).await?;
        Ok(item.and_then(|item| pause::decode(&item, self.now_ms())))
    }

    /// Pauses `scope` for `length` from now on, unless the stored pause ends later. Returns true if it was written. It
    /// is stored for an hour longer than it lasts; in whole milliseconds.
    ///
    /// Cancel safe: it has been written or not.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written.
    pub async fn extend_pause(
        &self,
        scope: impl IntoName<ResourceName>,
        length: Duration,
        reason: &str,
    ) -> Result<bool, RepositoryError> {
        let scope = &scope.into_name()?;
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.now_ms().saturating_add(length);
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let key = pause::key(self.ns(), scope.as_str());
        let written = self.store().update(&key, pause::extend(self.ns(), scope.as_str(), until_ms, &reason)).await?;
        Ok(written == ConditionalWrite::Done)
    }
}
