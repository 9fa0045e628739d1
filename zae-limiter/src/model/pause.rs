//! A pause requested by an external service: [`Pause`].
//!
//! A provider's 429 with a `Retry-After` applies to the account, not only to the process that received it. The pause is
//! therefore stored per resource, and every process that calls the provider reads it. Pauses only ever get longer: a
//! later, shorter one does not end an earlier one.

use std::time::Duration;

/// An instant until which no process should call, as requested by the called service. Shared by all processes on the
/// table.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zae_limiter::{Repository, ResourceName};
///
/// let repository = Repository::embedded().await?;
/// let provider = ResourceName::new("api.example.com")?;
/// repository.extend_pause(&provider, Duration::from_secs(10), "429").await?;
/// let pause = repository.pause(&provider).await?.expect("it lasts ten seconds");
/// assert_eq!(pause.reason, "429");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pause {
    /// The end of the pause, in milliseconds since 1970.
    pub until_ms: i64,
    /// Remaining time when it was read, by the repository's clock; never zero.
    pub left: Duration,
    /// The reason for display, for example `429`.
    pub reason: String,
}
