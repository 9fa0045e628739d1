//! The credentials that the SDK finds, with an explanation where it finds none.
//!
//! The SDK's own error names no variable and no profile. So the sources are looked through again in the chain's order,
//! and the first that was meant to give credentials is named with what to do about it: half a pair of keys, a profile
//! that does not exist, a role that could not be assumed, a token that is not there. Values are never read for this,
//! only whether they are set.
//!
//! An endpoint on this machine takes any signature. There, missing credentials are replaced by a key of no meaning
//! ([`LOCAL_ACCESS_KEY_ID`](super::LOCAL_ACCESS_KEY_ID)); credentials that are set up and fail stay an error.

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

/// Behavior of a call that finds no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// It fails.
    Fail,
    /// It is signed with a key of no meaning: an endpoint on this machine takes any.
    StandIn,
}

/// Whatever the SDK's chain of providers finds.
pub(super) struct Explained {
    /// The SDK's own chain.
    pub(super) chain: SharedCredentialsProvider,
    /// The behaviour where it finds nothing.
    pub(super) absent: Absent,
    /// The environment that the chain saw.
    pub(super) variables: Variables,
    /// The files that the chain read, where they were changed.
    pub(super) files: Option<EnvConfigFiles>,
}

impl fmt::Debug for Explained {
    /// The chain has the whole environment in it, secrets included.
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
    /// Returns the problem and the advice, for the first source in the chain's order that explains the failure.
    async fn explain(&self) -> (String, String) {
        const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let said = |problem: &str, advice: &str| (problem.to_owned(), advice.to_owned());
        let [id, secret] = KEYS.map(|name| self.variables.get(name).is_some());
        if id != secret {
            let [set, unset] = if id { KEYS } else { [KEYS[1], KEYS[0]] };
            return (format!("{set} is set and {unset} is not"), "set both, or neither".to_owned());
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

    /// Explains by the profile that is selected, if there is one.
    async fn by_profile(&self) -> Option<(String, String)> {
        let name = self.variables.get("AWS_PROFILE");
        let files = self.files.clone().unwrap_or_default();
        let profiles = match profile::load(&Fs::real(), &self.variables.env(), &files, None).await {
            Ok(profiles) => profiles,
            Err(error) => {
                // Its source says the file and the line, and after them what the parser expected there.
                let text = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                let line = text.lines().next().unwrap_or_default().trim_end_matches(':');
                return Some((
                    format!("the AWS configuration files cannot be read: {line}"),
                    "correct that line, as the AWS command line needs it too".to_owned(),
                ));
            }
        };
        match profiles.get_profile(name.unwrap_or("default")) {
            Some(profile) => by_setting(profile, &profiles),
            None => name.map(|name| {
                (
                    format!("AWS_PROFILE is '{name}', and there is no such profile in the AWS configuration files"),
                    "`aws configure list-profiles` shows those that there are".to_owned(),
                )
            }),
        }
    }
}

/// Explains why a profile gave no credentials; `None` if the profile was not meant to give any.
fn by_setting(profile: &Profile, profiles: &ProfileSet) -> Option<(String, String)> {
    let name = profile.name();
    let has = |key: &str| profile.get(key).is_some();
    if has("role_arn") {
        // A role begins with another profile, whose own trouble comes first.
        let advice = base(profile, profiles).and_then(|base| Some(by_setting(base, profiles)?.1));
        let problem = format!("the role of profile '{name}' could not be assumed");
        return Some((problem, advice.unwrap_or_else(|| check(name))));
    }
    if has("sso_session") || has("sso_start_url") {
        let problem = format!(
            "profile '{name}' gave no credentials: its IAM Identity Center session has ended, or is set up wrongly"
        );
        return Some((problem, format!("`aws sso login --profile {name}` begins a session")));
    }
    if has("login_session") {
        let problem = format!("profile '{name}' gave no credentials: its console session has ended");
        return Some((problem, format!("`aws login --profile {name}` begins a session")));
    }
    if has("credential_process") {
        let problem = format!("the credential_process of profile '{name}' gave no credentials");
        return Some((problem, "run its command by hand to see what it says".to_owned()));
    }
    let [id, secret] = ["aws_access_key_id", "aws_secret_access_key"].map(has);
    if id != secret {
        let problem = format!("profile '{name}' has one half of a key only");
        return Some((problem, format!("`aws configure --profile {name}` sets both halves")));
    }
    id.then(|| (format!("the keys of profile '{name}' could not be used"), check(name)))
}

/// The profile at the end of a chain of roles; none where the chain has no end, or ends at something else.
fn base<'a>(profile: &'a Profile, profiles: &'a ProfileSet) -> Option<&'a Profile> {
    /// More roles in a row than anybody sets up.
    const LONGEST: usize = 16;
    let next = |profile: &&'a Profile| profiles.get_profile(profile.get("source_profile")?);
    std::iter::successors(Some(profile), next).take(LONGEST).find(|profile| profile.get("role_arn").is_none())
}

/// Names the command that tries the same credentials.
fn check(name: &str) -> String {
    format!("`aws sts get-caller-identity --profile {name}` tries the same")
}
