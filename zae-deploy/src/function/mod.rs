//! What both Lambda functions need around their work: clients, logs, metrics and traces.

mod clients;
mod log;
mod metrics;
mod xray;

pub use clients::{archive_client, sdk_config, table_client};
pub use log::init as init_log;
pub use metrics::{Metric, emit as emit_metrics};
pub use xray::Tracer;

/// What an error says, and then its causes, for people who see a line of text only.
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

/// How a function's process ends when it cannot even start: a line that its log shows, and a code that is not 0.
pub fn fail_to_start(error: &dyn std::error::Error) -> std::process::ExitCode {
    tracing::error!(error = with_causes(error), "the function cannot start");
    std::process::ExitCode::FAILURE
}
