//! Settings from the function's environment.

use zae_limiter::{StackName, ValidationError, usage::UsageWindow};

/// The aggregator's settings.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The table, which has the name of its stack.
    pub table: StackName,
    /// Windows for which snapshots are kept.
    pub windows: Vec<UsageWindow>,
    /// Number of days that a snapshot is kept.
    pub retention_days: u32,
    /// The bucket where audit events are archived; `None` for no archive.
    pub archive_bucket: Option<String>,
}

/// An invalid setting.
///
/// See the [module](crate::aggregator) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The table's name is invalid.
    #[error("TABLE_NAME cannot be used")]
    Table(#[source] ValidationError),
    /// An unknown window.
    #[error("SNAPSHOT_WINDOWS names '{0}': it must be a list of hourly, daily and monthly, separated by commas")]
    Window(String),
    /// The retention is not a number of days.
    #[error("SNAPSHOT_TTL_DAYS is '{0}': it must be a whole number of at least 1")]
    Retention(String),
    /// Archival is enabled without a bucket.
    #[error("ENABLE_ARCHIVAL is true and ARCHIVE_BUCKET_NAME is empty: name the bucket, or turn archival off")]
    NoBucket,
}

impl Settings {
    /// Creates settings for the table `table`: hourly and daily snapshots, kept for 90 days, no archive.
    pub fn new(table: StackName) -> Self {
        let windows = vec![UsageWindow::Hourly, UsageWindow::Daily];
        Self { table, windows, retention_days: 90, archive_bucket: None }
    }

    /// Reads `TABLE_NAME`, `SNAPSHOT_WINDOWS`, `SNAPSHOT_TTL_DAYS`, `ENABLE_ARCHIVAL` and `ARCHIVE_BUCKET_NAME` through
    /// `variable`. Unset ones have the Python package's defaults.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable. A function that starts with half of its settings would silently ignore the
    /// other half.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let table = set("TABLE_NAME").unwrap_or_else(|| "rate-limits".to_owned());
        let mut settings = Self::new(StackName::new(table).map_err(SettingsError::Table)?);
        if let Some(windows) = set("SNAPSHOT_WINDOWS") {
            settings.windows.clear();
            for name in windows.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let window = name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
                match window {
                    UsageWindow::Other(name) => return Err(SettingsError::Window(name)),
                    window if settings.windows.contains(&window) => {}
                    window => settings.windows.push(window),
                }
            }
        }
        if let Some(days) = set("SNAPSHOT_TTL_DAYS") {
            let parsed = days.parse().ok().filter(|days| *days > 0);
            settings.retention_days = parsed.ok_or(SettingsError::Retention(days))?;
        }
        if set("ENABLE_ARCHIVAL").is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            settings.archive_bucket = Some(set("ARCHIVE_BUCKET_NAME").ok_or(SettingsError::NoBucket)?);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_the_reference_s() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings, Settings::new(StackName::new("rate-limits").unwrap()));
        assert_eq!((settings.windows.len(), settings.retention_days), (2, 90));
    }

    #[test]
    fn windows_are_trimmed_and_unknown_ones_refused() {
        let settings = read(&[("SNAPSHOT_WINDOWS", "hourly, monthly,hourly,")]).unwrap();
        assert_eq!(settings.windows, [UsageWindow::Hourly, UsageWindow::Monthly]);
        assert!(read(&[("SNAPSHOT_WINDOWS", "weekly")]).unwrap_err().to_string().contains("weekly"));
    }

    #[test]
    fn broken_settings_are_named() {
        for (name, value) in
            [("SNAPSHOT_TTL_DAYS", "0"), ("SNAPSHOT_TTL_DAYS", "x"), ("TABLE_NAME", "a_b"), ("ENABLE_ARCHIVAL", "TRUE")]
        {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let archived = read(&[("ENABLE_ARCHIVAL", "true"), ("ARCHIVE_BUCKET_NAME", "b")]).unwrap();
        assert_eq!(archived.archive_bucket.as_deref(), Some("b"));
    }
}
