//! `AWS::DynamoDB::Table` in the embedded database.

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use zae_limiter::StackName;

use super::{
    LocalCloud,
    resources::{Made, ResourcePlace},
};
use crate::local::position::Position;

/// The properties that have the same name and form in DynamoDB's own CreateTable.
const SAME: [&str; 6] = [
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "TableName",
];

pub(super) async fn make(cloud: &LocalCloud, place: &ResourcePlace, properties: &Value) -> Result<Made, String> {
    let mut request: Map<String, Value> =
        SAME.iter().filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone()))).collect();
    request.entry("TableName").or_insert_with(|| format!("{}-table", place.stack).into());
    request.insert("DeletionProtectionEnabled".to_owned(), is_on(&properties["DeletionProtectionEnabled"]).into());
    request.insert("Tags".to_owned(), tags(place, properties));
    if let Some(view) = properties["StreamSpecification"].get("StreamViewType") {
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
        request.insert("StreamSpecification".to_owned(), stream);
    }
    let name = request["TableName"].as_str().unwrap_or_default().to_owned();
    let is_own = name == cloud.own.stack.as_str();
    let properties = properties.clone();
    work(cloud, move |database| {
        match database.create_table(read(request.into())?) {
            // The data of an earlier run was kept without its stack.
            Err(DynoxideError::ResourceInUseException(_)) if is_own => {}
            result => drop(result?),
        }
        expire(database, &name, &properties)?;
        describe(database, &name)
    })
    .await
}

pub(super) async fn change(
    cloud: &LocalCloud,
    place: &ResourcePlace,
    old: &Value,
    new: &Value,
) -> Result<Made, String> {
    let name = new["TableName"].as_str().map_or_else(|| format!("{}-table", place.stack), str::to_owned);
    let protected = is_on(&new["DeletionProtectionEnabled"]);
    let is_changed = is_on(&old["DeletionProtectionEnabled"]) != protected;
    let has_other_indexes = old["GlobalSecondaryIndexes"] != new["GlobalSecondaryIndexes"];
    if has_other_indexes {
        return Err("a local stack does not change the indexes of a table: delete the stack and deploy it again".into());
    }
    let tags = tags(place, new);
    let new = new.clone();
    work(cloud, move |database| {
        if is_changed {
            let request = json!({ "TableName": name, "DeletionProtectionEnabled": protected });
            database.update_table(read(request)?)?;
        }
        expire(database, &name, &new)?;
        let made = describe(database, &name)?;
        database.tag_resource(read(json!({ "ResourceArn": made.attributes["Arn"], "Tags": tags }))?)?;
        Ok(made)
    })
    .await
}

pub(super) async fn remove(cloud: &LocalCloud, name: &str) -> Result<(), String> {
    let request = json!({ "TableName": name });
    let removed = work(cloud, move |database| match database.delete_table(read(request)?) {
        Err(DynoxideError::ResourceNotFoundException(_)) => Ok(()),
        result => result.map(drop),
    });
    removed.await?;
    if let Ok(stack) = StackName::new(name) {
        Position::of(&cloud.data, &stack).forget();
    }
    Ok(())
}

/// Does blocking work on the database.
async fn work<T: Send + 'static>(
    cloud: &LocalCloud,
    work: impl FnOnce(&Database) -> Result<T, DynoxideError> + Send + 'static,
) -> Result<T, String> {
    let database = cloud.database.clone();
    let done = tokio::task::spawn_blocking(move || work(&database)).await;
    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn read<T: DeserializeOwned>(request: Value) -> Result<T, DynoxideError> {
    serde_json::from_value(request).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

/// CloudFormation also accepts booleans as text.
fn is_on(value: &Value) -> bool {
    *value == Value::Bool(true) || value == "true"
}

/// Returns the stack's tags and those of the template, which take precedence.
fn tags(place: &ResourcePlace, properties: &Value) -> Value {
    let own = properties["Tags"].as_array().into_iter().flatten().cloned();
    let has = |key: &str| own.clone().any(|tag| tag["Key"] == key);
    let stack = place.tags.iter().filter(|(key, _)| !has(key)).map(|(key, value)| json!({"Key": key, "Value": value}));
    stack.chain(own.clone()).collect()
}

fn expire(database: &Database, name: &str, properties: &Value) -> Result<(), DynoxideError> {
    let ttl = &properties["TimeToLiveSpecification"];
    let Some(attribute) = ttl.get("AttributeName") else { return Ok(()) };
    let specification = json!({ "AttributeName": attribute, "Enabled": is_on(&ttl["Enabled"]) });
    let request = json!({ "TableName": name, "TimeToLiveSpecification": specification });
    match database.update_time_to_live(read(request)?) {
        // It already has its desired state.
        Err(DynoxideError::ValidationException(message)) if message.contains("already") => Ok(()),
        result => result.map(drop),
    }
}

fn describe(database: &Database, name: &str) -> Result<Made, DynoxideError> {
    let described = database.describe_table(read(json!({ "TableName": name }))?)?;
    let described = serde_json::to_value(described).map_err(|e| DynoxideError::InternalServerError(e.to_string()))?;
    let text = |field: &str| described["Table"][field].as_str().unwrap_or_default().to_owned();
    Ok(Made::new(name, [("Arn", text("TableArn")), ("StreamArn", text("LatestStreamArn"))]))
}
