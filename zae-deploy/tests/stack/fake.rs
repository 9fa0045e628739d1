//! A scripted CloudFormation, and fakes of the other services of a deployment.
//!
//! It answers in the formats of the API's documentation, and holds one stack with scripted states, events and change
//! set. DynamoDB's requests go to an embedded store; S3 already has every bucket and package.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use base64::Engine;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use zae_limiter::{EmbeddedStore, StackName};

use super::{form, run};

type Fields = Vec<(String, String)>;

/// A step of CloudFormation: the resulting state, and its events.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    state: &'static str,
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Event {
    id: usize,
    resource: &'static str,
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
}

/// Creates the step to `state` at the next poll, after these events: resource, type, status, reason.
pub(crate) fn step(state: &'static str, events: &[[&'static str; 4]]) -> Step {
    let events = events.iter().map(|[resource, kind, status, reason]| Event { id: 0, resource, kind, status, reason });
    Step { state, events: events.collect() }
}

/// A scripted change set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Resource, type, action, replacement, and the property that changes.
    pub(crate) changes: Vec<[&'static str; 5]>,
    /// The reason why there is no change set.
    pub(crate) no_changes: Option<&'static str>,
    /// The steps that follow once the stack is created, updated or deleted.
    pub(crate) steps: Vec<Step>,
    /// An action that fails, with code and message.
    pub(crate) fails: Option<[&'static str; 3]>,
    /// True if the stack is protected against termination.
    pub(crate) protected: bool,
    /// The outputs of the stack.
    pub(crate) outputs: Vec<[&'static str; 2]>,
    /// Functions that Lambda has: name, entry point, bytes of code.
    pub(crate) functions: Vec<(&'static str, &'static str, u64)>,
    /// True if `describe` knows of a table in the stack.
    pub(crate) foreign: bool,
}

struct World {
    state: Option<&'static str>,
    script: Script,
    coming: VecDeque<Step>,
    events: Vec<Event>,
    calls: Vec<(String, Fields)>,
    parameters: Vec<(String, String)>,
}

/// The fake as a server, which ends with this value.
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    world: Arc<Mutex<World>>,
    pub(crate) store: EmbeddedStore,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

struct Shared {
    world: Arc<Mutex<World>>,
    dynamodb: String,
    client: Client<HttpConnector, Body>,
}

impl Fake {
    /// Starts the fake with a stack `prod` in `state`, or none. Its table exists if it ever will.
    pub(crate) async fn start(state: Option<&'static str>, script: Script) -> Self {
        let store = EmbeddedStore::memory().unwrap();
        store.create_table(&StackName::new("prod").unwrap()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb = format!("http://{}", listener.local_addr().unwrap());
        let served = store.clone();
        let dynamo = tokio::spawn(async move { served.serve(listener, std::future::pending()).await.unwrap() });
        let parameters =
            [("EnablePITR", "false"), ("SnapshotRetentionDays", "90"), ("EnableDeletionProtection", "true")];
        let before = Event { id: 0, resource: "prod", kind: STACK, status: "CREATE_COMPLETE", reason: "" };
        let world = Arc::new(Mutex::new(World {
            state,
            coming: script.steps.clone().into(),
            script,
            events: state.map(|_| before).into_iter().collect(),
            calls: Vec::new(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { world: world.clone(), dynamodb, client });
        let router = axum::Router::new().fallback(answer).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, world, store, servers: vec![dynamo, server] }
    }

    /// Runs `zae-deploy` against it.
    pub(crate) async fn zae_deploy(&self, args: &[&str]) -> run::Ran {
        run::zae_deploy(&self.endpoint, args).await
    }

    /// Returns the requested actions, without reading ones.
    pub(crate) fn actions(&self) -> Vec<String> {
        let world = self.world.lock().unwrap();
        let acts = world.calls.iter().filter(|(action, _)| !action.starts_with("Describe"));
        acts.map(|(action, _)| action.clone()).collect()
    }

    /// Returns the fields of the first request for `action`.
    pub(crate) fn request(&self, action: &str) -> Fields {
        let world = self.world.lock().unwrap();
        world.calls.iter().find(|(name, _)| name == action).expect("it was asked").1.clone()
    }
}

const STACK: &str = "AWS::CloudFormation::Stack";
const ID: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/prod/0a1b";
const NOW: &str = "2026-01-01T00:00:00Z";

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if parts.headers.contains_key("x-amz-target") {
        parts.uri = shared.dynamodb.parse().unwrap();
        let answer = shared.client.request(http::Request::from_parts(parts, Body::from(body))).await.unwrap();
        return answer.map(Body::new);
    }
    if let Some(function) = parts.uri.path().strip_prefix("/2015-03-31/functions/") {
        return shared.world.lock().unwrap().configuration(function);
    }
    if parts.method == http::Method::HEAD && parts.uri.path().ends_with(".zip") {
        return package(parts.uri.path());
    }
    if parts.method != http::Method::POST {
        return Response::new(Body::empty());
    }
    let fields = form::decode(std::str::from_utf8(&body).unwrap());
    let action = form::get(&fields, "Action").unwrap_or_default().to_owned();
    let mut world = shared.world.lock().unwrap();
    world.calls.push((action.clone(), fields.clone()));
    if let Some([_, code, message]) = world.script.fails.filter(|[failing, ..]| *failing == action) {
        return error(code, message);
    }
    match action.as_str() {
        "GetCallerIdentity" => result(&action, "<Account>123456789012</Account>"),
        "DescribeStacks" => world.describe(&fields),
        "DescribeStackEvents" => world.describe_events(),
        "DescribeStackResource" if world.script.foreign => error("ValidationError", "no such resource"),
        "DescribeStackResource" => result(&action, "<StackResourceDetail/>"),
        "CreateStack" => {
            world.begin();
            result(&action, &format!("<StackId>{ID}</StackId>"))
        }
        "CreateChangeSet" => result(&action, &format!("<Id>cs</Id><StackId>{ID}</StackId>")),
        "DescribeChangeSet" => world.describe_change_set(),
        "ExecuteChangeSet" | "DeleteStack" => {
            world.begin();
            result(&action, "")
        }
        "DeleteChangeSet" => result(&action, ""),
        other => error("InvalidAction", other),
    }
}

/// Returns S3's response for a package whose content matches its name.
fn package(path: &str) -> Response {
    let hash = path.rsplit('/').next().and_then(|name| name.strip_suffix(".zip")).unwrap();
    let bytes: Vec<u8> =
        (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap()).collect();
    let checksum = base64::engine::general_purpose::STANDARD.encode(bytes);
    Response::builder().header("x-amz-checksum-sha256", checksum).body(Body::empty()).unwrap()
}

impl World {
    /// Starts an operation: the stack is immediately in its first scripted state.
    fn begin(&mut self) {
        self.advance();
    }

    fn advance(&mut self) {
        if let Some(step) = self.coming.pop_front() {
            self.state = Some(step.state);
            for event in step.events {
                let id = self.events.len();
                self.events.push(Event { id, ..event });
            }
        }
    }

    /// Returns Lambda's response for `{name}/configuration`.
    fn configuration(&self, path: &str) -> Response {
        let name = path.strip_suffix("/configuration").expect("nothing else is asked");
        let Some((_, handler, bytes)) = self.script.functions.iter().find(|(known, ..)| *known == name) else {
            let answer = Response::builder().status(404).header("x-amzn-errortype", "ResourceNotFoundException");
            return answer.body(Body::from("{}")).unwrap();
        };
        let runtime = if *handler == "bootstrap" { "provided.al2023" } else { "python3.12" };
        let told = serde_json::json!({
            "FunctionName": name, "Runtime": runtime, "Handler": handler, "CodeSize": bytes, "CodeSha256": "c2hh",
        });
        Response::new(Body::from(told.to_string()))
    }

    fn describe(&mut self, _: &Fields) -> Response {
        let Some(state) = self.state else { return error("ValidationError", "Stack with id prod does not exist") };
        let tag =
            if self.script.foreign { "" } else { "<member><Key>ManagedBy</Key><Value>zae-limiter</Value></member>" };
        let parameters: String = self.parameters.iter().fold(String::new(), |mut text, (name, value)| {
            let _ = write!(
                text,
                "<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>"
            );
            text
        });
        let outputs: String = self.script.outputs.iter().fold(String::new(), |mut text, [name, value]| {
            let _ = write!(text, "<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>");
            text
        });
        let body = format!(
            "<Stacks><member><StackName>prod</StackName><StackId>{ID}</StackId><CreationTime>{NOW}</CreationTime>\
             <StackStatus>{state}</StackStatus><Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs><Tags>{tag}</Tags>\
             <EnableTerminationProtection>{}</EnableTerminationProtection></member></Stacks>",
            self.script.protected
        );
        if state.contains("IN_PROGRESS") {
            self.advance();
        }
        result("DescribeStacks", &body)
    }

    fn describe_events(&self) -> Response {
        let events = self.events.iter().rev().fold(String::new(), |mut text, event| {
            let Event { id, resource, kind, status, reason } = event;
            let _ = write!(
                text,
                "<member><EventId>{id}</EventId><StackId>{ID}</StackId><StackName>prod</StackName>\
                 <LogicalResourceId>{resource}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
                 <Timestamp>{NOW}</Timestamp><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{reason}</ResourceStatusReason></member>"
            );
            text
        });
        result("DescribeStackEvents", &format!("<StackEvents>{events}</StackEvents>"))
    }

    fn describe_change_set(&self) -> Response {
        if let Some(reason) = self.script.no_changes {
            let body = format!("<Status>FAILED</Status><StatusReason>{reason}</StatusReason><StackId>{ID}</StackId>");
            return result("DescribeChangeSet", &body);
        }
        let changes = self.script.changes.iter().fold(String::new(), |mut text, change| {
            let [resource, kind, action, replacement, property] = change;
            let replacement = match replacement {
                &"" => String::new(),
                value => format!("<Replacement>{value}</Replacement>"),
            };
            let _ = write!(
                text,
                "<member><Type>Resource</Type><ResourceChange><Action>{action}</Action>\
                 <LogicalResourceId>{resource}</LogicalResourceId><ResourceType>{kind}</ResourceType>{replacement}\
                 <Details><member><Target><Attribute>Properties</Attribute><Name>{property}</Name></Target></member></Details>\
                 </ResourceChange></member>"
            );
            text
        });
        let body = format!("<Status>CREATE_COMPLETE</Status><StackId>{ID}</StackId><Changes>{changes}</Changes>");
        result("DescribeChangeSet", &body)
    }
}

fn xml(status: u16, body: String) -> Response {
    Response::builder().status(status).header("content-type", "text/xml").body(Body::from(body)).unwrap()
}

fn result(action: &str, body: &str) -> Response {
    xml(200, format!("<{action}Response><{action}Result>{body}</{action}Result></{action}Response>"))
}

/// Creates an error of the query protocol.
pub(crate) fn error(code: &str, message: &str) -> Response {
    let status = if code == "AccessDenied" { 403 } else { 400 };
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>test</RequestId></ErrorResponse>"
    );
    xml(status, body)
}
