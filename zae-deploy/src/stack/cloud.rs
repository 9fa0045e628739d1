//! The account and region in which stacks live: [`Cloud`].

use std::{fmt, time::Duration};

use aws_config::SdkConfig;
use zae_limiter::{
    aws::{Connect, Service},
    error::ConnectError,
};

use super::error::StackError;

/// Number of attempts at a call: management calls are heavily throttled, and all of ours may be repeated.
const ATTEMPTS: u32 = 5;
const CONNECT: Duration = Duration::from_secs(3);
/// Services called in addition to CloudFormation.
pub(crate) const SERVICES: [Service; 5] =
    [Service::DynamoDb, Service::Lambda, Service::S3, Service::Sts, Service::Tagging];

/// One AWS account and region, or an endpoint that replaces them. Cheap to clone.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone)]
pub struct Cloud {
    config: SdkConfig,
    region: String,
    endpoint_url: Option<String>,
    pace: Pace,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// The intervals at which CloudFormation is polled, and the time after which polling ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    first: Duration,
    longest: Duration,
    /// Maximum duration of an operation.
    pub(crate) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(4),
            patience: Duration::from_secs(60 * 60),
        }
    }
}

impl Pace {
    /// Returns the intervals between polls: short ones first, for operations that are quick.
    pub(crate) fn pauses(self) -> impl Iterator<Item = Duration> {
        let longest = self.longest;
        std::iter::successors(Some(self.first), move |pause| Some((*pause * 3 / 2).min(longest)))
    }
}

impl Cloud {
    /// Resolves region and credentials as every AWS tool does, unless they are given; empty values count as not given.
    ///
    /// # Errors
    /// [`StackError::NoRegion`] if there is no region; [`StackError::Connect`] for an invalid setting.
    pub async fn connect(region: Option<String>, endpoint_url: Option<String>) -> Result<Self, StackError> {
        let connect = Connect::to(Service::CloudFormation).and(SERVICES).connect_timeout(CONNECT).attempts(ATTEMPTS);
        let connect = connect.region(region.unwrap_or_default()).endpoint_url(endpoint_url.unwrap_or_default());
        match connect.load().await {
            Ok(config) => Self::new(config),
            Err(ConnectError::NoRegion) => Err(StackError::NoRegion),
            Err(error) => Err(error.into()),
        }
    }

    /// Uses the account, region and endpoint of that configuration.
    ///
    /// # Errors
    /// [`StackError::NoRegion`] if it has no region.
    pub fn new(config: SdkConfig) -> Result<Self, StackError> {
        let region = config.region().map(ToString::to_string).ok_or(StackError::NoRegion)?;
        let endpoint_url = Service::CloudFormation.endpoint(&config);
        Ok(Self { config, region, endpoint_url, pace: Pace::default() })
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the endpoint, if it is not AWS's own.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    pub(crate) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.config)
    }

    pub(crate) fn tagging(&self) -> aws_sdk_resourcegroupstagging::Client {
        aws_sdk_resourcegroupstagging::Client::new(&self.config)
    }

    /// Stand-ins for S3 rarely support a host name per bucket.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let path_style = Service::S3.endpoint(&self.config).is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// Returns the account that the credentials belong to.
    pub(crate) async fn account(&self) -> Result<String, StackError> {
        let operation = "sts:GetCallerIdentity";
        let answer = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let answer = answer.map_err(|error| StackError::from_sdk(operation, error))?;
        answer.account.ok_or_else(|| StackError::Service {
            operation,
            code: None,
            message: "no account in the answer".to_owned(),
            source: "no account in the answer".into(),
        })
    }
}
