//! `moto` as a process, behind a proxy that resolves conditions, which it does not support.
//!
//! The proxy also reports deleted stacks as missing: when asked for their outputs, `moto` would create the resources
//! again.

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use super::{
    form,
    resolve::{self, Parameters},
    run, venv,
};

/// Resource types that `moto` has, but does not create from a template.
const LEFT_OUT: [&str; 1] = ["AWS::CloudWatch::Alarm"];

/// A `moto` of its own, which ends with this value.
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    pub(crate) interpreter: std::path::PathBuf,
    _server: Child,
    _proxy: tokio::task::JoinHandle<()>,
}

impl Moto {
    /// Starts one, if Python and its packages are available.
    pub(crate) async fn start() -> Option<Self> {
        let interpreter = venv::interpreter()?;
        let mut command = Command::new(&interpreter);
        run::clean(&mut command)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut server = command.spawn().unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let port = tokio::time::timeout(Duration::from_secs(120), async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("http://127.0.0.1:") {
                    return port.trim().parse::<u16>().unwrap();
                }
            }
            panic!("moto ended before it listened");
        });
        let port = port.await.expect("moto starts within two minutes");
        // A process that writes to an unread pipe blocks.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Arc::new(Upstream {
            base: format!("http://127.0.0.1:{port}"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            deleted: Mutex::default(),
        });
        let proxy = axum::Router::new().fallback(forward).with_state(upstream);
        let proxy = tokio::spawn(async move { axum::serve(listener, proxy).await.unwrap() });
        Some(Self { endpoint, interpreter, _server: server, _proxy: proxy })
    }

    /// Runs `zae-deploy` against it.
    pub(crate) async fn zae_deploy(&self, args: &[&str]) -> run::Ran {
        run::zae_deploy(&self.endpoint, args).await
    }

    /// Runs a Python program against it; returns its standard output.
    pub(crate) async fn python(&self, program: &str) -> String {
        let mut command = Command::new(&self.interpreter);
        run::clean(&mut command).args(["-W", "ignore", "-c", program]).env("ENDPOINT", &self.endpoint);
        let ran = run::Ran::from_output(command.output().await.unwrap());
        ran.ok().stdout
    }
}

struct Upstream {
    base: String,
    client: Client<HttpConnector, Body>,
    /// Names of stacks.
    deleted: Mutex<HashSet<String>>,
}

impl Upstream {
    /// Returns true if a request is about a deleted stack; records deletions and creations.
    fn is_about_deleted(&self, body: &[u8]) -> bool {
        let fields = form::decode(std::str::from_utf8(body).unwrap_or_default());
        let Some(stack) = form::get(&fields, "StackName") else { return false };
        let name = stack.split('/').nth(1).unwrap_or(stack);
        let mut deleted = self.deleted.lock().unwrap();
        match form::get(&fields, "Action") {
            Some("DeleteStack") => drop(deleted.insert(name.to_owned())),
            Some("CreateStack") => drop(deleted.remove(name)),
            Some("DescribeStacks") => return deleted.contains(name),
            _ => {}
        }
        false
    }
}

async fn forward(State(upstream): State<Arc<Upstream>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if upstream.is_about_deleted(&body) {
        return super::fake::error("ValidationError", "Stack does not exist");
    }
    let body = resolved(body);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{}{path}", upstream.base).parse().unwrap();
    parts.headers.insert("content-length", body.len().into());
    let answer = upstream.client.request(http::Request::from_parts(parts, Body::from(body))).await.unwrap();
    answer.map(Body::new)
}

/// Returns the body of a request, with the conditions of its template resolved if it has one.
fn resolved(body: Bytes) -> Bytes {
    let Some(text) = std::str::from_utf8(&body).ok().filter(|text| text.starts_with("Action=CreateStack")) else {
        return body;
    };
    let mut fields = form::decode(text);
    let given: Parameters =
        form::members(&fields, "Parameters", "ParameterKey", "ParameterValue").into_iter().collect();
    for (name, value) in &mut fields {
        if name != "TemplateBody" || !value.contains("Conditions:") {
            continue;
        }
        // The Python package's own template has short functions, which moto reads itself.
        if let Ok(template) = serde_saphyr::from_str(value) {
            let mut template = resolve::resolve(&template, &given);
            let resources = template["Resources"].as_object_mut().unwrap();
            resources.retain(|_, resource| !LEFT_OUT.contains(&resource["Type"].as_str().unwrap()));
            let gone = |value: &serde_json::Value| value["Value"]["Ref"].as_str().is_some_and(|r| r.ends_with("Alarm"));
            template["Outputs"].as_object_mut().unwrap().retain(|_, output| !gone(output));
            *value = template.to_string();
        }
    }
    form::encode(&fields).into()
}
