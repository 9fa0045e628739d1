//! Lambda's API for the functions of stacks.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    LocalCloud,
    functions::{self, LocalFunction},
    refusal::Refusal,
};

pub(super) fn routes() -> Router<Arc<LocalCloud>> {
    Router::new()
        .route("/2015-03-31/functions", get(list))
        .route("/2015-03-31/functions/", get(list))
        .route("/2015-03-31/functions/{name}", get(describe))
        .route("/2015-03-31/functions/{name}/configuration", get(configuration).put(configure))
        .route("/2015-03-31/functions/{name}/code", put(update_code))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .route("/2015-03-31/event-source-mappings", get(mappings))
        .route("/2015-03-31/event-source-mappings/", get(mappings))
        .route("/2017-03-31/tags/{arn}", get(tags).post(tag))
}

type CloudState = State<Arc<LocalCloud>>;

/// A refusal in Lambda's format.
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(problem: Refusal) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refusal { code, message } = self.0;
        let status = if code == "ResourceNotFoundException" { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        (status, [("x-amzn-errortype", code)], Json(json!({ "Type": "User", "Message": message }))).into_response()
    }
}

fn read(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(if body.is_empty() { b"{}" } else { body }).map_err(|error| {
        let problem = format!("Could not parse request body into json: {error}");
        Refusal::new("InvalidRequestContentException", problem)
    })
}

/// Formats a function's configuration. It is ready immediately, because nothing has to start.
fn shown(function: &LocalFunction) -> Value {
    let property = |name: &str| function.properties.get(name).cloned();
    let number = |name: &str, default: u64| match property(name) {
        Some(Value::String(text)) => text.parse().unwrap_or(default),
        Some(value) => value.as_u64().unwrap_or(default),
        None => default,
    };
    let mut configuration = json!({
        "FunctionName": function.name,
        "FunctionArn": function.arn(),
        "Version": "$LATEST",
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "CodeSha256": function.code_sha256,
        "CodeSize": function.code_size,
        "LastModified": function.modified,
        "MemorySize": number("MemorySize", 128),
        "Timeout": number("Timeout", 3),
        "Architectures": property("Architectures").unwrap_or_else(|| json!(["x86_64"])),
    });
    for name in ["Runtime", "Handler", "Role", "Description", "Environment", "TracingConfig", "KMSKeyArn"] {
        if let Some(value) = property(match name {
            "KMSKeyArn" => "KmsKeyArn",
            other => other,
        }) {
            configuration[name] = value;
        }
    }
    // The template's placeholder is not the code that runs here.
    if function.properties["Code"]["ZipFile"].is_string() && configuration["Handler"] == "index.handler" {
        configuration["Runtime"] = "provided.al2023".into();
        configuration["Handler"] = "bootstrap".into();
    }
    configuration
}

async fn list(State(cloud): CloudState) -> Json<Value> {
    let functions: Vec<Value> = cloud.functions.list().values().map(shown).collect();
    Json(json!({ "Functions": functions }))
}

async fn describe(State(cloud): CloudState, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    let function = cloud.functions.get(&name)?;
    let code = json!({ "RepositoryType": "S3", "Location": "" });
    Ok(Json(json!({ "Configuration": shown(&function), "Code": code, "Tags": function.tags })))
}

async fn configuration(State(cloud): CloudState, Path(name): Path<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(shown(&cloud.functions.get(&name)?)))
}

async fn configure(State(cloud): CloudState, Path(name): Path<String>, body: Bytes) -> Result<Json<Value>, Refused> {
    let asked = read(&body)?;
    let function = cloud.functions.with(&name, |function| {
        for (name, value) in asked.as_object().into_iter().flatten() {
            function.properties[name] = value.clone();
        }
    })?;
    let problem = |reason| Refusal::new("InvalidParameterValueException", reason);
    cloud.remap_streams(&function.name).map_err(problem)?;
    cloud.save_now().await;
    Ok(Json(shown(&function)))
}

async fn update_code(State(cloud): CloudState, Path(name): Path<String>, body: Bytes) -> Result<Json<Value>, Refused> {
    cloud.functions.get(&name)?;
    let asked = read(&body)?;
    let code = match (asked["ZipFile"].as_str(), asked["S3Bucket"].as_str(), asked["S3Key"].as_str()) {
        (Some(zip), ..) => STANDARD.decode(zip).map_err(|error| {
            Refusal::new("InvalidParameterValueException", format!("Could not unzip uploaded file: {error}"))
        })?,
        (None, Some(bucket), Some(key)) => cloud.buckets.get(bucket, key)?,
        _ => {
            let problem = "Please provide a source for function code.";
            return Err(Refusal::new("InvalidParameterValueException", problem).into());
        }
    };
    let function = cloud.functions.update_code(&name, &code)?;
    cloud.save_now().await;
    Ok(Json(shown(&function)))
}

async fn invoke(State(cloud): CloudState, Path(name): Path<String>, body: Bytes) -> Result<Response, Refused> {
    let function = cloud.functions.get(&name)?;
    Ok(match functions::run(&cloud, &function, read(&body)?).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            let answer = json!({ "errorType": "HandlerError", "errorMessage": error });
            ([("x-amz-function-error", "Unhandled")], Json(answer)).into_response()
        }
    })
}

async fn mappings(State(cloud): CloudState, Query(asked): Query<BTreeMap<String, String>>) -> Json<Value> {
    let function = asked.get("FunctionName").map(|name| functions::name_of(name));
    let mappings = cloud.mappings();
    let wanted = mappings.iter().filter(|(_, mapping)| function.is_none_or(|name| name == mapping.function));
    let shown = wanted.map(|(id, mapping)| {
        json!({
            "UUID": id,
            "State": "Enabled",
            "LastProcessingResult": "OK",
            "EventSourceArn": mapping.source,
            "FunctionArn": cloud.functions.get(&mapping.function).map(|function| function.arn()).unwrap_or_default(),
            "StateTransitionReason": "USER_INITIATED",
        })
    });
    Json(json!({ "EventSourceMappings": shown.collect::<Vec<_>>() }))
}

async fn tags(State(cloud): CloudState, Path(arn): Path<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(json!({ "Tags": cloud.functions.get(&arn)?.tags })))
}

async fn tag(State(cloud): CloudState, Path(arn): Path<String>, body: Bytes) -> Result<StatusCode, Refused> {
    let asked = read(&body)?;
    let tags = asked["Tags"].as_object().into_iter().flatten();
    let tags: Vec<_> = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    cloud.functions.with(&arn, |function| function.tags.extend(tags))?;
    cloud.save_now().await;
    Ok(StatusCode::NO_CONTENT)
}
