//! Options of a local stack.

use std::path::PathBuf;

use zae_limiter::StackName;

/// The port where the reference's local stack listens, too.
pub const DEFAULT_PORT: u16 = 4566;

/// The place of the data.
///
/// See the [module](crate::local) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// In memory, gone with the process.
    #[default]
    Memory,
    /// In this file, kept.
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
    /// The port on the loopback interface; 0 takes any that is free. [`DEFAULT_PORT`] otherwise.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// The stack's, and so the table's, name; `limiter` otherwise.
    #[must_use]
    pub fn stack(self, stack: StackName) -> Self {
        Self { stack: Some(stack), ..self }
    }

    /// Sets the place of the data; in memory otherwise.
    #[must_use]
    pub fn data(self, data: Data) -> Self {
        Self { data, ..self }
    }

    /// The folder to which audit events go when they expire, as they go to S3 on AWS; nowhere otherwise.
    #[must_use]
    pub fn archive(self, folder: impl Into<PathBuf>) -> Self {
        Self { archive: Some(folder.into()), ..self }
    }
}
