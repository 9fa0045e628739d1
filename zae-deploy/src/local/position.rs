//! Up to where the stream was read, which is kept where the data is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use zae_limiter::StackName;

use super::{options::Data, private};

/// A place in the stream.
#[derive(Debug)]
pub(super) struct Position {
    file: Option<PathBuf>,
    last: Option<String>,
}

impl Position {
    /// Returns the position where the last run ended, if its data was kept and is still there.
    pub(super) fn of(data: &Data, stack: &StackName) -> Self {
        let Data::File(data) = data else { return Self { file: None, last: None } };
        let file = data.with_extension(format!("{stack}.position"));
        let last = data.exists().then(|| read(&file)).flatten();
        Self { file: Some(file), last }
    }

    /// The number of the last record that was read; `None`: the stream's beginning.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Forgets it: the table is gone.
    pub(super) fn forget(self) {
        if let Some(file) = self.file
            && let Err(error) = fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, file = %file.display(), "the stream's position cannot be removed");
        }
    }

    /// Goes on to the record with this number.
    pub(super) fn advance(&mut self, to: &str) {
        if let Some(file) = &self.file
            && let Err(error) = private::write(file, to.as_bytes())
        {
            // It counts nothing twice when it reads again; it may archive again.
            tracing::warn!(error = %error, file = %file.display(), "the stream's position cannot be written");
        }
        self.last = Some(to.to_owned());
    }
}

/// Reads the position. A torn write leaves no number, or an earlier position.
fn read(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}
