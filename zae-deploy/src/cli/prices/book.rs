//! The place of a price book: a file of JSON, or YAML by its ending, or the table.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zae_limiter::Repository;
use zae_llm::prices::{PriceBook, StoredBook, StoredBookError};

use super::rows::{Changes, changes};
use crate::cli::{CliError, error::BoxError};

/// The error of a file that cannot be read or written.
pub(super) fn cannot(action: &str, path: &Path, error: impl Into<BoxError>) -> CliError {
    CliError::failed(format!("{action} {}", path.display()), error)
}

/// Number of tries to change a book in the table that others change, too.
const TRIES: u32 = 5;

/// The place of a book.
#[derive(Debug)]
pub(super) enum BookPlace {
    File(PathBuf),
    Table(Repository),
}

impl BookPlace {
    /// Reads a book that has to be there.
    pub(super) async fn read(&self) -> Result<PriceBook, CliError> {
        match self {
            Self::File(path) => match fs::read(path) {
                Ok(text) => parse(path, &text),
                Err(error) => Err(cannot("read", path, error).next("zae-deploy prices import --from bundled")),
            },
            Self::Table(repository) => {
                let stored = stored(repository).await?;
                if stored.version > 0 {
                    return Ok(stored.book);
                }
                let missing = format!("Namespace '{}' has no price book", repository.namespace_name());
                Err(CliError::problem(missing).next("zae-deploy prices import --from bundled --in-table"))
            }
        }
    }

    /// Sets the rows of `with` in the book, which need not be there yet. Returns what that changed.
    pub(super) async fn set(&self, with: &PriceBook) -> Result<Changes, CliError> {
        let changed = |before: &PriceBook| {
            let mut after = before.clone();
            with.rows().iter().for_each(|row| drop(after.set(row.clone())));
            after
        };
        let repository = match self {
            Self::File(path) => {
                let before = read_or_empty(path)?;
                let after = changed(&before);
                write(path, &after)?;
                return Ok(changes(&before, &after));
            }
            Self::Table(repository) => repository,
        };
        for left in (0..TRIES).rev() {
            let before = stored(repository).await?;
            let after = changed(&before.book);
            match before.replace(repository, &after).await {
                Ok(()) => return Ok(changes(&before.book, &after)),
                Err(StoredBookError::Changed) if left > 0 => {}
                Err(error) => return Err(CliError::failed("write the table's price book", error)),
            }
        }
        Err(CliError::failed("write the table's price book", StoredBookError::Changed))
    }
}

async fn stored(repository: &Repository) -> Result<StoredBook, CliError> {
    StoredBook::read(repository).await.map_err(|error| CliError::failed("read the table's price book", error))
}

fn read_or_empty(path: &Path) -> Result<PriceBook, CliError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PriceBook::default()),
        Err(error) => Err(cannot("read", path, error)),
        Ok(text) => parse(path, &text),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Reads the text of the file `path`.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<PriceBook, CliError> {
    let failed = |error: BoxError| cannot("read", path, error);
    if !is_yaml(path) {
        return PriceBook::from_json(text).map_err(|error| failed(error.into()));
    }
    let text = std::str::from_utf8(text).map_err(|error| failed(error.into()))?;
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| failed(error.to_string().into()))?;
    PriceBook::from_json(value.to_string().as_bytes()).map_err(|error| failed(error.into()))
}

/// Writes a book completely or not at all, because a program may be reading it.
fn write(path: &Path, book: &PriceBook) -> Result<(), CliError> {
    let mut text = book.to_json();
    if is_yaml(path) {
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| cannot("write", path, error))?;
        text = serde_saphyr::to_string(&value).map_err(|error| cannot("write", path, error.to_string()))?;
    }
    let beside = path.with_extension("new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| cannot("write", path, error))
}
