//! A price book in the table, which all processes share: [`StoredBook`].
//!
//! The book is a [document](zae_limiter::SharedDocument) of the namespace, compressed: a book of two thousand models
//! takes some tens of kilobytes. Writers name the version that they have read, so that none overwrites what it has not
//! seen.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use zae_limiter::{Repository, RepositoryError, ResourceName, SharedDocument};

use super::{BookError, PriceBook, Prices};

/// The document's name.
const NAME: &str = "prices";
/// Maximum length of the text of a book, in bytes.
const MAX_TEXT: u64 = 32 * 1024 * 1024;

/// The reason why the price book in the table cannot be read or written.
///
/// See [`StoredBook`] for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredBookError {
    /// The table cannot be read or written, or the book is too long for it.
    #[error("the table's price book cannot be read or written")]
    Table(#[from] RepositoryError),
    /// Its content is not what was written.
    #[error("the table's price book is damaged; write another one")]
    Damaged(#[from] io::Error),
    /// Its text is not a book.
    #[error("the table's price book cannot be understood")]
    Book(#[from] BookError),
    /// There is none.
    #[error("the namespace has no price book; write one with `zae-deploy prices import --in-table` or `StoredBook`")]
    Missing,
    /// It has changed since it was read.
    #[error("the table's price book has changed meanwhile; read it again")]
    Changed,
}

/// The price book in a namespace, and its version.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_llm::{prices::{PriceBook, Prices, StoredBook, StoredBookError}, zae_limiter::Repository};
/// let repository = Repository::embedded().await?;
/// let none = StoredBook::read(&repository).await?;
/// assert!(none.book.rows().is_empty());
/// none.replace(&repository, &PriceBook::bundled()).await?;
///
/// let prices = Prices::from_table(&repository).await?;
/// assert_eq!(*prices.book(), PriceBook::bundled());
/// let twice = none.replace(&repository, &PriceBook::default()).await;
/// assert!(matches!(twice, Err(StoredBookError::Changed)), "it is no longer the version that was read");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredBook {
    /// The book; without rows if there is none.
    pub book: PriceBook,
    /// Counts the changes; 0 if there is none.
    pub version: u64,
}

impl StoredBook {
    /// Reads the book of the repository's namespace.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`StoredBookError`] if the table cannot be read, or its content is no book.
    pub async fn read(repository: &Repository) -> Result<Self, StoredBookError> {
        match repository.document(NAME).await? {
            Some(document) => Self::of(&document),
            None => Ok(Self { book: PriceBook::default(), version: SharedDocument::ABSENT }),
        }
    }

    /// Writes `book` in place of this one.
    ///
    /// Cancel safe: it has been written or not.
    ///
    /// # Errors
    /// [`StoredBookError::Changed`] if this is not the last version, [`StoredBookError::Table`] if the table cannot be
    /// written or the book is too long.
    pub async fn replace(&self, repository: &Repository, book: &PriceBook) -> Result<(), StoredBookError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(book.to_json().as_bytes())?;
        let written = repository.put_document(NAME, self.version, &encoder.finish()?).await?;
        if written { Ok(()) } else { Err(StoredBookError::Changed) }
    }

    /// Decodes a document.
    fn of(document: &SharedDocument) -> Result<Self, StoredBookError> {
        let mut text = Vec::new();
        GzDecoder::new(&document.body[..]).take(MAX_TEXT).read_to_end(&mut text)?;
        Ok(Self { book: PriceBook::from_json(&text)?, version: document.version })
    }
}

impl Prices {
    /// Creates prices from the book in the repository's namespace. [`follow`](Self::follow) keeps them current.
    ///
    /// # Errors
    /// [`StoredBookError::Missing`] if there is none, otherwise as [`StoredBook::read`].
    pub async fn from_table(repository: &Repository) -> Result<Self, StoredBookError> {
        let stored = StoredBook::read(repository).await?;
        if stored.version == SharedDocument::ABSENT {
            Err(StoredBookError::Missing)
        } else {
            Ok(Self::new(stored.book))
        }
    }

    /// Replaces the book, for all clones, each time that the one in the table has changed, which is looked for every
    /// `pause`. It never returns: spawn it, and abort the task to end it. A failure is logged, and the prices stay as
    /// they are.
    ///
    /// Each look costs a read unit for each 4 KiB of the compressed book.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use zae_llm::prices::{PriceBook, StoredBook};
    /// use std::time::Duration;
    /// use zae_llm::{prices::Prices, zae_limiter::Repository};
    /// let repository = Repository::embedded().await?;
    /// # StoredBook::read(&repository).await?.replace(&repository, &PriceBook::bundled()).await?;
    /// let prices = Prices::from_table(&repository).await?;
    /// let follower = prices.clone();
    /// let task = tokio::spawn(async move { follower.follow(&repository, Duration::from_secs(60)).await });
    /// # task.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn follow(&self, repository: &Repository, pause: Duration) {
        let Ok(name) = ResourceName::new(NAME) else { return };
        let mut version = SharedDocument::ABSENT;
        loop {
            let document = repository.changed_document(&name, version, pause).await;
            version = document.version;
            match StoredBook::of(&document) {
                Ok(stored) => self.replace(stored.book),
                Err(error) => tracing::warn!(%error, version, "the prices stay as they are"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::{Price, PriceKind};

    fn book(dollars: f64) -> PriceBook {
        PriceBook::new([Price::new("m", "test").with(PriceKind::Input, dollars)])
    }

    async fn until(prices: &Prices, expected: &PriceBook) {
        let arrives = async {
            while *prices.book() != *expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), arrives).await.unwrap();
    }

    #[tokio::test]
    async fn processes_follow_the_book_and_keep_it_where_the_next_one_is_none() {
        let repository = Repository::embedded().await.unwrap();
        assert!(matches!(Prices::from_table(&repository).await, Err(StoredBookError::Missing)));
        StoredBook::read(&repository).await.unwrap().replace(&repository, &book(1.0)).await.unwrap();
        let prices = Prices::from_table(&repository).await.unwrap();
        let (follower, table) = (prices.clone(), repository.clone());
        let task = tokio::spawn(async move { follower.follow(&table, Duration::from_millis(1)).await });
        for dollars in [2.0, 3.0] {
            StoredBook::read(&repository).await.unwrap().replace(&repository, &book(dollars)).await.unwrap();
            until(&prices, &book(dollars)).await;
        }
        let version = StoredBook::read(&repository).await.unwrap().version;
        assert!(repository.put_document(NAME, version, b"no book").await.unwrap());
        assert!(matches!(StoredBook::read(&repository).await, Err(StoredBookError::Damaged(_))));
        let mended = StoredBook { book: book(3.0), version: version + 1 };
        assert_eq!(*prices.book(), book(3.0));
        mended.replace(&repository, &book(4.0)).await.unwrap();
        until(&prices, &book(4.0)).await;
        task.abort();
    }

    #[tokio::test]
    async fn a_book_of_thousands_of_models_fits() {
        let row = |n: usize| {
            let price =
                Price::new(format!("provider-{}/model-{n}-2026", n % 40), "https://example.com/prices 2026-01-01");
            price.with(PriceKind::Input, n as f64 / 7.0).with(PriceKind::Output, n as f64 / 3.0)
        };
        let book = PriceBook::new((0..3_000).map(row));
        let repository = Repository::embedded().await.unwrap();
        let none = StoredBook::read(&repository).await.unwrap();
        none.replace(&repository, &book).await.unwrap();
        assert_eq!(StoredBook::read(&repository).await.unwrap(), StoredBook { book, version: 1 });
    }
}
