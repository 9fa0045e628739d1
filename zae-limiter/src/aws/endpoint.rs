//! The address of a service that does not run at its usual AWS endpoint.
//!
//! An endpoint may be a local DynamoDB, a local stack, or a VPC endpoint. Typos in it are common, and the SDK reports
//! them late, as a failed connection; it is therefore checked before anything is sent:
//!
//! | given | answer |
//! |---|---|
//! | `localhost:4566` | lacks a scheme: did you mean `http://localhost:4566`? |
//! | `dynamodb.example.com` | lacks a scheme: did you mean `https://dynamodb.example.com`? |
//! | `ftp://localhost` | has the scheme ftp: use http or https |
//! | `http://localhost:99999` | has a port that is none |
//!
//! `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true` disables configured endpoints, as for every AWS tool.

use aws_runtime::env_config::{EnvConfigValue, section::EnvConfigSections};
use aws_types::os_shim_internal::Env;
use http::Uri;

use super::{Service, variables::Variables};
use crate::error::ConnectError;

/// An endpoint and its origin; `None` if the caller passed it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The address as given.
    pub(super) url: String,
    /// The variable or profile that contains it.
    origin: Option<String>,
}

impl Endpoint {
    /// Returns the endpoint passed by the caller, otherwise the configured one; that of the service itself precedes
    /// that of all services.
    pub(super) fn find(
        service: Service,
        given: Option<&str>,
        variables: &Variables,
        profiles: Option<&EnvConfigSections>,
    ) -> Option<Self> {
        if let Some(url) = given {
            return Some(Self { url: url.to_owned(), origin: None });
        }
        let env = variables.env();
        if are_ignored(&env, profiles) {
            return None;
        }
        let setting = EnvConfigValue::new().env("AWS_ENDPOINT_URL").profile("endpoint_url").service_id(service.id());
        let url = setting.load(&env, profiles)?.0.into_owned();
        let own = format!("AWS_ENDPOINT_URL_{}", service.id().to_ascii_uppercase().replace(' ', "_"));
        let variable = [own.as_str(), "AWS_ENDPOINT_URL"].into_iter().find(|name| variables.get(name).is_some());
        let profile = || format!("profile '{}'", profiles.map_or("default", EnvConfigSections::selected_profile));
        let origin = variable.map_or_else(profile, str::to_owned);
        Some(Self { url, origin: Some(origin) })
    }

    /// # Errors
    /// [`ConnectError::Endpoint`] if it is not a valid URL to call.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let Some(problem) = problem(&self.url) else { return Ok(()) };
        Err(ConnectError::Endpoint { url: self.url.clone(), origin: self.origin.clone(), problem })
    }

    /// Returns true if it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

/// Returns true if configured endpoints are disabled.
fn are_ignored(env: &Env, profiles: Option<&EnvConfigSections>) -> bool {
    let (variable, key) = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
    let setting = EnvConfigValue::new().env(variable).profile(key).load(env, profiles);
    setting.is_some_and(|(value, _)| value.eq_ignore_ascii_case("true"))
}

/// Returns the reason why nothing can be sent to `url`.
pub(super) fn problem(url: &str) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        let with_scheme = format!("http://{url}");
        return Some(match problem(&with_scheme) {
            None if is_loopback(url) || host(url).parse::<std::net::IpAddr>().is_ok() => {
                format!("lacks a scheme: did you mean {with_scheme}?")
            }
            None => format!("lacks a scheme: did you mean https://{url}?"),
            Some(_) => "is not a URL such as http://localhost:4566".to_owned(),
        });
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Some(format!("has the scheme {scheme}: use http or https"));
    }
    let uri = url.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority).filter(|authority| !authority.host().is_empty());
    let Some(authority) = authority else {
        return Some("is not a URL such as http://localhost:4566".to_owned());
    };
    let typed = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let typed = typed.rsplit('@').next().unwrap_or_default();
    let has_port = typed.rsplit(']').next().is_some_and(|end| end.contains(':'));
    (has_port && authority.port_u16().is_none()).then(|| "has a port that is none: use 1 to 65535".to_owned())
}

/// Returns the host in a URL or in an address without a scheme.
fn host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    host.trim_matches(['[', ']'])
}

/// Returns true if a URL leads to this machine. Such an endpoint needs neither a region nor credentials, and is never
/// reached through a proxy.
pub fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns true for the addresses at which machines and containers request their own credentials, which are never
/// reached through a proxy.
pub(super) fn is_metadata(url: &str) -> bool {
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"].contains(&host(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in
            ["http://localhost:4566", "http://127.0.0.1:8000/", "http://[::1]:8000", "http://127.0.0.1", "localhost:1"]
        {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://dynamodb.us-east-1.amazonaws.com", "http://10.0.0.1:8000", "http://localhost.evil.example"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_called_is_told_what_it_lacks() {
        for (url, expected) in [
            ("localhost:5620", "lacks a scheme: did you mean http://localhost:5620?"),
            ("10.1.2.3:8000", "lacks a scheme: did you mean http://10.1.2.3:8000?"),
            (
                "dynamodb.eu-west-1.amazonaws.com",
                "lacks a scheme: did you mean https://dynamodb.eu-west-1.amazonaws.com?",
            ),
            ("ftp://localhost", "has the scheme ftp: use http or https"),
            ("http://localhost:99999", "has a port that is none: use 1 to 65535"),
            ("http://", "is not a URL such as http://localhost:4566"),
            ("http://a b", "is not a URL such as http://localhost:4566"),
            ("not a url", "is not a URL such as http://localhost:4566"),
        ] {
            assert_eq!(problem(url).as_deref(), Some(expected), "{url}");
        }
        for url in
            ["http://localhost:4566", "https://dynamodb.us-east-1.amazonaws.com", "http://[::1]:8000/path", "HTTP://x"]
        {
            assert_eq!(problem(url), None, "{url}");
        }
    }
}
