//! The proxies configured in the environment.
//!
//! | variable | used for |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY` | encrypted endpoints, by CONNECT |
//! | `http_proxy`, `HTTP_PROXY` | plain endpoints; in a CGI program (`REQUEST_METHOD` is set) only the lower-case one |
//! | `no_proxy`, `NO_PROXY` | hosts, domains (`.example.com`, `*.example.com`) and addresses to reach directly; `*` for all |
//!
//! A proxy without a scheme is treated as `http://`. Its address may contain a password, so errors only name the
//! variable.

use aws_smithy_http_client::proxy::ProxyConfig;

use super::{endpoint, variables::Variables};
use crate::error::ConnectError;

/// The proxies for plain and for encrypted endpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    /// For plain endpoints.
    pub(super) http: Option<ProxyConfig>,
    /// For encrypted endpoints.
    pub(super) https: Option<ProxyConfig>,
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; their lower-case names take precedence, as for the AWS CLI.
    ///
    /// # Errors
    /// [`ConnectError::Proxy`] for an invalid proxy URL.
    pub(super) fn read(variables: &Variables) -> Result<Self, ConnectError> {
        let (_, no) = variables.first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        if no.split(',').any(|rule| rule.trim() == "*") {
            return Ok(Self::default());
        }
        // In a CGI program, HTTP_PROXY is a header sent by the client.
        let plain: &[_] =
            if variables.get("REQUEST_METHOD").is_some() { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let read = |names: &[&'static str], make: fn(&str) -> Option<ProxyConfig>| {
            let Some((variable, url)) = variables.first(names) else { return Ok(None) };
            let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
            let proxy = if endpoint::problem(&url).is_none() { make(&url) } else { None };
            let proxy = proxy.ok_or(ConnectError::Proxy { variable })?;
            Ok(Some(proxy.no_proxy(rules(no))))
        };
        Ok(Self {
            http: read(plain, |url| ProxyConfig::http(url).ok())?,
            https: read(&["https_proxy", "HTTPS_PROXY"], |url| ProxyConfig::https(url).ok())?,
        })
    }
}

/// Some write `.example.com` as `*.example.com`.
fn rules(no: &str) -> String {
    let rule =
        |rule: &str| rule.trim().strip_prefix("*.").map_or(rule.trim().to_owned(), |domain| format!(".{domain}"));
    no.split(',').map(rule).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Proxies, ConnectError> {
        let variables = pairs.iter().map(|(name, value)| (name.into(), value.into()));
        Proxies::read(&Variables::read(variables).unwrap())
    }

    #[test]
    fn an_empty_proxy_is_none_and_a_bare_host_is_one() {
        let none = read(&[("HTTPS_PROXY", ""), ("http_proxy", " ")]).unwrap();
        assert!(none.http.is_none() && none.https.is_none());
        let some = read(&[("HTTPS_PROXY", "proxy:3128"), ("http_proxy", "https://user:secret@proxy")]).unwrap();
        assert!(some.http.is_some() && some.https.is_some());
        let nowhere = read(&[("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", "a.example, *")]).unwrap();
        assert!(nowhere.https.is_none());
        let cgi = read(&[("HTTP_PROXY", "evil:80"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert!(cgi.http.is_none());
    }

    #[test]
    fn what_is_no_proxy_is_named_without_its_password() {
        for url in ["socks5://user:secret@proxy:1080", "http://user:secret@:x", "http://proxy:99999"] {
            let error = read(&[("HTTPS_PROXY", url)]).unwrap_err().to_string();
            assert_eq!(
                error, "HTTPS_PROXY is not the URL of an HTTP proxy, such as http://proxy.example:3128",
                "{url}"
            );
        }
    }

    #[test]
    fn a_star_before_a_domain_is_no_part_of_it() {
        assert_eq!(rules("*.internal, a.example"), ".internal,a.example");
    }
}
