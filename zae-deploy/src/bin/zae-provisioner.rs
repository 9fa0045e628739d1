//! The Lambda function that applies the limits in a manifest.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::FutureExt;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use zae_deploy::{function, provisioner::Functions};

/// The part of an invocation's time that is reserved for the response to CloudFormation.
const RESERVE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(run()).await
}

async fn run() -> Result<(), Error> {
    let table = std::env::var("TABLE_NAME").unwrap_or_else(|_| "rate-limits".to_owned());
    let config = function::sdk_config().await?;
    let daemon = std::env::var("AWS_XRAY_DAEMON_ADDRESS").ok();
    let tracer = function::Tracer::new(daemon.as_deref(), &table);
    let functions = Arc::new(Functions::new(function::table_client(&config, &tracer), table));
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let functions = Arc::clone(&functions);
        tracer.invocation(event.context.xray_trace_id.as_deref());
        async move {
            let LambdaEvent { payload, context } = event;
            let action = payload["RequestType"].as_str().or_else(|| payload["action"].as_str()).unwrap_or("plan");
            tracing::info!(
                target: "zae_limiter_provisioner.handler",
                request_id = context.request_id, action, "Lambda invocation started"
            );
            let answer = functions.handle(&payload, time_left(context.deadline)).await;
            match &answer {
                Ok(_) => tracing::info!(
                    target: "zae_limiter_provisioner.handler",
                    request_id = context.request_id, action, "Lambda invocation completed"
                ),
                Err(error) => tracing::error!(
                    target: "zae_limiter_provisioner.handler",
                    request_id = context.request_id, action, exception = function::with_causes(error),
                    "Lambda invocation failed"
                ),
            }
            answer.map_err(Error::from)
        }
        // Boxed, because its type would exceed the compiler's depth limit.
        .boxed()
    });
    lambda_runtime::run(handler).await
}

/// Returns the time that the work may take, given the end of the invocation's time at `ends_at` (epoch ms).
fn time_left(ends_at: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(ends_at).saturating_sub(now).saturating_sub(RESERVE)
}
