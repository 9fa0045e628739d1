//! Logs one JSON object per line on stdout, the format that CloudWatch Logs Insights parses.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Starts logging. The level is that of `LOG_LEVEL` or `AWS_LAMBDA_LOG_LEVEL`, otherwise `INFO`; the SDK's events are
/// shown from warnings up.
pub(super) fn init() {
    let level = ["LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"].iter().find_map(|name| std::env::var(name).ok());
    let level = level.filter(|level| level.parse::<Level>().is_ok()).unwrap_or_else(|| "info".to_owned());
    let ours = ["zae_limiter_aggregator", "zae_limiter_provisioner", "zae_limiter", "zae_deploy"];
    let ours: Vec<String> = ours.iter().map(|target| format!("{target}={level}")).collect();
    let filter = EnvFilter::new(format!("warn,{}", ours.join(",")));
    // Keeps the first subscriber if the process starts twice, as in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .with_ansi(false)
        .event_format(Json)
        .try_init();
}

struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::WARN => "WARNING",
            Level::TRACE | Level::DEBUG => "DEBUG",
            Level::INFO => "INFO",
            Level::ERROR => "ERROR",
        };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00");
        let logger = Value::from(event.metadata().target());
        let message = Value::from(fields.message);
        write!(writer, r#"{{"timestamp":"{now}","level":"{level}","logger":{logger},"message":{message}"#)?;
        for (name, value) in fields.others {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        writeln!(writer, "}}")
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
