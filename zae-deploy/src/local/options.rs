//! Options of a local stack.

use std::path::PathBuf;

use zae_limiter::StackName;

/// The port on which the Python package's local stack listens, too.
pub const DEFAULT_PORT: u16 = 4566;

/// The location of the data.
///
/// See the [module](crate::local) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// In memory, lost when the process ends.
    #[default]
    Memory,
    /// In this file, persistent.
    File(PathBuf),
}

/// Settings of a local stack.
///
/// See the [module](crate::local) for an example.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    pub(super) port: Option<u16>,
    pub(super) stack: Option<StackName>,
    pub(super) data: Data,
    pub(super) archive: Option<PathBuf>,
}

impl Options {
    /// Sets the port on the loopback interface; 0 for any free one. Default: [`DEFAULT_PORT`].
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Sets the name of the stack, which is also the table's; `limiter` by default.
    #[must_use]
    pub fn stack(self, stack: StackName) -> Self {
        Self { stack: Some(stack), ..self }
    }

    /// Sets the location of the data; in memory by default.
    #[must_use]
    pub fn data(self, data: Data) -> Self {
        Self { data, ..self }
    }

    /// Sets the folder to which expired audit events are written, as to S3 on AWS; none by default.
    #[must_use]
    pub fn archive(self, folder: impl Into<PathBuf>) -> Self {
        Self { archive: Some(folder.into()), ..self }
    }
}
