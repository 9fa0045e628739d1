//! A Lambda function as a process, and the runtime API that it polls.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{self, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

/// Longer than any healthy function takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files that may contain all trusted certificates, as on Lambda. Other systems also have one file per certificate,
/// which dominate a function's start-up time.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A running function.
#[derive(Debug)]
pub struct Function {
    api: Api,
    child: Child,
    log: Arc<Mutex<String>>,
}

#[derive(Clone, Debug)]
struct Api {
    work: mpsc::UnboundedSender<Work>,
    queue: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Work>>>,
    open: Arc<Mutex<HashMap<String, Waiting>>>,
    polls: Arc<AtomicU64>,
    polled: Arc<tokio::sync::Notify>,
    numbers: Arc<AtomicU64>,
}

/// The receiver of an answer, or an error.
type Waiting = oneshot::Sender<Result<Value, Value>>;

#[derive(Debug)]
struct Work {
    id: String,
    event: Value,
    ends_at_ms: u128,
    /// The trace's header.
    trace: Option<String>,
}

/// The header of an invocation that is traced.
pub const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

async fn next(State(api): State<Api>) -> Response {
    api.polls.fetch_add(1, Ordering::SeqCst);
    api.polled.notify_one();
    let Some(work) = api.queue.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let headers = [
        ("lambda-runtime-aws-request-id", work.id),
        ("lambda-runtime-deadline-ms", work.ends_at_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:test".to_owned()),
    ];
    let mut answer = (headers, Json(work.event)).into_response();
    if let Some(trace) = work.trace {
        answer.headers_mut().insert("lambda-runtime-trace-id", trace.parse().unwrap());
    }
    answer
}

async fn response(State(api): State<Api>, extract::Path(id): extract::Path<String>, answer: Bytes) -> StatusCode {
    settle(&api, &id, Ok(read(&answer)))
}

async fn error(State(api): State<Api>, extract::Path(id): extract::Path<String>, answer: Bytes) -> StatusCode {
    settle(&api, &id, Err(read(&answer)))
}

/// Runtimes do not declare the content type of their answers.
fn read(answer: &Bytes) -> Value {
    serde_json::from_slice(answer).expect("answers are JSON")
}

fn settle(api: &Api, id: &str, answer: Result<Value, Value>) -> StatusCode {
    if let Some(waiting) = api.open.lock().unwrap().remove(id) {
        let _ = waiting.send(answer);
    }
    StatusCode::ACCEPTED
}

impl Function {
    /// Starts `program` with `environment`, and without this process's own AWS configuration.
    pub async fn start(program: &Path, environment: &BTreeMap<&str, String>) -> Self {
        Self::start_command(Command::new(program), environment).await
    }

    /// Starts a command with arguments.
    pub async fn start_command(mut command: Command, environment: &BTreeMap<&str, String>) -> Self {
        let (work, queue) = mpsc::unbounded_channel();
        let api = Api {
            work,
            queue: Arc::new(tokio::sync::Mutex::new(queue)),
            open: Arc::default(),
            polls: Arc::default(),
            polled: Arc::default(),
            numbers: Arc::default(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "test")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_PROXY", "127.0.0.1")
            .envs(CERTIFICATES.iter().find(|file| Path::new(file).exists()).map(|file| ("SSL_CERT_FILE", file)))
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the function's binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        Self { api, child, log }
    }

    /// Waits until the function polls for work.
    pub async fn ready(&self) {
        let wait = async {
            while self.api.polls.load(Ordering::SeqCst) == 0 {
                self.api.polled.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never ready: {}", self.log()));
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends an event and waits for the answer.
    pub async fn invoke(&self, event: &Value) -> Value {
        self.try_invoke(event).await.unwrap_or_else(|error| panic!("the function failed: {error}\n{}", self.log()))
    }

    /// Sends an event and waits for the answer or error.
    pub async fn try_invoke(&self, event: &Value) -> Result<Value, Value> {
        self.invoke_within(event, Duration::from_secs(60)).await
    }

    /// Sends an event whose invocation may take `time`.
    pub async fn invoke_within(&self, event: &Value, time: Duration) -> Result<Value, Value> {
        self.answer(event, time, Some(SAMPLED)).await
    }

    /// Sends an event whose invocation has the header `trace`, and waits for the answer.
    pub async fn invoke_traced(&self, event: &Value, trace: Option<&str>) -> Value {
        let answer = self.answer(event, Duration::from_secs(60), trace).await;
        answer.unwrap_or_else(|error| panic!("the function failed: {error}\n{}", self.log()))
    }

    async fn answer(&self, event: &Value, time: Duration, trace: Option<&str>) -> Result<Value, Value> {
        let id = format!("request-{}", self.api.numbers.fetch_add(1, Ordering::SeqCst));
        let (sender, answer) = oneshot::channel();
        self.api.open.lock().unwrap().insert(id.clone(), sender);
        let ends_at_ms = (SystemTime::now() + time).duration_since(UNIX_EPOCH).unwrap().as_millis();
        let trace = trace.map(str::to_owned);
        self.api.work.send(Work { id, event: event.clone(), ends_at_ms, trace }).unwrap();
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_| panic!("no answer in {PATIENCE:?}: {}", self.log())).unwrap()
    }

    /// Kills the process.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Returns the output of the function.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The lines of its log, which are all JSON.
    pub fn log_lines(&self) -> Vec<Value> {
        self.log()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }
}

fn collect(mut pipe: impl AsyncReadExt + Unpin + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
}
