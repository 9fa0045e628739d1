//! The custom resource `Custom::ZaeLimiterLimits`.

use std::time::Duration;

use serde_json::{Value, json};
use zae_limiter::{NamespaceName, Principal, RepositoryError};

use super::{
    Applied, ProvisionError, Provisioner,
    event::{Functions, HandlerError},
    respond::{Outcome, Response},
};
use crate::{function::with_causes, manifest::Manifest};

/// What a resource that was never created is called. Its deletion must not touch what others manage.
const NEVER_CREATED: &str = "failed";

/// Does what the event asks for and tells CloudFormation, whatever comes of it.
pub(super) async fn handle(functions: &Functions, event: &Value, time: Duration) -> Result<Value, HandlerError> {
    let outcome = tokio::time::timeout(time, act(functions, event)).await.unwrap_or(Err(HandlerError::NoTime));
    let response = match &outcome {
        Ok(done) => Response::new(event, Outcome::Success { id: &done.id, applied: &done.applied }),
        Err(error) => {
            let id = physical_id(event).unwrap_or(NEVER_CREATED);
            tracing::error!(error = with_causes(error), "custom resource failed");
            Response::new(event, Outcome::Failed { id, reason: &error.to_string() })
        }
    };
    if let Some(url) = event.get("ResponseURL").and_then(Value::as_str) {
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
    let deleting = event.get("RequestType").and_then(Value::as_str) == Some("Delete");
    let given = physical_id(event);
    if deleting && given == Some(NEVER_CREATED) {
        return Ok(Done { id: NEVER_CREATED.to_owned(), applied: Applied::default() });
    }
    let name = text("Namespace").map(NamespaceName::new).transpose()?;
    let repository = match functions.open(table, name.as_ref(), text("NamespaceId")).await {
        Ok(repository) => repository,
        // With its namespace, everything of it is gone.
        Err(HandlerError::Provision(ProvisionError::Repository(
            RepositoryError::NamespaceNotFound(_)
            | RepositoryError::NamespaceState { .. }
            | RepositoryError::TableMissing { .. },
        ))) if deleting => {
            let id = given.unwrap_or(NEVER_CREATED).to_owned();
            return Ok(Done { id, applied: Applied::default() });
        }
        Err(error) => return Err(error),
    };
    let id = format!("{table}/{}/limits-provisioner", repository.namespace_id());
    // A resource that is none of ours, or of a namespace that has since been registered anew, has nothing here.
    if deleting && given.is_some_and(|given| given != id) {
        return Ok(Done { id: given.unwrap_or_default().to_owned(), applied: Applied::default() });
    }
    let manifest = if deleting { Manifest::default() } else { Manifest::from_properties(properties)? };
    let provisioner = Provisioner::new(repository).principal(principal(event));
    let applied = provisioner.apply(&manifest).await?;
    if let Some(first) = applied.errors.first() {
        let more = applied.errors.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Err(HandlerError::Incomplete(format!("{first}{more}")));
    }
    Ok(Done { id, applied })
}

/// The audit trail names the stack, which is where to look for who changed it.
fn principal(event: &Value) -> Option<Principal> {
    let stack = event.get("StackId").and_then(Value::as_str)?;
    Principal::new(stack).ok()
}
