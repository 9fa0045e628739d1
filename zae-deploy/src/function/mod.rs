//! The runtime environment of both Lambda functions: clients, logs, metrics and traces.
//!
//! ```no_run
//! use zae_deploy::function::{Metric, Tracer, emit_metrics, sdk_config, table_client};
//!
//! # async fn start() -> Result<(), zae_limiter::error::ConnectError> {
//! let tracer = Tracer::new(None, "limiter"); // without a daemon's address, nothing is traced
//! let client = table_client(&sdk_config().await?, &tracer);
//! tracer.invocation(None);
//! // …calls to DynamoDB with `client`…
//! emit_metrics("limiter", 1_767_225_600_000, &[Metric::count("RecordsProcessed", 12)]);
//! # let _ = client;
//! # Ok(())
//! # }
//! ```

mod clients;
mod log;
mod metrics;
mod xray;

use std::process::ExitCode;

pub use clients::{archive_client, sdk_config, table_client};
pub use metrics::{Metric, emit as emit_metrics};
pub use xray::Tracer;

/// Returns the text of an error followed by its causes, for output as a line of text.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// Runs a function's process: logging starts first, and an error at start-up is logged and results in a nonzero exit
/// code.
pub async fn run(function: impl Future<Output = Result<(), lambda_runtime::Error>>) -> ExitCode {
    log::init();
    match function.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = with_causes(error.as_ref()), "the function cannot start");
            ExitCode::FAILURE
        }
    }
}
