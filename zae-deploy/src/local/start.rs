//! Starts and stops a local stack in this process.

use std::{fmt, fs, io, path::Path, sync::Arc};

use dynoxide::DynoxideError;
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use zae_limiter::{StackName, name::DEFAULT_STACK};

use super::{
    cloud::{LocalCloud, Own},
    control::{Running, Status},
    database,
    front::Front,
    options::{DEFAULT_PORT, Data, Options},
    ports,
    private::{self, ExistingContent},
    stream::{self, Progress},
};
use crate::stack;

/// A local stack in this process; its tasks end with [`Local::stop`].
///
/// See the [module](crate::local) for an example.
pub struct Local {
    running: Running,
    stop: Arc<Notify>,
    server: JoinHandle<()>,
    cloud: Arc<LocalCloud>,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("endpoint", &self.running.endpoint).finish_non_exhaustive()
    }
}

/// The reason why a local stack could not be started.
///
/// See the [module](crate::local) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The port is taken.
    #[error("port {port} cannot be used: is a local stack running already? Stop it, or choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The data's folder or file is not usable.
    #[error("{place} cannot be used: move it away, or name another folder with ZAEL_LOCAL_DIR")]
    Data {
        /// The unusable path.
        place: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stack's name is invalid.
    #[error(transparent)]
    Name(#[from] zae_limiter::ValidationError),
    /// The table cannot be created.
    #[error("the table cannot be created: if data of an earlier run is kept, move it away or start without it")]
    Table(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Local {
    /// Starts a stack and waits until it is ready: table, stream, expiry and the namespace `default` exist.
    ///
    /// # Errors
    /// [`LocalError`]; nothing is left running.
    pub async fn start(options: Options) -> Result<Self, LocalError> {
        let stack = options.stack.map_or_else(|| StackName::new(DEFAULT_STACK), Ok)?;
        let port = options.port.unwrap_or(DEFAULT_PORT);
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.map_err(|source| LocalError::Port { port, source })?;
        let port = listener.local_addr().map_err(|source| LocalError::Port { port, source })?.port();
        let place = match &options.data {
            Data::Memory => "memory".to_owned(),
            Data::File(path) => path.display().to_string(),
        };
        let data = options.data;
        let database = open(data.clone(), &place).await?;
        // Uses the front like everybody else, because it has the only port.
        let client = ports::client(&format!("http://127.0.0.1:{port}"));
        let progress = Arc::new(Progress::default());
        let archive = options.archive.as_ref().map(|folder| folder.display().to_string());
        let own = Own { stack: stack.clone(), archive: options.archive };
        let cloud = LocalCloud::open(database.clone(), client.clone(), (port, data), own, Arc::clone(&progress));
        let cloud = cloud.map_err(|source| LocalError::Data { place: place.clone(), source: source.into() })?;

        let stop = Arc::new(Notify::new());
        let running =
            Running { endpoint: format!("http://localhost:{port}"), port, token: ulid::Ulid::new().to_string() };
        let status = Status {
            stack: stack.to_string(),
            pid: std::process::id(),
            data: place,
            archive,
            started_at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ..Status::default()
        };
        let shown = (status, running.token.clone());
        let front = Front::new(database.clone(), Arc::clone(&cloud), progress, shown, Arc::clone(&stop));
        let ended = Arc::clone(&stop);
        let server =
            axum::serve(listener, front.router()).with_graceful_shutdown(async move { ended.notified().await });
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(error = %error, "the local stack's port failed");
            }
        });
        let tasks = vec![tokio::spawn(stream::sweep(database))];
        let local = Self { running, stop, server, cloud: Arc::clone(&cloud), tasks };
        // Boxed, so that callers who await this a few futures deep stay below the compiler's bound on type depth.
        if let Err(error) = Box::pin(create(&cloud, client, &stack)).await {
            local.stop().await;
            return Err(error);
        }
        Ok(local)
    }

    /// Returns the address on which it listens.
    pub fn endpoint(&self) -> &str {
        &self.running.endpoint
    }

    /// Writes the state file in `folder` by which other processes find it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn announce(&self, folder: &Path) -> io::Result<()> {
        self.running.write(folder)
    }

    /// Waits until it is stopped.
    pub async fn stopped(&mut self) {
        // It can only end otherwise by a panic, which was logged.
        let _ = (&mut self.server).await;
        self.end();
    }

    /// Stops it; requests under way are answered.
    pub async fn stop(mut self) {
        self.stop.notify_one();
        let grace = std::time::Duration::from_secs(1);
        // Idle client connections would otherwise keep it alive forever.
        let _ = tokio::time::timeout(grace, self.stopped()).await;
        self.server.abort();
        self.end();
    }

    fn end(&self) {
        self.cloud.stop();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn open(data: Data, place: &str) -> Result<dynoxide::Database, LocalError> {
    let failed = |source| LocalError::Data { place: place.to_owned(), source };
    let opened = tokio::task::spawn_blocking(move || {
        if let Data::File(path) = &data
            && let Some(folder) = path.parent()
        {
            let prepare = || {
                fs::create_dir_all(folder)?;
                LocalCloud::forget_unless(path)?;
                private::file(path, ExistingContent::Keep)
            };
            prepare().map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        }
        database::open(&data)
    });
    let opened = opened.await.map_err(|error| failed(Box::new(error)))?;
    opened.map_err(|error| failed(error.to_json().into()))
}

/// Creates the stack, or resumes the one of an earlier run, and prepares its table.
async fn create(cloud: &LocalCloud, client: aws_sdk_dynamodb::Client, stack: &StackName) -> Result<(), LocalError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| LocalError::Table(error);
    let (parameters, tags) = stack::new_stack(stack).map_err(|error| failed(error.into()))?;
    cloud.begin(parameters, tags).await.map_err(|reason| failed(reason.into()))?;
    stack::prepare_table(client, stack, None).await.map_err(|error| failed(error.into()))
}
