//! Runs plans and changes: in the stack's provisioner function, or in this process.

use aws_sdk_lambda::{Client, error::SdkError, operation::invoke::InvokeError, primitives::Blob};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zae_limiter::{NamespaceId, NamespaceName, Principal, Repository, aws::Service, error::BoxError};

use super::WayArgs;
use crate::{
    cli::{CliError, Context, args::NamespaceArgs, context::register, error::Doing},
    manifest::Manifest,
    package::Function,
    provisioner::{Applied, Plan, ProvisionError, Provisioner},
    stack::StackError,
};

/// A namespace, and the means to change its limits.
#[derive(Debug)]
pub(super) struct Runner {
    repository: Repository,
    function: Option<Remote>,
}

#[derive(Debug)]
struct Remote {
    client: Client,
    name: String,
    /// The commands that work without the function, and that deploy it.
    direct: String,
    upgrade: String,
}

impl Runner {
    /// Creates a runner that plans in an existing namespace. Creates nothing.
    pub(super) async fn new(cx: &Context, namespace: &NamespaceName, way: WayArgs) -> Result<Self, CliError> {
        let args = NamespaceArgs { namespace: Some(namespace.to_string()) };
        let repository = cx.repository(&args).await?;
        let function = if way.direct {
            None
        } else {
            let name = Function::Provisioner.name_in(repository.stack());
            let client = Client::new(&cx.sdk_config(Service::Lambda).await?);
            Some(Remote { client, name, direct: cx.command("limits … --direct"), upgrade: cx.command("upgrade") })
        };
        Ok(Self { repository, function })
    }

    /// Creates a runner that applies to a namespace, which is registered if its name is new.
    pub(super) async fn for_apply(cx: &Context, namespace: &NamespaceName, way: WayArgs) -> Result<Self, CliError> {
        let registry = cx.registry().await?;
        if registry.namespace_info(namespace).await.doing("look up the namespace")?.is_none() {
            register(&registry, namespace, "register the namespace").await?;
        }
        Self::new(cx, namespace, way).await
    }

    pub(super) async fn plan(&self, manifest: &Manifest) -> Result<Plan, CliError> {
        match &self.function {
            Some(function) => function.call("plan", &self.repository, manifest).await,
            None => Provisioner::new(self.repository.clone()).plan(manifest).await.map_err(|e| failed("plan", e)),
        }
    }

    pub(super) async fn apply(&self, manifest: &Manifest, principal: Option<Principal>) -> Result<Applied, CliError> {
        let repository = self.acting(principal)?;
        match &self.function {
            Some(function) => function.call("apply", &repository, manifest).await,
            None => Provisioner::new(repository).apply(manifest).await.map_err(|error| failed("apply", error)),
        }
    }

    /// Applies only if the changes still are exactly those of `planned`.
    pub(super) async fn apply_planned(
        &self,
        manifest: &Manifest,
        planned: &Plan,
        principal: Option<Principal>,
    ) -> Result<Outcome, CliError> {
        let repository = self.acting(principal)?;
        let Some(function) = &self.function else {
            return match Provisioner::new(repository).apply_planned(manifest, planned).await {
                Ok(applied) => Ok(Outcome::Applied(applied)),
                Err(ProvisionError::Moved(_)) => Ok(Outcome::Moved),
                Err(error) => Err(failed("apply", error)),
            };
        };
        // Also checked here: an older version of the function does not know plans.
        if self.plan(manifest).await? != *planned {
            return Ok(Outcome::Moved);
        }
        let mut event = function.event("apply", &repository, manifest);
        event["planned"] = json!(planned);
        Ok(Outcome::Applied(function.send("apply", event).await?))
    }

    /// Returns the namespace's id.
    pub(super) fn namespace_id(&self) -> &NamespaceId {
        self.repository.namespace_id()
    }

    fn acting(&self, principal: Option<Principal>) -> Result<Repository, CliError> {
        match principal {
            Some(principal) => Ok(self.repository.acting_as(principal)?),
            None => Ok(self.repository.clone()),
        }
    }
}

/// The outcome of applying a saved plan.
#[derive(Debug)]
pub(super) enum Outcome {
    Applied(Applied),
    /// The changes differ from the plan; nothing was applied.
    Moved,
}

fn failed(action: &str, error: ProvisionError) -> CliError {
    match error {
        ProvisionError::Repository(error) => match Err::<(), _>(error).doing(&format!("{action} the limits")) {
            Err(error) => error,
            Ok(()) => CliError::problem(action),
        },
        other => CliError::problem(other.to_string()),
    }
}

impl Remote {
    async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<T, CliError> {
        self.send(action, self.event(action, repository, manifest)).await
    }

    fn event(&self, action: &str, repository: &Repository, manifest: &Manifest) -> Value {
        json!({
            "action": action,
            "table_name": repository.stack().as_str(),
            "namespace_id": repository.namespace_id().as_str(),
            "principal": repository.principal().map(Principal::as_str),
            "manifest": manifest.to_json(),
        })
    }

    async fn send<T: DeserializeOwned>(&self, action: &str, event: Value) -> Result<T, CliError> {
        let doing = format!("{action} the limits through {}", self.name);
        let request = self.client.invoke().function_name(&self.name).payload(Blob::new(event.to_string()));
        let answer = request.send().await.map_err(|error| self.unreachable(&doing, error))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let payload: Value = serde_json::from_slice(&payload).map_err(|error| CliError::failed(&doing, error))?;
        if let Some(message) = payload.get("errorMessage").and_then(Value::as_str) {
            return Err(CliError::problem(format!("Lambda execution failed: {message}"))
                .next("the function's log has more: /aws/lambda/".to_owned() + &self.name)
                .next(format!("{} does without the function", self.direct)));
        }
        serde_json::from_value(payload).map_err(|error| CliError::failed(doing, error))
    }

    fn unreachable(&self, doing: &str, error: SdkError<InvokeError>) -> CliError {
        let missing = error.as_service_error().is_some_and(InvokeError::is_resource_not_found_exception);
        let cause = if missing {
            CliError::problem(format!("The stack has no function {}", self.name))
                .next(format!("{} brings a stack without it up to date", self.upgrade))
        } else {
            let error = StackError::from_sdk("lambda:InvokeFunction", error);
            let advice = match &error {
                StackError::Denied { .. } => {
                    Some("the stack's FullAccessPolicy (…-full) allows calling it (lambda:InvokeFunction)".to_owned())
                }
                other => other.advice(),
            };
            advice.into_iter().fold(CliError::failed(doing, BoxError::from(error)), CliError::next)
        };
        cause.next(format!("{} does without the function", self.direct))
    }
}
