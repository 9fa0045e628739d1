//! The file of a price book: JSON, or YAML by its ending.

use std::{fs, io, path::Path};

use zae_llm::prices::PriceBook;

use super::rows::{Changes, changes};
use crate::cli::{CliError, error::BoxError};

/// The error of a file that cannot be read or written.
pub(super) fn cannot(action: &str, path: &Path, error: impl Into<BoxError>) -> CliError {
    CliError::failed(format!("{action} {}", path.display()), error)
}

/// Reads a book that has to be there.
pub(super) fn read(path: &Path) -> Result<PriceBook, CliError> {
    match fs::read(path) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(cannot("read", path, error).next("zae-deploy prices import --from bundled")),
    }
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

/// Sets the rows of `with` in the book of the file, which need not be there yet. Returns what that changed.
pub(super) fn set(path: &Path, with: &PriceBook) -> Result<Changes, CliError> {
    let before = read_or_empty(path)?;
    let mut after = before.clone();
    with.rows().iter().for_each(|row| drop(after.set(row.clone())));
    write(path, &after)?;
    Ok(changes(&before, &after))
}
