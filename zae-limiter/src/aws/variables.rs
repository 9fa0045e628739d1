//! The process's environment as passed to the SDK, without empty variables.
//!
//! Deployment tools set variables to empty strings instead of unsetting them. Only relevant variables are copied, so
//! that the environment of a process, with its secrets, is not kept in a second place.

use std::{collections::HashMap, ffi::OsString, fmt};

use aws_types::os_shim_internal::Env;

use crate::error::ConnectError;

/// Variables that the SDK reads other than those with the prefix `AWS_`, and those that configure proxies.
const OTHERS: [&str; 12] = [
    "HOME",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "SECRET_ACCESS_KEY",
    "REQUEST_METHOD",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Variables whose value is not blank.
#[derive(Clone)]
pub(super) struct Variables(HashMap<String, String>);

impl fmt::Debug for Variables {
    /// Omits values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// Selects the relevant variables from `all`, which is `std::env::vars_os()`.
    ///
    /// # Errors
    /// [`ConnectError::NotText`] if the value of one is not UTF-8.
    pub(super) fn read(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConnectError> {
        let mut known = HashMap::new();
        for (name, value) in all {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with("AWS_") && !OTHERS.contains(&name.as_str()) {
                continue;
            }
            match value.into_string() {
                Ok(value) if value.trim().is_empty() => {}
                Ok(value) => drop(known.insert(name, value)),
                Err(_) => return Err(ConnectError::NotText { variable: name }),
            }
        }
        Ok(Self(known))
    }

    /// Returns a variable's value, if it has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the first of `names` that has a value, with its name.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// Sets a variable for the SDK; the process's own environment is unchanged.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Converts the variables to the SDK's type.
    pub(super) fn env(&self) -> Env {
        self.0.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Variables {
        Variables::read(pairs.iter().map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let variables = read(&[("AWS_REGION", ""), ("AWS_PROFILE", " \t"), ("AWS_DEFAULT_REGION", "eu-west-1")]);
        assert_eq!(variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]), Some(("AWS_DEFAULT_REGION", "eu-west-1")));
        assert_eq!(variables.get("AWS_PROFILE"), None);
        assert!(variables.env().get("AWS_REGION").is_err());
    }

    #[test]
    fn what_is_not_asked_for_is_not_read_and_no_value_is_shown() {
        let variables = read(&[("DATABASE_URL", "postgres://"), ("AWS_SECRET_ACCESS_KEY", "wJalr")]);
        assert_eq!(variables.get("DATABASE_URL"), None);
        assert_eq!(format!("{variables:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(vec![0xff]);
        let error = Variables::read([("AWS_PROFILE".into(), bytes)]).unwrap_err();
        assert_eq!(error.to_string(), "AWS_PROFILE is not UTF-8 text");
    }
}
