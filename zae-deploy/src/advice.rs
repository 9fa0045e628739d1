//! Advice on errors from AWS: by the error code or, if AWS was not reached, by the SDK's error.

use std::{error::Error, fmt};

use aws_sdk_cloudformation::error::SdkError;
use zae_limiter::{
    RepositoryError,
    error::{NoCredentials, StoreErrorKind},
};

const NO_CREDENTIALS: &str = "no usable AWS credentials: `aws configure`, `aws sso login`, or set AWS_PROFILE";
pub(crate) const NO_REGION: &str = "pass --region, or set AWS_REGION";
const EXPIRED: &str = "the AWS credentials have expired: log in again, for example with `aws sso login`";
const UNREACHED: &str = "is the endpoint right, and reachable from here? --endpoint-url, --region";

/// The error code of a local stack for services that it does not have.
pub(crate) const NOT_LOCAL: &str = "NotOnThisMachine";

/// Advice by AWS's error codes.
const BY_CODE: [(&[&str], &str); 8] = [
    (&[NOT_LOCAL], "without AWS_ENDPOINT_URL, and without --endpoint-url, the command goes to AWS"),
    (&["ExpiredToken", "ExpiredTokenException", "RequestExpired"], EXPIRED),
    (
        &["InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"],
        "AWS does not know these credentials: `aws sts get-caller-identity` shows whose they are; is AWS_PROFILE \
         right?",
    ),
    (
        &["SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed"],
        "the secret key is not the one of the access key, or this machine's clock is wrong",
    ),
    (
        &["Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"],
        "AWS throttles this call: wait a minute and repeat the command, which resumes where it stopped",
    ),
    (
        &["LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException", "TooManyBuckets"],
        "a quota of the account is used up: remove what is not needed, or have it raised under Service Quotas",
    ),
    (
        &[
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "InternalFailure",
            "InternalError",
            "InternalServerError",
        ],
        "the trouble is on AWS's side: repeat the command; https://health.aws.amazon.com/health/status tells of \
         outages",
    ),
    (
        &["ValidationError", "ValidationException", "InvalidParameterValueException", "InvalidRequest"],
        "AWS refuses what was asked for the reason it gives: correct the option that it names, see --help",
    ),
];

/// Returns the advice for the error code of a service.
pub(crate) fn for_code(code: &str) -> &'static str {
    let found = BY_CODE.iter().find(|(codes, _)| codes.contains(&code));
    found.map_or("-vv shows the calls to AWS one by one", |(_, advice)| advice)
}

/// Returns the advice for missing credentials, including those of a caller's own configuration.
fn for_chain(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(none) = NoCredentials::find(error) {
        return Some(none.advice().to_owned());
    }
    let mut chain = std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string);
    chain.any(|text| text.contains("no providers in chain provided credentials")).then(|| NO_CREDENTIALS.to_owned())
}

/// Returns the advice for a call whose error has this code, or none.
pub(crate) fn for_call(code: Option<&str>, error: &(dyn Error + 'static)) -> String {
    match code {
        Some(code) => for_code(code).to_owned(),
        None => for_chain(error).unwrap_or_else(|| UNREACHED.to_owned()),
    }
}

/// Returns the reason for a failed call without a reason from AWS: there are no credentials, no connection, or no
/// endpoint.
pub(crate) fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: Error + 'static,
    R: fmt::Debug + 'static,
{
    if let Some(none) = NoCredentials::find(error) {
        return none.problem().to_owned();
    }
    let reason = match error {
        SdkError::TimeoutError(_) => "no response in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time",
        SdkError::DispatchFailure(failure) if failure.is_io() => "the endpoint could not be reached",
        SdkError::ResponseError(_) => "the response is not from AWS",
        SdkError::ServiceError(_) => "the endpoint answered with an error and gave no reason",
        _ => "the request could not be sent",
    };
    reason.to_owned()
}

/// Returns the advice for a failed call of the repository.
pub(crate) fn for_repository(error: &RepositoryError) -> Option<String> {
    let RepositoryError::Store(store) = error else { return None };
    if let Some(advice) = for_chain(store) {
        return Some(advice);
    }
    let advice = match store.kind() {
        StoreErrorKind::AccessDenied => {
            "reading needs the stack's ReadOnlyPolicy (…-read), changing its FullAccessPolicy (…-full)"
        }
        StoreErrorKind::NotApplied => "nothing was written; try again in a moment",
        StoreErrorKind::NotConnected | StoreErrorKind::Ambiguous => UNREACHED,
        StoreErrorKind::Rejected => return store.code().map(|code| for_code(code).to_owned()),
        _ => return None,
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_next_step_and_none_has_two() {
        for (codes, advice) in BY_CODE {
            for code in codes {
                assert_eq!(for_code(code), advice, "{code}");
            }
        }
        assert_eq!(for_code("SomethingNew"), "-vv shows the calls to AWS one by one");
    }

    #[test]
    fn what_never_reached_aws_is_told_by_its_cause() {
        let told = |text: &str| for_call(None, &*Box::<dyn Error>::from(text.to_owned()));
        assert_eq!(told("no providers in chain provided credentials"), NO_CREDENTIALS);
        assert_eq!(told("dispatch failure: connection refused"), UNREACHED);
    }
}
