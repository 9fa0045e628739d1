//! The SDK's credentials, with an explanation if there are none.
//!
//! The SDK's own error names neither a variable nor a profile. The sources are therefore examined again in the chain's
//! order, and the first that was meant to provide credentials is reported with a remedy: half a pair of keys, a profile
//! that does not exist, a role that could not be assumed, a missing token. Values are not read for this, only their
//! presence.
//!
//! An endpoint on this machine accepts any signature. For such an endpoint, missing credentials are replaced by a dummy
//! key ([`LOCAL_ACCESS_KEY_ID`](super::LOCAL_ACCESS_KEY_ID)); configured credentials that fail are still an error.

use std::fmt;

use aws_config::profile::{self, Profile, ProfileSet};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::Fs;

use super::{LOCAL_ACCESS_KEY_ID, variables::Variables};
use crate::error::NoCredentials;

/// Behaviour of a call without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// It fails.
    Fail,
    /// It is signed with a dummy key: an endpoint on this machine accepts any.
    StandIn,
}

/// Provides the credentials that the SDK's chain of providers finds.
pub(super) struct Explained {
    /// The SDK's own chain.
    pub(super) chain: SharedCredentialsProvider,
    /// Behaviour if it finds none.
    pub(super) absent: Absent,
    /// The environment that the chain saw.
    pub(super) variables: Variables,
    /// The files that the chain read, if they were modified.
    pub(super) files: Option<EnvConfigFiles>,
}

impl fmt::Debug for Explained {
    /// Omits the chain, which contains the whole environment, including secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explained").field("absent", &self.absent).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Explained {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let error = match self.chain.provide_credentials().await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => error,
            };
            let missing = matches!(error, CredentialsError::CredentialsNotLoaded(_));
            if missing && self.absent == Absent::StandIn {
                return Ok(Credentials::new(LOCAL_ACCESS_KEY_ID, "local", None, None, "local endpoint"));
            }
            let (problem, advice) = self.explain().await;
            let explained = NoCredentials { problem, advice, source: error.into() };
            Err(if missing {
                CredentialsError::not_loaded(explained)
            } else {
                CredentialsError::provider_error(explained)
            })
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.chain.fallback_on_interrupt()
    }
}

impl Explained {
    /// Returns the problem and the advice for the first source in the chain's order that explains the failure.
    async fn explain(&self) -> (String, String) {
        const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let said = |problem: &str, advice: &str| (problem.to_owned(), advice.to_owned());
        let [id, secret] = KEYS.map(|name| self.variables.get(name).is_some());
        if id != secret {
            let [set, unset] = if id { KEYS } else { [KEYS[1], KEYS[0]] };
            return (format!("{set} is set, but {unset} is not"), "set both, or neither".to_owned());
        }
        if let Some(explained) = self.by_profile().await {
            return explained;
        }
        if self.variables.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            let problem = "the token in AWS_WEB_IDENTITY_TOKEN_FILE gave no credentials";
            return said(problem, "check that the file is there, and that AWS_ROLE_ARN names a role that trusts it");
        }
        let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if let Some((variable, _)) = self.variables.first(&container) {
            let advice = "check the address, and the container's role";
            return (format!("the address in {variable} gave no credentials"), advice.to_owned());
        }
        let advice = "run `aws configure` or `aws sso login`, or set AWS_PROFILE";
        said("no usable AWS credentials were found", advice)
    }

    /// Explains the failure of the selected profile, if there is one.
    async fn by_profile(&self) -> Option<(String, String)> {
        let name = self.variables.get("AWS_PROFILE");
        let files = self.files.clone().unwrap_or_default();
        let profiles = match profile::load(&Fs::real(), &self.variables.env(), &files, None).await {
            Ok(profiles) => profiles,
            Err(error) => {
                // Its source names the file and the line, followed by what the parser expected.
                let text = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                let line = text.lines().next().unwrap_or_default().trim_end_matches(':');
                return Some((
                    format!("the AWS configuration files cannot be read: {line}"),
                    "fix that line; the AWS CLI cannot read it either".to_owned(),
                ));
            }
        };
        match profiles.get_profile(name.unwrap_or("default")) {
            Some(profile) => by_setting(profile, &profiles),
            None => name.map(|name| {
                (
                    format!("AWS_PROFILE is '{name}', but the AWS configuration files have no such profile"),
                    "`aws configure list-profiles` lists the existing ones".to_owned(),
                )
            }),
        }
    }
}

/// Explains the failure of a profile; `None` if the profile was not meant to provide credentials.
fn by_setting(profile: &Profile, profiles: &ProfileSet) -> Option<(String, String)> {
    let name = profile.name();
    let has = |key: &str| profile.get(key).is_some();
    if has("role_arn") {
        // A role is based on another profile, whose own problem comes first.
        let advice = base(profile, profiles).and_then(|base| Some(by_setting(base, profiles)?.1));
        let problem = format!("the role of profile '{name}' could not be assumed");
        return Some((problem, advice.unwrap_or_else(|| check(name))));
    }
    if has("sso_session") || has("sso_start_url") {
        let problem = format!(
            "profile '{name}' gave no credentials: its IAM Identity Center session has expired or is misconfigured"
        );
        return Some((problem, format!("run `aws sso login --profile {name}`")));
    }
    if has("login_session") {
        let problem = format!("profile '{name}' gave no credentials: its console session has expired");
        return Some((problem, format!("run `aws login --profile {name}`")));
    }
    if has("credential_process") {
        let problem = format!("the credential_process of profile '{name}' gave no credentials");
        return Some((problem, "run its command manually to see its error".to_owned()));
    }
    let [id, secret] = ["aws_access_key_id", "aws_secret_access_key"].map(has);
    if id != secret {
        let problem = format!("profile '{name}' has only one half of a key");
        return Some((problem, format!("`aws configure --profile {name}` sets both halves")));
    }
    id.then(|| (format!("the keys of profile '{name}' could not be used"), check(name)))
}

/// Returns the profile at the end of a chain of roles; `None` if the chain has no end, or ends at something else.
fn base<'a>(profile: &'a Profile, profiles: &'a ProfileSet) -> Option<&'a Profile> {
    /// More consecutive roles than any set-up has.
    const LONGEST: usize = 16;
    let next = |profile: &&'a Profile| profiles.get_profile(profile.get("source_profile")?);
    std::iter::successors(Some(profile), next).take(LONGEST).find(|profile| profile.get("role_arn").is_none())
}

/// Names the command that tries the same credentials.
fn check(name: &str) -> String {
    format!("check with `aws sts get-caller-identity --profile {name}`")
}
