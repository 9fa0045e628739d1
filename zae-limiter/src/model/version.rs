//! Versions and their compatibility: [`Version`], [`VersionRecord`], [`Compatibility`].
//!
//! A table is shared by clients in two languages and of several releases. Three numbers keep them apart: the schema
//! (its major version must match), the oldest client that may write, and the level of the deployed Lambda. The
//! comparison follows the Python package, in its order: an outdated client is reported before a different schema.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::Serialize;

use crate::error::{ValidationError, ValidationReason};

/// The schema of the table's items that this crate reads and writes.
pub const SCHEMA_VERSION: &str = "0.10.0";

/// The release of the Python package that this crate is equivalent to on a shared table.
///
/// The table's version record sets a minimum in these terms, and so does each newer feature. Attributes up to this
/// release are either implemented here or rejected with [`Unsupported`](crate::error::Unsupported), never ignored, so
/// this crate satisfies any minimum up to it. A new table's record also gets it as `lambda_version`: Python clients
/// replace a Lambda that is older than themselves with their own.
pub const COMPATIBILITY_LEVEL: &str = "0.17.0";

/// The minimum of a record without one.
const NO_MINIMUM: &str = "0.0.0";

/// `major.minor.patch`, with or without a pre-release.
///
/// A leading `v`, two numbers for three (`1.2`) and the suffixes of Python packages (`1.2.3rc1`, `1.2.3.dev4+g0a1b`)
/// are accepted. A pre-release precedes its release; two pre-releases compare as text.
///
/// ```
/// use zae_limiter::version::Version;
/// assert!("0.9.0".parse::<Version>()? < "0.10.0".parse::<Version>()?);
/// assert!("1.0.0-rc1".parse::<Version>()? < "1.0.0".parse::<Version>()?);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The major version.
    major: u64,
    /// The minor version.
    minor: u64,
    /// The patch version.
    patch: u64,
    /// The text after the hyphen, or `dev`.
    pre_release: Option<String>,
}

impl Version {
    /// Returns the major version; schemas with different ones are incompatible.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// Returns true if its release is that of `other` or newer, ignoring pre-releases.
    pub(crate) fn has_release_of(&self, other: &Self) -> bool {
        self.release() >= other.release()
    }

    /// Returns the three numbers, without the pre-release.
    fn release(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ValidationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = "major.minor.patch, with -pre-release or without";
        let error = || ValidationError::new("version", text, ValidationReason::Pattern { allowed });
        let rest = text.strip_prefix('v').unwrap_or(text);
        let rest = match rest.split_once('+') {
            Some((_, "")) => return Err(error()),
            Some((public, _)) => public,
            None => rest,
        };
        let (rest, is_development) = match rest.rsplit_once(".dev") {
            Some((before, digits)) if is_number(digits) => (before, true),
            _ => (rest, false),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (numbers, suffix) = rest.split_at(end);
        let pre_release = match pre_release(suffix).ok_or_else(error)? {
            None => is_development.then(|| "dev".to_owned()),
            Some(name) if is_development => Some(format!("{name}-dev")),
            Some(name) => Some(name.to_owned()),
        };
        let number = |part: &str| part.parse::<u64>().ok().filter(|_| is_number(part)).ok_or_else(error);
        match numbers.split('.').collect::<Vec<_>>()[..] {
            [major, minor, patch] => {
                Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)?, pre_release })
            }
            [major, minor] if suffix.is_empty() => {
                Ok(Self { major: number(major)?, minor: number(minor)?, patch: 0, pre_release })
            }
            _ => Err(error()),
        }
    }
}

/// Returns true if `text` consists of digits; `parse` alone would accept a sign.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the name of a pre-release in what follows the numbers: `-name`, or `a`, `b` or `rc` with a number, as Python
/// packages have it; `Some(None)` where nothing follows, `None` for anything else.
fn pre_release(suffix: &str) -> Option<Option<&str>> {
    if suffix.is_empty() {
        return Some(None);
    }
    if let Some(name) = suffix.strip_prefix('-') {
        return (!name.is_empty()).then_some(Some(name));
    }
    let count = ["rc", "a", "b"].iter().find_map(|kind| suffix.strip_prefix(kind))?;
    is_number(count).then_some(Some(suffix))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.release().cmp(&other.release()).then_with(|| match (&self.pre_release, &other.pre_release) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(mine), Some(theirs)) => mine.cmp(theirs),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.pre_release.iter().try_for_each(|pre_release| write!(f, "-{pre_release}"))
    }
}

