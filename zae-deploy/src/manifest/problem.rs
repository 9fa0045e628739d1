//! Problems of a manifest, with their places.

use std::fmt;

/// A place in a text, both counted from 1.
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

/// One thing that is wrong.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The place where it stands; `None` in a document that was not read from text.
    pub place: Option<Place>,
    /// The keys that lead there, for example `resources.gpt-4.limits.rpm`; empty for the document itself.
    pub path: String,
    /// Description of the problem, and of what to do about it.
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

/// Everything that is wrong with a manifest, in the order of the text; nothing of it was used.
///
/// Shown one problem a line, as `line:column: path: message`; [`ManifestError::in_file`] puts a file's name in front,
/// in the way that editors and terminals make a link of.
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

    /// The same, said of a file.
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
