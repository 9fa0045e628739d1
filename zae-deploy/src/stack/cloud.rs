//! Where stacks live: [`Cloud`].

use std::{fmt, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use super::error::StackError;

/// How often a call is tried: management calls are throttled hard, and none of ours does harm when it is repeated.
const ATTEMPTS: u32 = 5;

/// One AWS account and region, or what answers in their place at an endpoint. Cheap to clone.
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

/// How often CloudFormation is asked how it fares, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    first: Duration,
    longest: Duration,
    /// All of an operation.
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
    /// The pauses between questions: short ones first, for what is done at once.
    pub(crate) fn pauses(self) -> impl Iterator<Item = Duration> {
        let longest = self.longest;
        std::iter::successors(Some(self.first), move |pause| Some((*pause * 3 / 2).min(longest)))
    }
}

impl Cloud {
    /// Finds region and credentials as every AWS tool would, unless they are given.
    ///
    /// # Errors
    /// [`StackError::NoRegion`] when there is no region.
    pub async fn connect(region: Option<String>, endpoint_url: Option<String>) -> Result<Self, StackError> {
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = &endpoint_url {
            loader = loader.endpoint_url(url);
        }
        Self::new(loader.load().await)
    }

    /// Where that configuration leads.
    ///
    /// # Errors
    /// [`StackError::NoRegion`] when it has no region.
    pub fn new(config: SdkConfig) -> Result<Self, StackError> {
        let region = config.region().map(ToString::to_string).ok_or(StackError::NoRegion)?;
        let endpoint_url = config.endpoint_url().map(str::to_owned);
        Ok(Self { config, region, endpoint_url, pace: Pace::default() })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The endpoint, if it is not AWS's own.
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

    pub(crate) fn tagging(&self) -> aws_sdk_resourcegroupstagging::Client {
        aws_sdk_resourcegroupstagging::Client::new(&self.config)
    }

    /// Stand-ins for S3 seldom answer at a host name per bucket.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let path_style = self.endpoint_url.is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// The account that the credentials belong to.
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
