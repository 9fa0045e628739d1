//! Problems of a manifest, with their positions.

use std::fmt;

/// A position in a text, both parts counted from 1.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One problem.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Its position; `None` in a document that was not parsed from text.
    pub place: Option<Place>,
    /// The keys of its path, for example `resources.gpt-4.limits.rpm`; empty for the document itself.
    pub path: String,
    /// Description of the problem, and of the remedy.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of a manifest, in the order of the text; nothing of it was used.
///
/// Displayed with one problem per line, as `line:column: path: message`; [`ManifestError::in_file`] prefixes a file
/// name, in the form that editors and terminals turn into links.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    problems: Vec<Problem>,
    file: Option<String>,
}

impl ManifestError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        Self { problems, file: None }
    }

    /// Returns the problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Adds the name of the file.
    #[must_use]
    pub fn in_file(self, name: impl Into<String>) -> Self {
        Self { file: Some(name.into()), ..self }
    }
}

impl From<Problem> for ManifestError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &self.file {
                Some(file) if problem.place.is_some() => write!(f, "{file}:{problem}")?,
                Some(file) => write!(f, "{file}: {problem}")?,
                None => write!(f, "{problem}")?,
            }
        }
        Ok(())
    }
}
