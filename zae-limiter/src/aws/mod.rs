//! Region, credentials, endpoints and proxies, resolved as by every AWS tool: [`Connect`].
//!
//! [`Repository`](crate::Repository) uses it to connect. It is public for programs that need a client of another
//! service with the same settings, or a DynamoDB client with other timeouts.
//!
//! | setting | found in, the first that has a value |
//! |---|---|
//! | region | the caller's, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, the machine's own |
//! | endpoint | the caller's, `AWS_ENDPOINT_URL_DYNAMODB` (`_STS`, `_S3`, …), `AWS_ENDPOINT_URL`, the profile's `services`, its `endpoint_url` |
//! | credentials | `AWS_ACCESS_KEY_ID`, the profile (keys, `credential_process`, `role_arn`, IAM Identity Center with feature `sso`, `aws login` with feature `login`), `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_*`, the machine's own |
//! | profile | `AWS_PROFILE`, or `default`, of `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` |
//! | proxies | `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`; lower-case names first |
//!
//! - An empty variable, or an empty setting in a file, counts as unset.
//! - An endpoint on this machine needs neither a region nor credentials, and is never reached through a proxy; nor are
//!   the addresses at which machines and containers request their credentials.
//! - Invalid settings, such as an endpoint without a scheme, are errors of [`Connect::load`].
//! - [`StoreDates`] reads the time of AWS from the responses to a client.
//! - The certificates of an intercepting proxy are trusted if the system trusts them, or from `SSL_CERT_FILE`.

mod credentials;
mod endpoint;
mod files;
mod http;
mod proxy;
mod variables;

use std::{fmt, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, profile, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::{
    os_shim_internal::Fs,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use self::{
    credentials::{Absent, Explained},
    endpoint::Endpoint,
    proxy::Proxies,
    variables::Variables,
};
use crate::error::ConnectError;

pub use self::endpoint::is_loopback;
pub use crate::clock::StoreDates;

/// The access key that signs calls to this machine if none is configured.
pub const LOCAL_ACCESS_KEY_ID: &str = "local";

/// Acquires and attempts do not wait for a connection longer than their own timeouts; the connection then serves the
/// next.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default number of attempts, the same as the SDK's.
const DEFAULT_ATTEMPTS: u32 = 3;

/// A service whose endpoint can be configured separately.
///
/// ```
/// use zae_limiter::aws::Service;
/// assert_ne!(Service::DynamoDb, Service::Sts); // each may have an endpoint of its own
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// CloudFormation.
    CloudFormation,
    /// S3.
    S3,
    /// Lambda.
    Lambda,
    /// The Security Token Service.
    Sts,
    /// The tagging API of resource groups.
    Tagging,
}

impl Service {
    /// Returns its service id in the SDKs.
    fn id(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB",
            Self::CloudFormation => "CloudFormation",
            Self::S3 => "S3",
            Self::Lambda => "Lambda",
            Self::Sts => "STS",
            Self::Tagging => "Resource Groups Tagging API",
        }
    }

    /// Returns the endpoint that clients created from `config` call, if it is not AWS's own.
    #[must_use]
    pub fn endpoint(self, config: &SdkConfig) -> Option<String> {
        let given = config.get_origin("endpoint_url").is_client_config();
        let key = ServiceConfigKey::builder().service_id(self.id()).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = || config.service_config()?.load_config(key.build().ok()?);
        if given { None } else { own() }.or_else(|| config.endpoint_url().map(str::to_owned))
    }
}

/// Settings for AWS clients; everything else comes from the environment.
///
/// ```no_run
/// # async fn connect() -> Result<(), zae_limiter::error::ConnectError> {
/// use zae_limiter::aws::{Connect, Service};
/// let config = Connect::to(Service::DynamoDb).attempts(5).load().await?;
/// let client = aws_sdk_dynamodb::Client::new(&config);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is loaded"]
pub struct Connect {
    /// The service whose endpoint determines if a region and credentials are required.
    service: Service,
    /// Services whose endpoints are only validated.
    others: Vec<Service>,
    /// The region, if the caller passed one.
    region: Option<String>,
    /// The endpoint, if the caller passed one.
    endpoint_url: Option<String>,
    /// Timeout for establishing a connection.
    connect_timeout: Duration,
    /// Timeout for one attempt; `None` for none.
    attempt_timeout: Option<Duration>,
    /// Number of attempts per call.
    attempts: u32,
}

impl Connect {
    /// Creates settings for clients of `service`. If its endpoint is on this machine, neither a region nor credentials
    /// are required.
    pub fn to(service: Service) -> Self {
        Self {
            service,
            others: Vec::new(),
            region: None,
            endpoint_url: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            attempt_timeout: None,
            attempts: DEFAULT_ATTEMPTS,
        }
    }

