//! The Lambda function that reads the table's change stream.

use std::{process::ExitCode, sync::Arc};

use futures_util::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use zae_deploy::{
    aggregator::{self, Aggregator, Archive, Settings},
    function,
};
use zae_limiter::stream::StreamTable;

// Records of one shard are processed one after the other: threads would only wait for each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(run()).await
}

async fn run() -> Result<(), Error> {
    let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
    let config = function::sdk_config().await?;
    let daemon = std::env::var("AWS_XRAY_DAEMON_ADDRESS").ok();
    let tracer = function::Tracer::new(daemon.as_deref(), settings.table.as_str());
    let table = StreamTable::new(function::table_client(&config, &tracer), &settings.table);
    let archive = settings.archive_bucket.clone();
    let archive = archive.map(|bucket| Archive::new(function::archive_client(&config), bucket));
    let mut aggregator = Aggregator::new(table, settings);
    if let Some(archive) = archive {
        aggregator = aggregator.archive(archive);
    }
    let aggregator = Arc::new(aggregator);
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let aggregator = Arc::clone(&aggregator);
        tracer.invocation(event.context.xray_trace_id.as_deref());
        async move {
            let LambdaEvent { payload, context } = event;
            Ok::<_, Error>(aggregator::handle(&aggregator, &payload, &context.request_id, context.deadline).await)
        }
        // Boxed, because its type would exceed the compiler's depth limit.
        .boxed()
    });
    lambda_runtime::run(handler).await
}
