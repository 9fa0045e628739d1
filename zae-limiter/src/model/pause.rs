//! A pause that somebody outside asked for: [`Pause`].
//!
//! A provider that answers 429 with a `Retry-After` speaks to the account, not to the process that was unlucky. So the
//! pause is stored per resource, and every process that calls the provider reads it. Pauses only ever get longer: a
//! later, shorter one does not end an earlier one.

use std::time::Duration;

/// A time until which nobody should call, because the other side said so. Shared by all processes on the table.
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
    /// The time at which it ends, in milliseconds since 1970.
    pub until_ms: i64,
    /// Time that was left of it when it was read, by the repository's clock; never zero.
    pub left: Duration,
    /// The reason in a form for people, for example `429`.
    pub reason: String,
}
