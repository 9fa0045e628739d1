//! The Lambda function for events from the command line and from CloudFormation.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Principal, Repository, RepositoryError, ValidationError};

use super::{Plan, ProvisionError, Provisioner, resource, respond::Responder, respond::ResponseError};
use crate::manifest::{Manifest, ManifestError};

/// The provisioner function: a table's client, and the connection to CloudFormation.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone)]
pub struct Functions {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) responder: Responder,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("table", &self.table).finish_non_exhaustive()
    }
}

/// Handling of the namespace `default` if it is not registered yet. Other namespaces must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unregistered {
    Fail,
    Register,
}

/// The reason why an event failed.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The manifest is invalid; nothing was changed.
    #[error("the manifest is wrong: {0}")]
    Manifest(#[from] ManifestError),
    /// A name in the event is invalid; nothing was changed.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// Planning or applying failed.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The id in the event does not belong to the namespace's name.
    #[error(
        "namespace '{name}' of table {table} has id {actual}, the event says {given}: nothing was changed; leave \
         the id out, or name the namespace that it belongs to"
    )]
    OtherNamespace {
        /// The name in the event.
        name: String,
        /// The table.
        table: String,
        /// The registered id.
        actual: String,
        /// The id in the event.
        given: String,
    },
    /// The event's action is unknown.
    #[error("the event's action is '{0}': it must be plan or apply")]
    Action(String),
    /// The plan to apply is invalid.
    #[error("the event's `planned` is no plan: {0}; nothing was changed")]
    Planned(#[source] serde_json::Error),
    /// The function's time was over; applying again completes the work.
    #[error("the function's time was over before everything was applied: give it more time, and apply again")]
    NoTime,
    /// Applying a custom resource failed partially.
    #[error("{0}")]
    Incomplete(String),
    /// CloudFormation could not be notified.
    #[error(transparent)]
    Response(#[from] ResponseError),
}

impl From<RepositoryError> for HandlerError {
    fn from(error: RepositoryError) -> Self {
        Self::Provision(error.into())
    }
}

impl Functions {
    /// Creates a function; `table` is for events that name no table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let region = client.config().region().map(ToString::to_string);
        Self { client, table: table.into(), responder: Responder::new(region.as_deref()) }
    }

    /// Configures it for a local stack: custom resources are answered only at addresses of this machine.
    #[must_use]
    pub fn answering_locally(self) -> Self {
        Self { responder: Responder::local(), ..self }
    }

    /// Handles one event:
    /// `{"action": "plan" | "apply", "table_name", "namespace_id", "principal", "manifest", "planned"}`, or a custom
    /// resource's, which is also answered at its `ResponseURL`. With `planned`, an earlier plan, nothing is applied
    /// unless the changes are still the same. Work that is not done within `time` has failed; notifying CloudFormation
    /// takes additional time.
    ///
    /// # Errors
    /// [`HandlerError`], which the function returns to its caller. Failures that CloudFormation was notified of are not
    /// errors: Lambda would only repeat the work.
    pub async fn handle(&self, event: &Value, time: Duration) -> Result<Value, HandlerError> {
        if event.get("RequestType").is_some() {
            return resource::handle(self, event, time).await;
        }
        tokio::time::timeout(time, self.direct(event)).await.unwrap_or(Err(HandlerError::NoTime))
    }

    async fn direct(&self, event: &Value) -> Result<Value, HandlerError> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let manifest = Manifest::from_json(event.get("manifest").unwrap_or(&Value::Null))?;
        let action = text("action").unwrap_or("plan");
        let principal = text("principal").map(Principal::new).transpose()?;
        let table = text("table_name").unwrap_or(&self.table);
        let unregistered = if action == "apply" { Unregistered::Register } else { Unregistered::Fail };
        let repository = self.open(table, manifest.namespace.as_ref(), text("namespace_id"), unregistered).await?;
        let repository = match principal {
            Some(principal) => repository.acting_as(principal)?,
            None => repository,
        };
        let provisioner = Provisioner::new(repository);
        match action {
            "plan" => {
                let mut answer = json!(provisioner.plan(&manifest).await?);
                answer["status"] = "planned".into();
                Ok(answer)
            }
            "apply" => {
                let planned = event.get("planned").filter(|planned| !planned.is_null());
                let applied = match planned.map(|planned| Plan::deserialize(planned).map_err(HandlerError::Planned)) {
                    Some(planned) => provisioner.apply_planned(&manifest, &planned?).await?,
                    None => provisioner.apply(&manifest).await?,
                };
                let mut answer = json!(applied);
                answer["status"] = "applied".into();
                Ok(answer)
            }
            other => Err(HandlerError::Action(other.to_owned())),
        }
    }

    /// Opens a namespace by its name, which must belong to the id if one is given.
    pub(super) async fn open(
        &self,
        table: &str,
        name: Option<&NamespaceName>,
        id: Option<&str>,
        unregistered: Unregistered,
    ) -> Result<Repository, HandlerError> {
        let name = name.map_or(zae_limiter::name::DEFAULT_NAMESPACE, NamespaceName::as_str);
        let builder = Repository::builder().client(self.client.clone()).stack(table).namespace(name);
        let builder = match unregistered {
            Unregistered::Register => builder,
            Unregistered::Fail => builder.must_exist(),
        };
        let repository = builder.build().await?;
        let actual = repository.namespace_id().as_str();
        match id {
            Some(given) if given != actual => Err(HandlerError::OtherNamespace {
                name: name.to_owned(),
                table: table.to_owned(),
                actual: actual.to_owned(),
                given: given.to_owned(),
            }),
            _ => Ok(repository),
        }
    }
}
