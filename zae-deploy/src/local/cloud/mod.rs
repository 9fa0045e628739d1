//! The services other than DynamoDB that the stack commands call, for the stacks of this process: CloudFormation,
//! Lambda, S3, STS and tagging. There is one account and one region, and operations are complete when the call returns.

mod buckets;
mod cloudformation;
mod custom;
mod form;
mod functions;
mod lambda;
mod operate;
mod plan;
mod refusal;
mod resolve;
mod resources;
mod s3;
mod show;
mod stack;
mod sts;
mod summary;
mod table;
mod tagging;
mod template;
mod xml;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex as Lock, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::put,
};
use dynoxide::Database;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, task::AbortHandle};
use ulid::Ulid;
use zae_limiter::StackName;

use self::{
    buckets::{BucketRoot, LocalBuckets},
    custom::Answers,
    form::Form,
    functions::{LocalFunction, LocalFunctions},
    refusal::Refusal,
    resolve::text,
    stack::Stack,
};
use super::{
    options::Data,
    position::Position,
    private,
    stream::{self, Progress},
};
use crate::{advice::NOT_LOCAL, provisioner};

/// The account of all resources, which is the embedded database's.
const ACCOUNT: &str = "000000000000";

/// The stack that exists from the start.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) stack: StackName,
    /// The folder of its archive's objects; by default the bucket's own folder.
    pub(super) archive: Option<PathBuf>,
}

/// All stacks of this process.
pub(super) struct LocalCloud {
    database: Database,
    client: aws_sdk_dynamodb::Client,
    port: u16,
    own: Own,
    data: Data,
    provisioner: provisioner::Functions,
    progress: Arc<Progress>,
    stacks: Mutex<Vec<Stack>>,
    functions: LocalFunctions,
    mappings: Lock<BTreeMap<String, Mapping>>,
    buckets: LocalBuckets,
    answers: Answers,
}

/// A stream that a function reads.
#[derive(Clone, Debug)]
struct Mapping {
    function: String,
    source: String,
    task: AbortHandle,
}

/// The state that is stored beside persistent data.
#[derive(Default, Deserialize, Serialize)]
struct Kept {
    stacks: Vec<Stack>,
    functions: BTreeMap<String, LocalFunction>,
}

impl LocalCloud {
    /// Opens the stacks over `database`; with those of an earlier run if its data was kept.
    ///
    /// # Errors
    /// If the stored state cannot be read.
    pub(super) fn open(
        database: Database,
        client: aws_sdk_dynamodb::Client,
        (port, data): (u16, Data),
        own: Own,
        progress: Arc<Progress>,
    ) -> io::Result<Arc<Self>> {
        let (kept, root) = match &data {
            Data::Memory => {
                (Kept::default(), BucketRoot::Temporary(std::env::temp_dir().join(format!("zae-{}", Ulid::new()))))
            }
            Data::File(file) => {
                let kept = match fs::read(file.with_extension("stacks.json")) {
                    Ok(text) => serde_json::from_slice(&text)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
                    Err(error) => return Err(error),
                };
                (kept, BucketRoot::Kept(file.with_extension("s3")))
            }
        };
        let cloud = Arc::new(Self {
            provisioner: provisioner::Functions::new(client.clone(), own.stack.as_str()).answering_locally(),
            database,
            client,
            port,
            own,
            data,
            progress,
            functions: LocalFunctions::restored(kept.functions),
            stacks: Mutex::new(kept.stacks),
            mappings: Lock::default(),
            buckets: LocalBuckets::new(root),
            answers: Answers::default(),
        });
        Ok(cloud)
    }

