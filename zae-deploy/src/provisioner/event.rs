//! The Lambda function: what the command line sends, and what CloudFormation sends.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Principal, Repository, RepositoryError, ValidationError};

use super::{Plan, ProvisionError, Provisioner, resource, respond::Responder, respond::ResponseError};
use crate::manifest::{Manifest, ManifestError};

/// The provisioner function: a table's client, and the way to CloudFormation.
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

/// Handling of the namespace `default` where it is not registered yet. Other namespaces must always be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unregistered {
    Fail,
    Register,
}

/// The reason why an event could not be answered.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The manifest is wrong; nothing was changed.
    #[error("the manifest is wrong: {0}")]
    Manifest(#[from] ManifestError),
    /// A name in the event is wrong; nothing was changed.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// Planning or applying failed.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The id in the event is not the one of the namespace's name.
    #[error(
        "namespace '{name}' of table {table} has id {actual}, the event says {given}: nothing was changed; leave \
         the id out, or name the namespace that it belongs to"
    )]
    OtherNamespace {
        /// The name in the event.
        name: String,
        /// The table.
        table: String,
        /// The id that is registered.
        actual: String,
        /// The id in the event.
        given: String,
    },
    /// The event asks for something that there is not.
    #[error("the event's action is '{0}': it must be plan or apply")]
    Action(String),
    /// The plan to carry out is none.
    #[error("the event's `planned` is no plan: {0}; nothing was changed")]
    Planned(#[source] serde_json::Error),
    /// The function's time was over; applying again finishes the work.
    #[error("the function's time was over before everything was applied: give it more time, and apply again")]
    NoTime,
    /// Applying to a custom resource failed in part.
    #[error("{0}")]
    Incomplete(String),
    /// CloudFormation could not be told.
    #[error(transparent)]
    Response(#[from] ResponseError),
}

impl From<RepositoryError> for HandlerError {
    fn from(error: RepositoryError) -> Self {
        Self::Provision(error.into())
    }
}

impl Functions {
    /// A function for events that name no table, which then are about `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let region = client.config().region().map(ToString::to_string);
        Self { client, table: table.into(), responder: Responder::new(region.as_deref()) }
    }

    /// Functions of a local stack: they answer custom resources at addresses of this machine, and nowhere else.
    #[must_use]
    pub fn answering_locally(self) -> Self {
        Self { responder: Responder::local(), ..self }
    }

    /// Answers one event: `{"action": "plan" | "apply", "table_name", "namespace_id", "principal", "manifest",
    /// "planned"}`, or a custom resource's, which is answered at its `ResponseURL` as well. With `planned`, a plan that
    /// was answered before, nothing is applied unless the same changes are still to be made. What is not done within
    /// `time` has failed; telling CloudFormation comes on top of that.
    ///
    /// # Errors
    /// [`HandlerError`], which the function returns to its caller. What CloudFormation was told has been dealt with and
    /// is no error: it would only make Lambda repeat the work.
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

    /// Opens a namespace by its name, which the id (where one is given) must belong to.
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
