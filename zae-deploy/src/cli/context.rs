//! The global options of a command, and the connections made from them.

use std::{path::Path, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials;
use zae_limiter::{
    Clock, NamespaceId, NamespaceName, Principal, Repository, RepositoryBuilder, RepositoryError, StackName,
    SystemClock,
    aws::{Connect, LOCAL_ACCESS_KEY_ID, Service, is_loopback},
    name::{DEFAULT_NAMESPACE, DEFAULT_STACK},
    namespace::Registry,
    version::VersionUpdate,
};

use super::{
    args::{Format, Global, NamespaceArgs, PrincipalArgs, Target},
    error::{CliError, Doing},
    output::{Breaks, Colour, Output, Stream, Tone, harmless, shown_in_colour},
    suggest::closest,
};
use crate::stack::SERVICES;

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 3;
/// Bounds the lookup of the credentials' owner, which the audit trail can omit.
const WHO: Duration = Duration::from_secs(3);

/// The global options and the values derived from them.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        Self { global }
    }

    /// Returns the current time, in epoch ms.
    pub(crate) fn now_ms(&self) -> i64 {
        SystemClock.now_ms()
    }

    /// Returns the writer of a command's results.
    pub(crate) fn output(&self) -> Output {
        let format = match self.global.output {
            Target::Format(format) => format,
            Target::File(_) => Format::default(),
        };
        Output::new(format, shown_in_colour(self.global.color, Stream::Stdout), self.now_ms())
    }

    /// Returns the file named by `--output`.
    pub(crate) fn output_file(&self) -> Option<&Path> {
        match &self.global.output {
            Target::Format(_) => None,
            Target::File(file) => Some(file),
        }
    }

    /// Returns if `stream` is shown in colour.
    pub(crate) fn colour(&self, stream: Stream) -> Colour {
        shown_in_colour(self.global.color, stream)
    }

    /// Formats `text` in `tone`, if `stream` is shown in colour.
    pub(crate) fn paint(&self, stream: Stream, tone: Tone, text: &str) -> String {
        tone.paint(text, shown_in_colour(self.global.color, stream))
    }

    /// Prints a warning on stderr.
    pub(crate) fn warn(&self, text: &str) {
        let line = format!("{} {text}", self.paint(Stream::Stderr, Tone::Warn, "Warning:"));
        eprintln!("{}", harmless(&line, Breaks::Kept));
    }

    /// Logs warnings, and with `-v` more, to stderr.
    pub(crate) fn log(&self) {
        let wanted = match self.global.verbose {
            0 => "zae_limiter=warn,zae_deploy=warn",
            1 => "zae_limiter=debug,zae_deploy=debug",
            _ => "debug",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(wanted));
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(shown_in_colour(self.global.color, Stream::Stderr).is_on())
            .without_time()
            .with_target(self.global.verbose > 0)
            .try_init();
    }

    /// Returns the stack: `--name`, otherwise `ZAEL_STACK`, otherwise `limiter`.
    pub(crate) fn stack(&self) -> Result<StackName, CliError> {
        let given = self.given_stack().unwrap_or(DEFAULT_STACK);
        Ok(StackName::new(given)?)
    }

    /// Returns the explicitly named stack, for commands that must not use the default by accident.
    pub(crate) fn named_stack(&self) -> Result<StackName, CliError> {
        let missing = || CliError::Usage("the stack must be named here: --name <STACK>, or ZAEL_STACK".to_owned());
        Ok(StackName::new(self.given_stack().ok_or_else(missing)?)?)
    }

    /// Returns the stack as given.
    pub(crate) fn given_stack(&self) -> Option<&str> {
        self.global.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Returns the region as given.
    pub(crate) fn region(&self) -> Option<&str> {
        self.global.region.as_deref().filter(|region| !region.trim().is_empty())
    }

    /// Returns the endpoint as given.
    pub(crate) fn endpoint_url(&self) -> Option<&str> {
        self.global.endpoint_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// Formats a command for the same stack, region and endpoint, as the user would type it.
    pub(crate) fn command(&self, words: &str) -> String {
        let stack = self.given_stack().map(|name| format!(" --name {}", word(name)));
        let rest = [
            self.region().map(|it| format!(" --region {}", word(it))),
            self.endpoint_url().map(|it| format!(" --endpoint-url {}", word(it))),
        ];
        let options: String = [stack].into_iter().chain(rest).flatten().collect();
        format!("`zae-deploy {words}{options}`")
    }

    /// Resolves region, endpoint, credentials and proxies as every AWS tool does, unless they are given.
    ///
    /// # Errors
    /// See [`Connect::load`].
    pub(crate) async fn sdk_config(&self, service: Service) -> Result<SdkConfig, CliError> {
        let others: &[Service] = match service {
            Service::CloudFormation => &SERVICES,
            _ => &[],
        };
        let connect = Connect::to(service).and(others.iter().copied());
        let connect = connect.connect_timeout(CONNECT).attempt_timeout(ATTEMPT).attempts(ATTEMPTS);
        let given =
            connect.region(self.region().unwrap_or_default()).endpoint_url(self.endpoint_url().unwrap_or_default());
        Ok(given.load().await?)
    }

    /// Connects to the stack's table, independent of namespaces. Creates and changes nothing.
    ///
    /// # Errors
    /// [`CliError::Problem`] if there is no such table.
    pub(crate) async fn registry(&self) -> Result<Registry, CliError> {
        let stack = self.stack()?;
        let config = self.sdk_config(Service::DynamoDb).await?;
        let place = match Service::DynamoDb.endpoint(&config) {
            Some(url) => format!("at {url}"),
            None => config.region().map_or_else(|| "here".to_owned(), |region| format!("in {region}")),
        };
        let client = aws_sdk_dynamodb::Client::new(&config);
        let connect = format!("connect to stack '{stack}' {place}");
        let registry = Repository::builder().stack(&stack).client(client).build_registry().await.doing(&connect)?;
        match registry.version_record().await {
            Ok(_) => Ok(registry),
            Err(RepositoryError::TableMissing { .. }) => Err(self.stack_missing(&registry, &place).await),
            Err(error) => Err(error).doing(&connect),
        }
    }

    /// Connects to the named namespace in the stack's table. Creates and changes nothing.
    ///
    /// # Errors
    /// [`CliError::Problem`] if there is no such table or namespace.
    pub(crate) async fn repository(&self, args: &NamespaceArgs) -> Result<Repository, CliError> {
        self.open(args, RepositoryBuilder::must_exist).await
    }

    /// Like [`Context::repository`], for a command that writes: registers the namespace `default` if the table lacks
    /// it.
    ///
    /// # Errors
    /// See [`Context::repository`].
    pub(crate) async fn repository_to_write(&self, args: &NamespaceArgs) -> Result<Repository, CliError> {
        self.open(args, |builder| builder).await
    }

    async fn open(
        &self,
        args: &NamespaceArgs,
        missing: impl FnOnce(RepositoryBuilder) -> RepositoryBuilder,
    ) -> Result<Repository, CliError> {
        let given = args.namespace.as_deref().filter(|name| !name.is_empty());
        let namespace = NamespaceName::new(given.unwrap_or(DEFAULT_NAMESPACE))?;
        let registry = self.registry().await?;
        let builder = Repository::builder().stack(registry.stack()).client(registry.client().clone());
        match missing(builder.namespace(&namespace)).build().await {
            Ok(repository) => Ok(repository),
            Err(RepositoryError::NamespaceNotFound(_)) => Err(self.namespace_missing(&registry, &namespace).await),
            Err(RepositoryError::NamespaceState { id, .. }) => {
                let recover = self.command(&format!("namespace recover {id}"));
                let register = self.command(&format!("namespace register {}", word(namespace.as_str())));
                Err(CliError::problem(format!(
                    "Namespace '{namespace}' was deleted; its data is still there (id {id})"
                ))
                .next(format!("{recover} brings it back"))
                .next(format!("{register} starts an empty one of that name")))
            }
            Err(error) => Err(error).doing(&format!("open namespace '{namespace}'")),
        }
    }

    /// Returns the author of a change for the audit trail: the given one, otherwise the credentials' owner, otherwise
    /// none.
    ///
    /// # Errors
    /// [`CliError::Invalid`] if the given name is not valid.
    pub(crate) async fn principal(&self, args: &PrincipalArgs) -> Result<Option<Principal>, CliError> {
        if let Some(given) = &args.principal {
            return Ok(Some(Principal::new(given)?));
        }
        let config = self.sdk_config(Service::DynamoDb).await?;
        let local = |service: Service| service.endpoint(&config).is_some_and(|url| is_loopback(&url));
        if local(Service::DynamoDb) && !local(Service::Sts) && has_stand_in(&config).await {
            return Ok(None);
        }
        let sts = aws_sdk_sts::Client::new(&config);
        let identity = tokio::time::timeout(WHO, sts.get_caller_identity().send()).await;
        let arn = identity.ok().and_then(Result::ok).and_then(|identity| identity.arn);
        if arn.is_none() {
            tracing::debug!("STS did not return the owner of the credentials; the audit trail will not contain it");
        }
        Ok(arn.and_then(|arn| Principal::new(arn).ok()))
    }

    /// Returns a `repository` whose changes are recorded with the principal.
    ///
    /// # Errors
    /// [`CliError::Invalid`] if the given name is not valid.
    pub(crate) async fn acting(&self, repository: Repository, args: &PrincipalArgs) -> Result<Repository, CliError> {
        match self.principal(args).await? {
            Some(principal) => Ok(repository.acting_as(principal)?),
            None => Ok(repository),
        }
    }

    async fn stack_missing(&self, registry: &Registry, place: &str) -> CliError {
        let stack = registry.stack();
        // Best effort: listing tables requires a separate permission.
        let tables = registry.client().list_tables().send().await.ok().and_then(|tables| tables.table_names);
        let known = tables.unwrap_or_default();
        let mut error = CliError::problem(format!("Stack '{stack}' not found {place}"));
        if let Some(name) = closest(stack.as_str(), known.iter().map(String::as_str)) {
            error = error.next(format!("did you mean `--name {name}`?"));
        }
        error
            .next(format!("{} creates it", self.command("deploy")))
            .next(format!("{} lists the existing ones", self.elsewhere("list")))
    }

    /// Formats a command that is not about one stack.
    pub(crate) fn elsewhere(&self, words: &str) -> String {
        let unnamed = Self::new(Global { name: None, ..self.global.clone() });
        unnamed.command(words)
    }

    async fn namespace_missing(&self, registry: &Registry, name: &NamespaceName) -> CliError {
        let known = registry.namespaces().await.unwrap_or_default();
        let mut error = CliError::problem(format!("Namespace '{name}' not found in stack '{}'", registry.stack()));
        if let Some(name) = closest(name.as_str(), known.iter().map(|info| info.name.as_str())) {
            error = error.next(format!("did you mean `--namespace {}`?", word(name)));
        }
        error
            .next(format!("{} creates it", self.command(&format!("namespace register {}", word(name.as_str())))))
            .next(format!("{} lists the existing ones", self.command("namespace list")))
    }
}

/// Registers a namespace, and writes the version record of a table without one.
pub(crate) async fn register(registry: &Registry, name: &NamespaceName, doing: &str) -> Result<NamespaceId, CliError> {
    let id = registry.register_namespace(name).await.doing(doing)?;
    if registry.version_record().await.doing(doing)?.is_none() {
        registry.set_version_record(&VersionUpdate::default()).await.doing(doing)?;
    }
    Ok(id)
}

/// Returns true if calls are signed with the dummy key for local endpoints.
async fn has_stand_in(config: &SdkConfig) -> bool {
    let Some(provider) = config.credentials_provider() else { return true };
    let credentials = provider.provide_credentials().await;
    credentials.is_ok_and(|credentials| credentials.access_key_id() == LOCAL_ACCESS_KEY_ID)
}

/// Quotes a text as a shell word.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    let quoted = || format!("'{}'", text.replace('\'', "'\\''"));
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted() }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        for (text, typed) in
            [("tenant-a", "tenant-a"), ("a b", "'a b'"), ("", "''"), ("it's", "'it'\\''s'"), ("$X", "'$X'")]
        {
            assert_eq!(word(text), typed);
        }
    }
}
