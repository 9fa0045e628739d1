//! The environment of a function.

pub(crate) mod s3;
pub(crate) mod steps;
pub(crate) mod store;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::process::Command;

use s3::S3;
use steps::Steps;
use store::Store;

use zae_testkit::function::Function;
pub(crate) use zae_testkit::{function, records};

/// The name of the stack and its table.
pub(crate) const TABLE: &str = "limiter";

/// A table, a bucket, and the means to start functions that use them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) s3: S3,
    pub(crate) steps: Arc<Steps>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let steps = Arc::new(Steps::default());
        Self { store: Store::start(Arc::clone(&steps)).await, s3: S3::start(Arc::clone(&steps)).await, steps }
    }

    /// Starts an aggregator with archival and `windows`.
    pub(crate) async fn aggregator_for(&self, windows: &str) -> Function {
        let mut environment = self.environment();
        environment.extend([("SNAPSHOT_WINDOWS", windows.to_owned())]);
        Function::start(&aggregator(), &environment).await
    }

    /// Starts an aggregator that counts hourly and sends its traces to `daemon`.
    pub(crate) async fn traced_aggregator(&self, daemon: &str) -> Function {
        let mut environment = self.environment();
        environment.extend([("SNAPSHOT_WINDOWS", "hourly".to_owned()), ("AWS_XRAY_DAEMON_ADDRESS", daemon.to_owned())]);
        Function::start(&aggregator(), &environment).await
    }

    /// Starts an aggregator with the default windows.
    pub(crate) async fn aggregator(&self) -> Function {
        self.aggregator_for("hourly,daily").await
    }

    /// Starts the published package's aggregator with the same settings, run by `python`.
    pub(crate) async fn reference(&self, python: &Path) -> Function {
        let mut command = Command::new(python);
        command.args(["-W", "ignore", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lambda/runtime.py")]);
        Function::start_command(command, &self.environment()).await
    }

    /// Starts the package unpacked in `folder` on Lambda's own Python runtime, with a placeholder's handler.
    pub(crate) async fn on_python(&self, python: &Path, folder: &Path) -> Function {
        let mut command = Command::new(python);
        command.args(["-m", "awslambdaric", "index.handler"]).current_dir(folder);
        Function::start_command(command, &self.environment()).await
    }

    /// Starts a provisioner.
    pub(crate) async fn provisioner(&self) -> Function {
        Function::start(&provisioner(), &self.environment()).await
    }

    fn environment(&self) -> BTreeMap<&'static str, String> {
        let store = self.store.endpoint.environment().map(|(name, value)| (name, value.to_owned()));
        let mut environment = BTreeMap::from(store);
        environment.extend([
            ("TABLE_NAME", TABLE.to_owned()),
            ("ENABLE_ARCHIVAL", "true".to_owned()),
            ("ARCHIVE_BUCKET_NAME", "archive".to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint.clone()),
        ]);
        environment
    }

    /// Returns the snapshots in the table: `entity resource window start` → its counters and `total_events`.
    pub(crate) async fn usage(&self) -> BTreeMap<String, BTreeMap<String, i64>> {
        let mut found = BTreeMap::new();
        for item in self.store.items().await {
            let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
            if !text("SK").starts_with("#USAGE#") {
                continue;
            }
            let numbers = item.as_object().unwrap().iter().filter(|(name, _)| *name != "ttl");
            let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), value["N"].as_str()?.parse().ok()?)));
            let name =
                format!("{} {} {} {}", text("entity_id"), text("resource"), text("window"), text("window_start"));
            assert!(found.insert(name, numbers.collect()).is_none(), "{item}");
        }
        found
    }
}

/// Returns the aggregator's binary.
pub(crate) fn aggregator() -> PathBuf {
    shipped("zae-aggregator").unwrap_or_else(|| env!("CARGO_BIN_EXE_zae-aggregator").into())
}

/// Returns the provisioner's binary.
fn provisioner() -> PathBuf {
    shipped("zae-provisioner").unwrap_or_else(|| env!("CARGO_BIN_EXE_zae-provisioner").into())
}

/// Returns the binary `name` in the folder `ZAE_LAMBDA_BINARIES`, so that the shipped binaries are tested.
fn shipped(name: &str) -> Option<PathBuf> {
    Some(Path::new(&std::env::var_os("ZAE_LAMBDA_BINARIES")?).join(name))
}

/// Creates an event of these records.
pub(crate) fn event(records: &[Value]) -> Value {
    json!({ "Records": records })
}

/// Returns the failed sequence numbers in a response.
pub(crate) fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().expect("an answer names what failed");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

/// Creates usage in the form of [`World::usage`].
pub(crate) fn counted(entries: &[(&str, &[(&str, i64)])]) -> BTreeMap<String, BTreeMap<String, i64>> {
    entries
        .iter()
        .map(|(name, counters)| {
            ((*name).to_owned(), counters.iter().map(|(limit, n)| ((*limit).to_owned(), *n)).collect())
        })
        .collect()
}
