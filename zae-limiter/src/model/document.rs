//! A text that all processes on the table share: [`SharedDocument`].

/// A document in the table, such as a list of prices. Other clients of the table neither read nor count it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, SharedDocument};
/// let repository = Repository::embedded().await?;
/// assert_eq!(repository.document("prices").await?, None);
/// assert!(repository.put_document("prices", SharedDocument::ABSENT, b"1").await?);
/// let first = repository.document("prices").await?.expect("it was written");
/// assert_eq!((&first.body[..], first.version), (&b"1"[..], 1));
///
/// assert!(repository.put_document("prices", first.version, b"2").await?);
/// // Of two changes of one version the second is not written.
/// assert!(!repository.put_document("prices", first.version, b"3").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedDocument {
    /// Counts the changes, from 1.
    pub version: u64,
    /// The instant of the last change by its writer's clock, in milliseconds since 1970.
    pub written_ms: i64,
    /// The content.
    pub body: Vec<u8>,
}

impl SharedDocument {
    /// The version of a document that does not exist.
    pub const ABSENT: u64 = 0;
    /// Maximum length of the content, in bytes: somewhat less than an item of DynamoDB may have.
    pub const MAX_BYTES: usize = 380_000;
}
