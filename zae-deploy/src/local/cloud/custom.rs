//! Custom resources: invokes a function, which sends its answer to a given URL.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::{
    LocalCloud, functions,
    resolve::text,
    resources::{Made, ResourcePlace},
    stack::Resource,
};

/// The path to which answers are sent.
pub(super) const PATH: &str = "/_zae/response/{token}";
/// Time to wait for an answer after the function has returned.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, oneshot::Sender<Value>>>);

impl Answers {
    /// Passes an answer to the waiting request. Returns true if there is one.
    pub(super) fn take(&self, token: &str, answer: Value) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    fn wait(&self, token: &str) -> oneshot::Receiver<Value> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), sender);
        receiver
    }

    fn forget(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

/// Invokes the function of a resource to create, update or delete it.
pub(super) async fn ask(
    cloud: &LocalCloud,
    place: &ResourcePlace,
    request: &str,
    (old, resource): (Option<&Resource>, &Resource),
) -> Result<Made, String> {
    let token = Ulid::new().to_string();
    let mut event = json!({
        "RequestType": request,
        "RequestId": Ulid::new().to_string(),
        "ResponseURL": format!("http://127.0.0.1:{}{}", cloud.port, PATH.replace("{token}", &token)),
        "StackId": place.id,
        "ResourceType": resource.kind,
        "LogicalResourceId": resource.logical_id,
        "ResourceProperties": as_text(&resource.properties),
    });
    let known = old.unwrap_or(resource);
    if request != "Create" {
        event["PhysicalResourceId"] = known.physical_id.clone().into();
    }
    if let Some(old) = old {
        event["OldResourceProperties"] = as_text(&old.properties);
    }
    let service = text(&resource.properties["ServiceToken"]);
    let function = match cloud.functions.get(&service) {
        Ok(function) => function,
        // If the function is gone, so is everything that it could remove.
        Err(_) if request == "Delete" => return Ok(Made::new(&*known.physical_id, [])),
        Err(problem) => return Err(problem.message),
    };
    let waiting = cloud.answers.wait(&token);
    let ran = functions::run(cloud, &function, event).await;
    let answer = tokio::time::timeout(PATIENCE, waiting).await;
    cloud.answers.forget(&token);
    let answer = match (answer, ran) {
        (Ok(Ok(answer)), _) => answer,
        (_, Err(error)) => return Err(format!("Received response status [FAILED] from custom resource. {error}")),
        _ => return Err("CloudFormation did not receive a response from your Custom Resource.".to_owned()),
    };
    if answer["Status"] != "SUCCESS" {
        let reason = answer["Reason"].as_str().unwrap_or_default();
        return Err(format!("Received response status [FAILED] from custom resource. Message returned: {reason}"));
    }
    let data = answer["Data"].as_object().into_iter().flatten();
    let attributes = data.map(|(name, value)| (name.clone(), text(value))).collect();
    Ok(Made { physical_id: text(&answer["PhysicalResourceId"]), attributes })
}

/// Converts properties as CloudFormation passes them: every scalar is text.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let object: Map<String, Value> = object.iter().map(|(key, value)| (key.clone(), as_text(value))).collect();
            object.into()
        }
        Value::Array(list) => list.iter().map(as_text).collect(),
        other => text(other).into(),
    }
}
