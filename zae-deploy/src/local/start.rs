//! Starting and stopping a local stack in this process.

use std::{io, path::Path, sync::Arc};

use aws_sdk_dynamodb::{error::SdkError, types::TimeToLiveSpecification};
use dynoxide::DynoxideError;
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use zae_limiter::{DEFAULT_STACK, Repository, RepositoryError, StackName, stream::StreamTable};

use super::{
    control::{Running, Status},
    database,
    front::Front,
    functions::Lambda,
    inside::Inside,
    options::{DEFAULT_PORT, Data, Options},
    ports,
    position::Position,
    private::{self, Content},
    stream::{self, Progress},
};
use crate::{
    aggregator::{Aggregator, Archive, Settings},
    provisioner::Functions,
};

/// A local stack in this process; its tasks end with [`Local::stop`].
#[derive(Debug)]
pub struct Local {
    running: Running,
    stop: Arc<Notify>,
    server: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why there is no local stack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The port is taken.
    #[error("port {port} cannot be used: is a local stack running already? Stop it, or choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data's folder or file cannot be used.
    #[error("{place} cannot be used: move it away, or name another folder with ZAEL_LOCAL_DIR")]
    Data {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stack's name cannot be used.
    #[error(transparent)]
    Name(#[from] zae_limiter::ValidationError),
    /// The table cannot be created.
    #[error("the table cannot be created: if data of an earlier run is kept, move it away or start without it")]
    Table(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<RepositoryError> for LocalError {
    fn from(error: RepositoryError) -> Self {
        Self::Table(error.into())
    }
}

impl Local {
    /// Starts a stack and waits until it can be used: table, stream, expiry and the namespace `default` are there.
    ///
    /// # Errors
    /// [`LocalError`]; nothing runs then.
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
        let position = Position::of(&options.data, &stack);
        let database = open(options.data, &place).await?;
        // Through the front, as everybody's: it has the only port.
        let client = ports::client(&format!("http://127.0.0.1:{port}"));

        let table = StreamTable::new(client.clone(), &stack);
        let mut aggregator = Aggregator::new(table, Settings::new(stack.clone()));
        let archive = options.archive.as_ref().map(|folder| folder.display().to_string());
        if let Some(folder) = options.archive {
            aggregator = aggregator.archive(Archive::folder(folder));
        }
        let progress = Arc::new(Progress::default());

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
        let provisioner = Functions::new(client.clone(), stack.as_str()).answering_locally();
        let lambda = Lambda { stack: stack.clone(), provisioner, aggregator: aggregator.clone() };
        let inside = Inside::new(database.clone());
        let (shown, token) = (Arc::clone(&progress), running.token.clone());
        let front = Front::new(inside, lambda, shown, (status, token), Arc::clone(&stop));
        let ended = Arc::clone(&stop);
        let server =
            axum::serve(listener, front.router()).with_graceful_shutdown(async move { ended.notified().await });
        let server = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(error = %error, "the local stack's port failed");
            }
        });
        let mut local = Self { running, stop, server, tasks: Vec::new() };
        if let Err(error) = create(&client, &stack).await {
            local.stop().await;
            return Err(error);
        }
        let followed = stream::follow(database.clone(), stack.to_string(), aggregator, position, progress);
        local.tasks.extend([tokio::spawn(followed), tokio::spawn(stream::sweep(database))]);
        Ok(local)
    }

    /// Where it answers.
    pub fn endpoint(&self) -> &str {
        &self.running.endpoint
    }

    /// Leaves a note in `folder` by which other processes find it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn announce(&self, folder: &Path) -> io::Result<()> {
        self.running.write(folder)
    }

    /// Waits until somebody stops it.
    pub async fn stopped(&mut self) {
        // Only a panic ends it otherwise, and that was logged.
        let _ = (&mut self.server).await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Stops it: requests under way are answered.
    pub async fn stop(mut self) {
        self.stop.notify_one();
        let grace = std::time::Duration::from_secs(1);
        // Idle connections of clients would otherwise keep it alive for ever.
        let _ = tokio::time::timeout(grace, self.stopped()).await;
        self.server.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn open(data: Data, place: &str) -> Result<dynoxide::Database, LocalError> {
    let failed = |source| LocalError::Data { place: place.to_owned(), source };
    let opened = tokio::task::spawn_blocking(move || {
        if let Data::File(path) = &data
            && let Some(folder) = path.parent()
        {
            let prepared = private::folder(folder, path).and_then(|()| private::file(path, Content::Keep));
            prepared.map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        }
        database::open(&data)
    });
    let opened = opened.await.map_err(|error| failed(Box::new(error)))?;
    opened.map_err(|error| failed(error.to_json().into()))
}

/// The table with its namespace `default`, and expiry switched on.
async fn create(client: &aws_sdk_dynamodb::Client, stack: &StackName) -> Result<(), LocalError> {
    Repository::builder().client(client.clone()).stack(stack).create_table().build().await?;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("ttl").build();
    let ttl = ttl.map_err(|error| LocalError::Table(error.into()))?;
    let request = client.update_time_to_live().table_name(stack.as_str()).time_to_live_specification(ttl);
    match request.send().await {
        Ok(_) => Ok(()),
        // In a file of an earlier run it is on already.
        Err(SdkError::ServiceError(error)) if error.err().meta().message().is_some_and(|m| m.contains("already")) => {
            Ok(())
        }
        Err(error) => Err(LocalError::Table(error.into())),
    }
}
