//! X-Ray subsegments for the calls that a function makes, sent to the daemon beside it.
//!
//! If tracing is on, Lambda itself records the invocation and provides its id. This module adds one subsegment per
//! call: operation, table, duration, and if it failed or was throttled. Without tracing nothing is sent.

use std::{
    net::UdpSocket,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use serde_json::json;

const HEADER: &str = "{\"format\": \"json\", \"version\": 1}\n";

/// Records calls of the latest invocation. Clones share their state.
///
/// See the [module](crate::function) for an example.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    daemon: Option<UdpSocket>,
    table: String,
    parent: Mutex<Option<Parent>>,
}

/// The invocation to which calls belong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    trace: String,
    segment: String,
}

#[derive(Debug)]
struct Started(SystemTime);

impl Storable for Started {
    type Storer = StoreReplace<Self>;
}

impl Tracer {
    /// Creates a tracer that sends to `daemon` (`host:port`, as in `AWS_XRAY_DAEMON_ADDRESS`); without it, the tracer
    /// does nothing.
    pub fn new(daemon: Option<&str>, table: &str) -> Self {
        // Sending never waits: if the daemon does not accept a trace, the trace is lost, not the work.
        let daemon = daemon.and_then(|address| {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
            socket.connect(address).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        Self { shared: Arc::new(Shared { daemon, table: table.to_owned(), parent: Mutex::new(None) }) }
    }

    /// Sets the invocation of the following calls, by its header: `Root=…;Parent=…;Sampled=1`. If it is not sampled,
    /// nothing is recorded.
    pub fn invocation(&self, header: Option<&str>) {
        *self.shared.parent.lock().unwrap_or_else(PoisonError::into_inner) = header.and_then(parse);
    }

    fn record(&self, operation: &str, started: SystemTime, fault: Option<Fault>) {
        let Some(daemon) = &self.shared.daemon else { return };
        let Some(parent) = self.shared.parent.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut segment = json!({
            "id": ulid_id(),
            "trace_id": parent.trace,
            "parent_id": parent.segment,
            "type": "subsegment",
            "namespace": "aws",
            "name": "DynamoDB",
            "start_time": seconds(started),
            "end_time": seconds(SystemTime::now()),
            "aws": { "operation": operation, "table_name": self.shared.table },
        });
        match fault {
            Some(Fault::Refused) => segment["error"] = true.into(),
            Some(Fault::Throttled) => {
                segment["error"] = true.into();
                segment["throttle"] = true.into();
            }
            Some(Fault::Failed) => segment["fault"] = true.into(),
            None => {}
        }
        let _ = daemon.send(format!("{HEADER}{segment}").as_bytes());
    }
}

/// The way in which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Throttled,
    Failed,
}

fn parse(header: &str) -> Option<Parent> {
    let field = |name: &str| {
        header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    (field("Sampled").as_deref() == Some("1")).then_some(())?;
    Some(Parent { trace: field("Root")?, segment: field("Parent")? })
}

/// Returns 64 random bits in X-Ray's format.
fn ulid_id() -> String {
    format!("{:016x}", ulid::Ulid::new().random() as u64)
}

impl Intercept for Tracer {
    fn name(&self) -> &'static str {
        "Tracer"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Started(SystemTime::now()));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Started(at)) = config.load::<Started>() else { return Ok(()) };
        let operation = config.load::<Metadata>().map_or("unknown", Metadata::name);
        let status = context.response().map(|response| response.status().as_u16());
        let fault = match (context.output_or_error(), status) {
            (Some(Ok(_)), _) => None,
            (_, Some(400)) => {
                let text = context.response().and_then(|response| response.body().bytes());
                let throttled = text.is_some_and(|text| {
                    let text = String::from_utf8_lossy(text);
                    text.contains("Throttling") || text.contains("ThroughputExceeded")
                });
                Some(if throttled { Fault::Throttled } else { Fault::Refused })
            }
            _ => Some(Fault::Failed),
        };
        self.record(operation, *at, fault);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sampled_invocations_are_recorded() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:2:3";
        let parent = parse(header).unwrap();
        assert_eq!((&*parent.trace, &*parent.segment), ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"));
        assert_eq!(parse(&header.replace("Sampled=1", "Sampled=0")), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_call_that_the_service_failed_is_a_fault() {
        let daemon = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        daemon.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let tracer = Tracer::new(Some(&daemon.local_addr().unwrap().to_string()), "limiter");
        tracer.invocation(Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"));
        tracer.record("GetItem", SystemTime::now(), Some(Fault::Failed));
        let mut buffer = [0; 4_096];
        let read = daemon.recv(&mut buffer).unwrap();
        let document = buffer[..read].strip_prefix(HEADER.as_bytes()).unwrap();
        let document: serde_json::Value = serde_json::from_slice(document).unwrap();
        assert_eq!((&document["fault"], &document["error"]), (&json!(true), &json!(null)));
        assert_eq!(document["aws"]["operation"], "GetItem");
    }
}
