//! The custom resource `Custom::ZaeLimiterLimits`.

use std::time::Duration;

use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Repository, RepositoryError};

use super::{
    Applied, ProvisionError, Provisioner,
    event::{Functions, HandlerError, Unregistered},
    owner::{Owner, Unowned},
    respond::{ResourceOutcome, Response},
};
use crate::{function::with_causes, manifest::Manifest};

/// The id of a resource that was never created. Its deletion must not affect what others manage.
const NEVER_CREATED: &str = "failed";

/// Handles the event and notifies CloudFormation of any outcome. An event with a foreign response URL is not
/// CloudFormation's, and has no effect.
pub(super) async fn handle(functions: &Functions, event: &Value, time: Duration) -> Result<Value, HandlerError> {
    let url = event.get("ResponseURL").and_then(Value::as_str);
    url.map_or(Ok(()), |url| functions.responder.check(url))?;
    let outcome = tokio::time::timeout(time, act(functions, event)).await.unwrap_or(Err(HandlerError::NoTime));
    let response = match &outcome {
        Ok(done) => Response::new(event, ResourceOutcome::Success { id: &done.id, applied: &done.applied }),
        Err(error) => {
            let id = physical_id(event).unwrap_or(NEVER_CREATED);
            tracing::error!(error = with_causes(error), "custom resource failed");
            Response::new(event, ResourceOutcome::Failed { id, reason: &error.to_string() })
        }
    };
    if let Some(url) = url {
        functions.responder.send(url, &response).await?;
        return Ok(json!({ "status": response.status() }));
    }
    let done = outcome?;
    let mut answer = json!(done.applied);
    answer["status"] = "applied".into();
    Ok(answer)
}

struct Done {
    id: String,
    applied: Applied,
}

fn physical_id(event: &Value) -> Option<&str> {
    event.get("PhysicalResourceId").and_then(Value::as_str).filter(|id| !id.is_empty())
}

async fn act(functions: &Functions, event: &Value) -> Result<Done, HandlerError> {
    let nothing = json!({});
    let properties = event.get("ResourceProperties").unwrap_or(&nothing);
    let text = |name: &str| properties.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let table = text("TableName").unwrap_or(&functions.table);
    if event.get("RequestType").and_then(Value::as_str) == Some("Delete") {
        let id = physical_id(event).unwrap_or(NEVER_CREATED);
        let applied = match delete(functions, event, table, properties).await {
            // Its creation failed, perhaps for the same reason; deleting its stack must still be possible.
            Err(error) if id == NEVER_CREATED => {
                tracing::warn!(error = with_causes(&error), "nothing is known of what was never created");
                Applied::default()
            }
            result => result?,
        };
        return Ok(Done { id: id.to_owned(), applied });
    }
    let name = text("Namespace").map(NamespaceName::new).transpose()?;
    let repository = functions.open(table, name.as_ref(), text("NamespaceId"), Unregistered::Register).await?;
    let id = id_of(table, &repository);
    let manifest = Manifest::from_properties(properties)?;
    let owner = match Owner::name(event) {
        // A changed id is a replacement, which may be rolled back.
        Some(name) if physical_id(event) == Some(id.as_str()) => Owner::SettledResource(name),
        Some(name) => Owner::Resource(name),
        None => Owner::Command,
    };
    let applied = Provisioner::new(acting(repository, event)).owner(owner).apply(&manifest).await?;
    complete(&applied)?;
    Ok(Done { id, applied })
}

/// Removes the resource's declarations. Limits of other owners stay, as do those of a namespace that no longer exists.
async fn delete(
    functions: &Functions,
    event: &Value,
    table: &str,
    properties: &Value,
) -> Result<Applied, HandlerError> {
    let text = |name: &str| properties.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("Namespace").map(NamespaceName::new).transpose()?;
    let repository = match functions.open(table, name.as_ref(), text("NamespaceId"), Unregistered::Fail).await {
        Ok(repository) => repository,
        Err(HandlerError::Provision(ProvisionError::Repository(
            RepositoryError::NamespaceNotFound(_)
            | RepositoryError::NamespaceState { .. }
            | RepositoryError::TableMissing { .. },
        ))) => return Ok(Applied::default()),
        Err(error) => return Err(error),
    };
    let unowned = match physical_id(event) {
        Some(NEVER_CREATED) => Unowned::Foreign,
        // The namespace has been registered again since, so the resource has nothing here.
        Some(given) if given != id_of(table, &repository) => return Ok(Applied::default()),
        _ => Unowned::Own,
    };
    let provisioner = Provisioner::new(acting(repository, event));
    let applied = provisioner.release(Owner::name(event).as_deref(), unowned).await?;
    complete(&applied)?;
    Ok(applied)
}

/// Returns CloudFormation's id for the limits of a namespace.
fn id_of(table: &str, repository: &Repository) -> String {
    format!("{table}/{}/limits-provisioner", repository.namespace_id())
}

fn complete(applied: &Applied) -> Result<(), HandlerError> {
    let Some(first) = applied.errors.first() else { return Ok(()) };
    let more = applied.errors.len() - 1;
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    Err(HandlerError::Incomplete(format!("{first}{more}")))
}

/// Returns the repository for changes in the name of the stack, which then is their author.
fn acting(repository: Repository, event: &Value) -> Repository {
    let stack = event.get("StackId").and_then(Value::as_str);
    stack.and_then(|stack| repository.acting_as(stack).ok()).unwrap_or(repository)
}
