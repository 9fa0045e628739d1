//! The position up to which the stream was read, stored beside the data.

use std::{
    fs,
    path::{Path, PathBuf},
};

use zae_limiter::StackName;

use super::{options::Data, private};

/// A position in the stream.
#[derive(Debug)]
pub(super) struct Position {
    file: Option<PathBuf>,
    last: Option<String>,
}

impl Position {
    /// Returns the position at which the last run ended, if its data was kept and still exists.
    pub(super) fn of(data: &Data, stack: &StackName) -> Self {
        let Data::File(data) = data else { return Self { file: None, last: None } };
        let file = data.with_extension(format!("{stack}.position"));
        let last = data.exists().then(|| read(&file)).flatten();
        Self { file: Some(file), last }
    }

    /// Returns the number of the last record that was read; `None` for the stream's beginning.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Removes it, because the table is gone.
    pub(super) fn forget(self) {
        if let Some(file) = self.file
            && let Err(error) = fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, file = %file.display(), "the stream's position cannot be removed");
        }
    }

    /// Advances to the record with this number.
    pub(super) fn advance(&mut self, to: &str) {
        if let Some(file) = &self.file
            && let Err(error) = private::write(file, to.as_bytes())
        {
            // Reading again counts nothing twice, but may archive again.
            tracing::warn!(error = %error, file = %file.display(), "the stream's position cannot be written");
        }
        self.last = Some(to.to_owned());
    }
}

/// Reads the position. A torn write leaves no number, or an earlier position.
fn read(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}