    /// Adds services whose endpoints are validated too.
    pub fn and(mut self, others: impl IntoIterator<Item = Service>) -> Self {
        self.others.extend(others);
        self
    }

    /// Sets the region, overriding the environment; an empty one is ignored.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into()).filter(|region| !region.trim().is_empty());
        self
    }

    /// Sets the endpoint of every service, overriding the environment; an empty one is ignored.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = Some(url.into()).filter(|url| !url.trim().is_empty());
        self
    }

    /// Sets the timeout for establishing a connection; ten seconds by default.
    ///
    /// An acquire with an earlier deadline ends before that, and the connection serves the next one.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the timeout for one attempt of a call.
    ///
    /// Without it, an attempt may take forever. Writes of the engine have deadlines of their own and ignore it.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the number of attempts per call; three by default.
    ///
    /// The SDK waits between attempts, longer each time. Writes of the engine are attempted once, regardless of this
    /// setting.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Reads environment and files.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`ConnectError`] for an invalid setting, and if there is no region.
    pub async fn load(self) -> Result<SdkConfig, ConnectError> {
        let mut variables = Variables::read(std::env::vars_os())?;
        let files = files::without_blanks(&variables).await;
        let chosen = files.clone().unwrap_or_default();
        // The SDK itself warns of an unreadable file; with keys in variables it does not matter.
        let profiles = profile::load(&Fs::real(), &variables.env(), &chosen, None).await.ok();
        let find = |service| Endpoint::find(service, self.endpoint_url.as_deref(), &variables, profiles.as_ref());
        let own = find(self.service);
        for endpoint in own.iter().cloned().chain(self.others.iter().filter_map(|other| find(*other))) {
            endpoint.check()?;
        }
        let local = own.is_some_and(|endpoint| endpoint.is_loopback());
        let proxies = match Proxies::read(&variables) {
            // Endpoints on this machine are never reached through a proxy, so invalid proxies are harmless.
            Err(_) if local => Proxies::default(),
            read => read?,
        };
        if local {
            // Avoids a useless request for the machine's own credentials before the dummy key is used.
            variables.set("AWS_EC2_METADATA_DISABLED", "true");
        }
        let absent = if local { Absent::StandIn } else { Absent::Fail };
        let config = self.loader(&variables, files.as_ref(), proxies).load().await;
        let config = self.with_region(config, &variables, absent)?;
        Ok(explained(config, |chain| Explained { chain, absent, variables, files }))
    }

    /// Applies the resolved settings to the SDK's loader.
    #[allow(deprecated, reason = "the method's own type is the deprecated name of one that is not")]
    fn loader(
        &self,
        variables: &Variables,
        files: Option<&aws_runtime::env_config::file::EnvConfigFiles>,
        proxies: Proxies,
    ) -> aws_config::ConfigLoader {
        let mut timeouts = TimeoutConfig::builder().connect_timeout(self.connect_timeout);
        timeouts.set_operation_attempt_timeout(self.attempt_timeout);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .env(variables.env())
            .http_client(http::Client::new(proxies, self.connect_timeout))
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard().with_max_attempts(self.attempts));
        if let Some(files) = files {
            loader = loader.profile_files(files.clone());
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        loader
    }

    /// Returns the configuration with a region that is valid in a host name.
    fn with_region(&self, config: SdkConfig, variables: &Variables, absent: Absent) -> Result<SdkConfig, ConnectError> {
        let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else {
            return match absent {
                Absent::StandIn => Ok(config.into_builder().region(Region::from_static("us-east-1")).build()),
                Absent::Fail => Err(ConnectError::NoRegion),
            };
        };
        let label = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.len() <= 63 && region.chars().all(label) && !region.starts_with('-') && !region.ends_with('-') {
            return Ok(config);
        }
        let variable = variables.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).map(|(name, _)| name);
        let origin = match (&self.region, variable) {
            (Some(_), _) => None,
            (None, Some(variable)) => Some(variable),
            (None, None) => Some("the profile"),
        };
        Err(ConnectError::Region { region, origin })
    }
}

/// Returns the same configuration with credentials that explain their absence and show no secret when printed.
fn explained(config: SdkConfig, explain: impl FnOnce(SharedCredentialsProvider) -> Explained) -> SdkConfig {
    let credentials = config.credentials_provider().map(|chain| SharedCredentialsProvider::new(explain(chain)));
    let services = Services(config.clone());
    let mut builder = config.into_builder().service_config(services);
    builder.set_credentials_provider(credentials);
    // DynamoDB and the related services are called with keys, never with tokens.
    builder.set_token_provider(None);
    builder.build()
}

/// The settings of individual services.
struct Services(SdkConfig);

impl fmt::Debug for Services {
    /// Omits them, because they contain the whole environment, including secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl LoadServiceConfig for Services {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        self.0.service_config()?.load_config(key)
    }
}