/// The table's record of the versions that may use it. There is one such record for all namespaces.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, version::{COMPATIBILITY_LEVEL, Compatibility}};
///
/// let repository = Repository::embedded().await?;
/// let record = repository.version_record().await?.expect("a new table gets one");
/// assert_ne!(record.compatibility(&"1.0.0".parse()?), Compatibility::Compatible); // another major version
/// # let _ = COMPATIBILITY_LEVEL;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VersionRecord {
    /// The schema of its items; `None` in a damaged record.
    pub schema_version: Option<String>,
    /// The level of the deployed aggregator, if there is one.
    pub lambda_version: Option<String>,
    /// The oldest client that may use the table.
    pub client_min_version: Option<String>,
    /// The time at which the record was written.
    pub updated_at: Option<String>,
    /// The writer of the record.
    pub updated_by: Option<String>,
}

/// The result of comparing a version record with a client.
///
/// See [`VersionRecord`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compatibility {
    /// Compatible.
    Compatible,
    /// The client may continue; the aggregator is older than the client, or its version is unreadable.
    LambdaOutdated,
    /// The table requires newer clients.
    ClientTooOld {
        /// The oldest permitted client.
        minimum: String,
    },
    /// The schema has another major version, or is unreadable.
    IncompatibleSchema {
        /// The stored schema.
        schema: String,
    },
}

impl VersionRecord {
    /// Compares this record with a client of version `client`.
    pub fn compatibility(&self, client: &Version) -> Compatibility {
        // The Python package reads a missing schema as the first one ever published.
        let schema = self.schema_version.as_deref().filter(|text| !text.is_empty()).unwrap_or("1.0.0");
        let incompatible = || Compatibility::IncompatibleSchema { schema: schema.to_owned() };
        let Ok(schema_version) = schema.parse::<Version>() else { return incompatible() };
        let minimum = self.client_min_version.as_deref().unwrap_or(NO_MINIMUM);
        if minimum.parse::<Version>().is_ok_and(|minimum| *client < minimum) {
            return Compatibility::ClientTooOld { minimum: minimum.to_owned() };
        }
        if schema_version.major != client.major {
            return incompatible();
        }
        match self.lambda_version.as_deref().map(str::parse::<Version>) {
            Some(Ok(lambda)) if lambda.release() >= client.release() => Compatibility::Compatible,
            None => Compatibility::Compatible,
            Some(_) => Compatibility::LambdaOutdated,
        }
    }
}

/// The values that an upgrade writes into the version record.
///
/// The minimum for clients is only ever raised: lowering it would admit clients that do not understand what newer ones
/// have stored.
///
/// ```
/// use zae_limiter::version::VersionUpdate;
/// let update = VersionUpdate::default().lambda_version("0.17.0".parse()?).updated_by("zae-deploy:0.1.0");
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VersionUpdate {
    /// The level of the deployed aggregator.
    pub(crate) lambda_version: Option<Version>,
    /// The oldest client that may use the table.
    pub(crate) minimum: Option<Version>,
    /// The writer's name.
    pub(crate) updated_by: Option<String>,
}

impl VersionUpdate {
    /// Sets the level of the deployed aggregator. Without it, the stored value stays.
    #[must_use]
    pub fn lambda_version(mut self, version: Version) -> Self {
        self.lambda_version = Some(version);
        self
    }

    /// Raises the minimum client version; a value below the stored one has no effect.
    #[must_use]
    pub fn raise_client_min_version(mut self, version: Version) -> Self {
        self.minimum = Some(version);
        self
    }

    /// Names the writer; by default this crate and its version.
    #[must_use]
    pub fn updated_by(mut self, who: impl Into<String>) -> Self {
        self.updated_by = Some(who.into());
        self
    }
}
