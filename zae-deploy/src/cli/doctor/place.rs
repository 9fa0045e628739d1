//! Checks of this machine: its variables, its credentials, its connection to AWS, its clock.

use std::time::Instant;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{config::ProvideCredentials, error::ProvideErrorMetadata};
use jiff::Timestamp;
use zae_limiter::aws::{LOCAL_ACCESS_KEY_ID, Service, StoreDates, is_loopback};

use super::finding::{Finding, innermost, unanswered};
use crate::{
    cli::{CliError, Context},
    stack::Cloud,
};

/// Variables that every AWS tool reads, and our own. Empty ones count as unset here, but not in every other tool.
const VARIABLES: [&str; 14] = [
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HTTPS_PROXY",
    "ZAEL_STACK",
    "ZAEL_NAMESPACE",
    "ZAEL_OUTPUT",
];
/// Harmless difference between this machine's clock and the store's, in seconds.
const NO_SKEW_S: i64 = 2;
/// Difference in seconds from which buckets use the store's clock instead of this machine's.
const MAX_SKEW_S: i64 = 10;

/// A resolved region, account and endpoint.
pub(super) struct ExaminedAccount {
    pub(super) config: SdkConfig,
    pub(super) cloud: Cloud,
}

/// Checks for variables that are set to an empty value.
pub(super) fn variables() -> Vec<Finding> {
    let is_empty = |name: &&&str| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let empty: Vec<&str> = VARIABLES.iter().filter(is_empty).copied().collect();
    if empty.is_empty() {
        return vec![Finding::ok("environment", "no variable is set but empty")];
    }
    let says = format!("set, but empty: {}; they count as unset here", empty.join(", "));
    vec![Finding::warning("environment", says).next(format!("unset {}", empty.join(" ")))]
}

/// Checks region, credentials, endpoint and clock.
pub(super) async fn examine(cx: &Context) -> (Option<ExaminedAccount>, Vec<Finding>) {
    let config = match cx.sdk_config(Service::CloudFormation).await {
        Ok(config) => config,
        Err(error) => return (None, vec![misconfigured(&error)]),
    };
    let cloud = match Cloud::new(config.clone()) {
        Ok(cloud) => cloud,
        Err(error) => return (None, vec![Finding::failed("region", error.to_string())]),
    };
    let mut found = vec![Finding::ok("region", cloud.region().to_owned())];
    let place = ExaminedAccount { config, cloud };
    let credentials = credentials(&place).await;
    found.push(credentials);
    let (reached, more) = endpoint(&place).await;
    found.extend(more);
    (reached.then_some(place), found)
}

fn misconfigured(error: &CliError) -> Finding {
    let finding = Finding::failed("region", error.to_string());
    error.advice().iter().fold(finding, |finding, next| finding.next(next.clone()))
}

async fn credentials(place: &ExaminedAccount) -> Finding {
    let local = |service: Service| service.endpoint(&place.config).is_some_and(|url| is_loopback(&url));
    let Some(provider) = place.config.credentials_provider() else {
        return Finding::failed("credentials", "there are none").next("aws configure");
    };
    let key = match provider.provide_credentials().await {
        Ok(credentials) => credentials.access_key_id().to_owned(),
        Err(error) => {
            return Finding::failed("credentials", innermost(&error))
                .next("`aws sts get-caller-identity` asks the same sources")
                .next("AWS_PROFILE chooses a profile of ~/.aws/config");
        }
    };
    if key == LOCAL_ACCESS_KEY_ID || (local(Service::DynamoDb) && !local(Service::Sts)) {
        return Finding::ok("credentials", "none are needed on this machine");
    }
    match aws_sdk_sts::Client::new(&place.config).get_caller_identity().send().await {
        Ok(identity) => Finding::ok("credentials", identity.arn.unwrap_or_else(|| format!("key {key}"))),
        Err(error) => match error.code() {
            Some(code @ ("ExpiredToken" | "ExpiredTokenException")) => {
                Finding::failed("credentials", format!("they have expired ({code})"))
                    .next("aws sso login, or aws login")
            }
            Some(code @ ("InvalidClientTokenId" | "SignatureDoesNotMatch")) => {
                Finding::failed("credentials", format!("AWS does not know them ({code})")).next("aws configure")
            }
            code => unanswered("credentials", "sts:GetCallerIdentity", code, &error),
        },
    }
}

/// Calls DynamoDB, whose response has a date even without permissions.
async fn endpoint(place: &ExaminedAccount) -> (bool, Vec<Finding>) {
    let dates = StoreDates::default();
    let config = aws_sdk_dynamodb::config::Builder::from(&place.config).interceptor(dates.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let shown = Service::DynamoDb.endpoint(&place.config).unwrap_or_else(|| "AWS".to_owned());
    let begun = Instant::now();
    let asked = client.describe_endpoints().send().await;
    let took = begun.elapsed().as_millis();
    let answered = asked.as_ref().err().is_none_or(|error| error.raw_response().is_some());
    if let (false, Err(error)) = (answered, &asked) {
        let finding = Finding::failed("endpoint", format!("{shown} does not answer: {}", innermost(error)))
            .next("AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, --endpoint-url and HTTPS_PROXY decide where to");
        return (false, vec![finding]);
    }
    let theirs = dates.last().and_then(|date| Timestamp::try_from(date).ok()).map(Timestamp::as_second);
    let ours = Timestamp::now().as_second();
    (true, vec![Finding::ok("endpoint", format!("{shown} answers within {took} ms")), clock(theirs, ours)])
}

/// Compares this machine's clock with the date of a response, both in epoch seconds.
fn clock(theirs: Option<i64>, ours: i64) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::skipped("clock", "the answer has no Date");
    };
    let ahead = ours - theirs;
    let says = format!("{} s {} the store's", ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
    match ahead.abs() {
        0..=NO_SKEW_S => Finding::ok("clock", "as the store's"),
        skew if skew <= MAX_SKEW_S => {
            Finding::warning("clock", says).next("timedatectl set-ntp true, or what keeps this machine's time")
        }
        _ => Finding::failed("clock", format!("{says}: waits and refills are judged by the store's time"))
            .next("timedatectl set-ntp true, or what keeps this machine's time"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, clock};
    use crate::cli::doctor::finding::State;

    #[test]
    fn a_clock_is_judged_by_its_distance_from_the_answer() {
        let state = |theirs: Option<i64>| clock(theirs, 1_000).state;
        assert_eq!([998, 1_002].map(|theirs| state(Some(theirs))), [State::Ok; 2]);
        assert_eq!([990, 1_010].map(|theirs| state(Some(theirs))), [State::Warning; 2]);
        assert_eq!([900, 90_000].map(|theirs| state(Some(theirs))), [State::Failed; 2]);
        assert_eq!(state(None), State::Skipped);
        let Finding { says, .. } = clock(Some(940), 1_000);
        assert!(says.starts_with("60 s ahead of"), "{says}");
    }
}
