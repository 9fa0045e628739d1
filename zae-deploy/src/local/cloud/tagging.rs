//! The tagging service: finds the stacks with a tag.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::LocalCloud;

/// Prefix of the service's operations.
pub(super) const TARGET: &str = "ResourceGroupsTaggingAPI_20170126.";

/// Answers `GetResources` for stacks, the only resources here that have tags of their own.
pub(super) async fn resources(cloud: &LocalCloud, body: &[u8]) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let kinds = asked["ResourceTypeFilters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_stacks =
        kinds.is_empty() || kinds.iter().any(|kind| kind == "cloudformation" || kind == "cloudformation:stack");
    let filters = asked["TagFilters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stacks = cloud.stacks.lock().await;
    let found = stacks.iter().filter(|stack| has_stacks && !stack.is_deleted()).filter(|stack| {
        filters.iter().all(|filter| {
            let value = stack.tags.get(filter["Key"].as_str().unwrap_or_default());
            let wanted = filter["Values"].as_array().map(Vec::as_slice).unwrap_or_default();
            value.is_some_and(|value| wanted.is_empty() || wanted.iter().any(|wanted| wanted == value.as_str()))
        })
    });
    let found = found.map(|stack| {
        let tags: Vec<Value> = stack.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        json!({ "ResourceARN": stack.id, "Tags": tags })
    });
    let answer = json!({ "PaginationToken": "", "ResourceTagMappingList": found.collect::<Vec<_>>() });
    ([(CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}
