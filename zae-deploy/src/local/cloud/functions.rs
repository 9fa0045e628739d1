//! The functions of stacks: their records, and running them in this process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zae_limiter::{StackName, stream::StreamTable};

use super::{
    ACCOUNT, LocalCloud,
    refusal::Refusal,
    resolve::text,
    resources::{Made, ResourcePlace},
    stack::now,
};
use crate::{
    aggregator::{Aggregator, Archive, Settings},
    local::ports::REGION,
    package::Function as Known,
};

/// Maximum duration, as deployed.
const TIME: Duration = Duration::from_secs(300);

/// A function of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LocalFunction {
    pub(super) name: String,
    /// From the template, or as changed since.
    pub(super) properties: Value,
    pub(super) code_sha256: String,
    pub(super) code_size: usize,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) modified: String,
}

impl LocalFunction {
    pub(super) fn arn(&self) -> String {
        arn(&self.name)
    }

    /// Returns a variable of its environment.
    fn variable(&self, name: &str) -> Option<String> {
        self.properties["Environment"]["Variables"].get(name).map(text)
    }

    /// Creates the aggregator that is equivalent to this function.
    pub(super) fn aggregator(&self, cloud: &LocalCloud) -> Result<Aggregator, String> {
        let settings = Settings::from_environment(|name| self.variable(name)).map_err(|error| error.to_string())?;
        let table = StreamTable::new(cloud.client.clone(), &settings.table);
        let folder = settings.archive_bucket.as_deref().and_then(|bucket| cloud.buckets.folder(bucket));
        let aggregator = Aggregator::new(table, settings);
        Ok(match folder {
            Some(folder) => aggregator.archive(Archive::folder(folder)),
            None => aggregator,
        })
    }

    fn take_code(&mut self, code: &[u8]) {
        self.code_sha256 = STANDARD.encode(Sha256::digest(code));
        self.code_size = code.len();
        self.modified = modified();
    }
}

/// Returns the current time in Lambda's format.
fn modified() -> String {
    now().replace('Z', "+0000")
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

/// Extracts the name from the identifiers by which a function can be called: its name, its ARN, or part of that.
pub(super) fn name_of(called: &str) -> &str {
    called.split(':').skip_while(|part| *part != "function").nth(1).unwrap_or(called)
}

/// The functions, by name.
#[derive(Debug, Default)]
pub(super) struct LocalFunctions(Mutex<BTreeMap<String, LocalFunction>>);

impl LocalFunctions {
    pub(super) fn restored(functions: BTreeMap<String, LocalFunction>) -> Self {
        Self(Mutex::new(functions))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, LocalFunction>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(&self) -> BTreeMap<String, LocalFunction> {
        self.all().clone()
    }

    pub(super) fn get(&self, called: &str) -> Result<LocalFunction, Refusal> {
        let name = name_of(called);
        let found = self.all().get(name).cloned();
        found.ok_or_else(|| Refusal::new("ResourceNotFoundException", format!("Function not found: {}", arn(name))))
    }

    /// Changes a function, and returns its new state.
    pub(super) fn with(&self, called: &str, change: impl FnOnce(&mut LocalFunction)) -> Result<LocalFunction, Refusal> {
        self.get(called)?;
        let mut all = self.all();
        let function = all.get_mut(name_of(called));
        let function = function.ok_or_else(|| Refusal::new("ResourceNotFoundException", "Function not found"))?;
        change(function);
        Ok(function.clone())
    }

    /// Replaces a function's code, which is only recorded: it keeps running in this process.
    pub(super) fn update_code(&self, called: &str, code: &[u8]) -> Result<LocalFunction, Refusal> {
        self.with(called, |function| function.take_code(code))
    }

    /// Creates a function from a template.
    pub(super) fn make(&self, cloud: &LocalCloud, place: &ResourcePlace, properties: &Value) -> Result<Made, String> {
        let name = properties["FunctionName"].as_str().unwrap_or_default().to_owned();
        if kind(&name).is_none() {
            return Err(format!("a local stack runs the aggregator and the limits provisioner, and no '{name}'"));
        }
        if self.all().contains_key(&name) {
            return Err(format!("Function already exist: {name}"));
        }
        let mut function = LocalFunction {
            name: name.clone(),
            properties: properties.clone(),
            code_sha256: String::new(),
            code_size: 0,
            tags: place.tags.clone(),
            modified: modified(),
        };
        function.take_code(&code(cloud, &properties["Code"])?);
        self.all().insert(name.clone(), function);
        Ok(Made::new(&*name, [("Arn", arn(&name))]))
    }

    /// Updates a function to its template. Its code stays if the template's has not changed.
    pub(super) fn change(
        &self,
        cloud: &LocalCloud,
        place: &ResourcePlace,
        old: &Value,
        new: &Value,
    ) -> Result<Made, String> {
        let name = new["FunctionName"].as_str().unwrap_or_default();
        let code = if old["Code"] == new["Code"] { None } else { Some(code(cloud, &new["Code"])?) };
        let changed = self.with(name, |function| {
            function.properties = new.clone();
            function.tags.extend(place.tags.clone());
            if let Some(code) = code {
                function.take_code(&code);
            }
        });
        changed.map_err(|problem| problem.message)?;
        Ok(Made::new(name, [("Arn", arn(name))]))
    }

    pub(super) fn remove(&self, name: &str) {
        self.all().remove(name);
    }
}

/// Returns the code that a template refers to.
fn code(cloud: &LocalCloud, code: &Value) -> Result<Vec<u8>, String> {
    if let Some(inline) = code.get("ZipFile") {
        return Ok(text(inline).into_bytes());
    }
    let (bucket, key) = (text(&code["S3Bucket"]), text(&code["S3Key"]));
    cloud.buckets.get(&bucket, &key).map_err(|problem| {
        format!("Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {problem}", problem.code)
    })
}

/// Returns the function of this project with that name.
fn kind(name: &str) -> Option<Known> {
    for (known, suffix) in [(Known::Aggregator, "-aggregator"), (Known::Provisioner, "-limits-provisioner")] {
        let stack = name.strip_suffix(suffix).and_then(|stack| StackName::new(stack).ok());
        if stack.is_some_and(|stack| known.name_in(&stack) == name) {
            return Some(known);
        }
    }
    None
}

/// Runs a function in this process; the error is the exception it raised.
pub(super) async fn run(cloud: &LocalCloud, function: &LocalFunction, mut event: Value) -> Result<Value, String> {
    match kind(&function.name) {
        Some(Known::Aggregator) => {
            let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
            Ok(function.aggregator(cloud)?.process(records, None).await.to_json())
        }
        Some(Known::Provisioner) => {
            // The function's own environment provides what the event omits.
            if let (Some(table), Some(event)) = (function.variable("TABLE_NAME"), event.as_object_mut()) {
                event.entry("table_name").or_insert_with(|| table.clone().into());
                if let Some(properties) = event.get_mut("ResourceProperties").and_then(Value::as_object_mut) {
                    properties.entry("TableName").or_insert_with(|| table.into());
                }
            }
            cloud.provisioner.handle(&event, TIME).await.map_err(|error| error.to_string())
        }
        None => Err(json!("no such function").to_string()),
    }
}