    /// Removes the state of a previous run if its data is gone.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn forget_unless(data: &FilePath) -> io::Result<()> {
        if data.exists() {
            return Ok(());
        }
        match fs::remove_file(data.with_extension("stacks.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Resumes the stored stacks, and creates this process's own stack if it is missing.
    ///
    /// # Errors
    /// The reason why its resources cannot be created.
    pub(super) async fn begin(
        &self,
        parameters: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<(), String> {
        let kept: Vec<_> = self.stacks.lock().await.iter().flat_map(|stack| stack.resources.clone()).collect();
        let of = |kind: &'static str| kept.iter().filter(move |resource| resource.kind == kind);
        if let Some(folder) = &self.own.archive {
            let stacks = self.stacks.lock().await;
            let own = stacks.iter().filter(|stack| stack.is_called(self.own.stack.as_str()));
            let buckets = own.flat_map(|stack| &stack.resources).filter(|made| made.kind == "AWS::S3::Bucket");
            buckets.for_each(|bucket| self.buckets.keep_in(&bucket.physical_id, folder));
        }
        for mapping in of("AWS::Lambda::EventSourceMapping") {
            self.map_stream(&mapping.physical_id, &mapping.properties)?;
        }
        cloudformation::create_own(self, parameters, tags).await.map_err(|problem| problem.message)
    }

    /// Stops reading streams.
    pub(super) fn stop(&self) {
        self.lock_mappings().values().for_each(|mapping| mapping.task.abort());
    }

    /// Stores the state beside persistent data.
    fn save(&self, stacks: &[Stack]) {
        let Data::File(file) = &self.data else { return };
        let kept = Kept { stacks: stacks.to_vec(), functions: self.functions.list() };
        let written = serde_json::to_vec(&kept).map_err(io::Error::from);
        let written = written.and_then(|text| private::write(&file.with_extension("stacks.json"), &text));
        if let Err(error) = written {
            tracing::warn!(error = %error, "the stacks cannot be written beside the data");
        }
    }

    /// Stores the state, for callers that have not locked the stacks.
    async fn save_now(&self) {
        self.save(&self.stacks.lock().await);
    }

    fn lock_mappings(&self) -> MutexGuard<'_, BTreeMap<String, Mapping>> {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mappings(&self) -> BTreeMap<String, Mapping> {
        self.lock_mappings().clone()
    }

    /// Connects a function to a table's stream, according to the properties of the mapping.
    fn map_stream(&self, id: &str, properties: &serde_json::Value) -> Result<(), String> {
        let source = text(&properties["EventSourceArn"]);
        let function = functions::name_of(&text(&properties["FunctionName"])).to_owned();
        self.follow(id, function, source)
    }

    fn follow(&self, id: &str, function: String, source: String) -> Result<(), String> {
        let table = source.split("table/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let stack = StackName::new(table).map_err(|error| error.to_string())?;
        let reads = self.functions.get(&function).map_err(|problem| problem.message)?;
        let position = Position::of(&self.data, &stack);
        let (database, progress) = (self.database.clone(), Arc::clone(&self.progress));
        let followed = stream::follow(database, table.to_owned(), reads.aggregator(self)?, position, progress);
        let task = tokio::spawn(followed).abort_handle();
        if let Some(before) = self.lock_mappings().insert(id.to_owned(), Mapping { function, source, task }) {
            before.task.abort();
        }
        Ok(())
    }

    /// Restarts the stream mappings of a changed function.
    fn remap_streams(&self, function: &str) -> Result<(), String> {
        for (id, mapping) in self.mappings() {
            if mapping.function == function {
                self.follow(&id, mapping.function, mapping.source)?;
            }
        }
        Ok(())
    }

    fn unmap_stream(&self, id: &str) {
        if let Some(mapping) = self.lock_mappings().remove(id) {
            mapping.task.abort();
        }
    }
}

/// Routes the services that have paths of their own.
pub(super) fn routes(cloud: Arc<LocalCloud>) -> Router {
    let answers = Router::new().route(custom::PATH, put(answered));
    answers.merge(lambda::routes()).merge(s3::routes()).with_state(cloud)
}

async fn answered(State(cloud): State<Arc<LocalCloud>>, Path(token): Path<String>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or_default();
    if cloud.answers.take(&token, answer) { StatusCode::OK } else { StatusCode::FORBIDDEN }
}

/// Answers a call of the query protocol: CloudFormation or STS.
pub(super) async fn query(cloud: Arc<LocalCloud>, body: &[u8]) -> Response {
    let form = Form::read(body);
    match (form.get("Version"), form.get("Action")) {
        (Some("2010-05-15"), _) => cloudformation::answer(cloud, form).await,
        (_, Some("GetCallerIdentity")) => sts::caller(),
        (_, action) => unknown(action.unwrap_or_default()),
    }
}

/// Answers a call of another JSON protocol than DynamoDB's, or S3's for its buckets; `None` for DynamoDB's.
pub(super) async fn other(cloud: &LocalCloud, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization").is_some_and(|credentials| credentials.contains("/s3/")) {
        return Some(s3::buckets(cloud));
    }
    let target = header("x-amz-target")?;
    match target.strip_prefix(tagging::TARGET) {
        Some("GetResources") => Some(tagging::resources(cloud, body).await),
        _ if target.starts_with("DynamoDB") => None,
        _ => {
            let message = message(target);
            let answer = serde_json::json!({ "__type": NOT_LOCAL, "message": message }).to_string();
            Some((StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.1")], answer).into_response())
        }
    }
}

fn message(action: &str) -> String {
    format!(
        "a local stack has DynamoDB, its streams, and what `deploy`, `status`, `list` and `delete` ask of \
         CloudFormation, \
         Lambda, S3, STS and tagging; it does not know the call {action}"
    )
}

fn unknown(action: &str) -> Response {
    let Refusal { code, message } = Refusal::new(NOT_LOCAL, message(action));
    xml::refusal(code, &message)
}
