//! Programs to package: [`Binary`], [`Packing`].

use std::{
    fmt, fs,
    io::{Cursor, Write},
    path::Path,
    sync::Arc,
};

use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{BOOTSTRAP, Function, INDEX, MODE, PackageError, elf, find};
use crate::artifact::{Architecture, Package};

/// Number of bytes packed in one step.
const STEP: usize = 256 * 1024;

/// A checked program for Lambda that is not packed yet: finding and checking it is quick, packing is not. Cheap to
/// clone.
///
/// See the [module](crate::package) for an example.
#[derive(Clone)]
pub struct Binary {
    architecture: Architecture,
    bytes: Arc<[u8]>,
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { architecture, bytes } = self;
        f.debug_struct("Binary").field("architecture", architecture).field("bytes", &bytes.len()).finish()
    }
}

impl Binary {
    /// Checks the program `bytes` for `architecture`.
    ///
    /// # Errors
    /// [`PackageError`] if it would not start on Lambda.
    pub fn new(bytes: impl Into<Arc<[u8]>>, architecture: Architecture) -> Result<Self, PackageError> {
        let bytes = bytes.into();
        elf::check(&bytes, architecture)?;
        Ok(Self { architecture, bytes })
    }

    /// Reads and checks the binary of `function` for `architecture`, as located by [`find`].
    ///
    /// # Errors
    /// [`PackageError`] if it is missing, or would not start on Lambda.
    pub fn load(function: Function, architecture: Architecture, from: Option<&Path>) -> Result<Self, PackageError> {
        let path = find(function, architecture, from)?;
        let bytes = fs::read(&path).map_err(|source| PackageError::Unreadable { path, source })?;
        Self::new(bytes, architecture)
    }

    /// Returns the architecture that it is for.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Returns the length of the program, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns true if it is empty; never true for a checked program.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Packs it in one step.
    ///
    /// # Errors
    /// [`PackageError::Zip`].
    pub fn pack(&self) -> Result<Package, PackageError> {
        let mut packing = self.packing()?;
        while packing.step()? {}
        packing.finish()
    }

    /// Packs it step by step, for callers that have other work in between.
    ///
    /// # Errors
    /// [`PackageError::Zip`].
    pub fn packing(&self) -> Result<Packing<'_>, PackageError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(BOOTSTRAP, options())?;
        Ok(Packing { zip, bytes: &self.bytes, done: 0 })
    }
}

/// Returns the zip options, under which the same files become the same bytes.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(MODE)
}

/// A package under construction.
///
/// See the [module](crate::package) for an example.
pub struct Packing<'a> {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    bytes: &'a [u8],
    done: usize,
}

impl fmt::Debug for Packing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing").field("done", &self.done).field("of", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Packing<'_> {
    /// Packs the next part; returns `false` once everything is packed.
    ///
    /// # Errors
    /// [`PackageError::Zip`].
    pub fn step(&mut self) -> Result<bool, PackageError> {
        let end = self.bytes.len().min(self.done + STEP);
        self.zip.write_all(&self.bytes[self.done..end]).map_err(ZipError::Io)?;
        self.done = end;
        Ok(end < self.bytes.len())
    }

    /// Returns the packed part of the program, in per cent.
    pub fn percent(&self) -> u8 {
        let percent = self.done.saturating_mul(100) / self.bytes.len().max(1);
        u8::try_from(percent).unwrap_or(100)
    }

    /// Packs the remainder, and closes the package.
    ///
    /// # Errors
    /// [`PackageError::Zip`].
    pub fn finish(mut self) -> Result<Package, PackageError> {
        while self.step()? {}
        let (name, text) = INDEX;
        self.zip.start_file(name, options())?;
        self.zip.write_all(text.as_bytes()).map_err(ZipError::Io)?;
        Ok(Package::new(self.zip.finish()?.into_inner()))
    }
}
