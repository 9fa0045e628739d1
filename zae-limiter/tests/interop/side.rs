//! One of the two sides, this crate or the Python package, with a common set of operations.

use std::sync::Arc;

use serde_json::{Map, Value};
use zae_limiter::{Clock, ManualClock};

use super::{ours::Ours, python::Python};

/// The result of a call.
pub(crate) type Answer = Result<Value, Failure>;

/// A failed call, in the Python package's terms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The exception's class.
    pub(crate) class: String,
    /// The message text.
    pub(crate) message: String,
    /// A refusal in the package's map form.
    pub(crate) map: Option<Value>,
}

/// One of the two sides.
#[derive(Debug)]
pub(crate) enum Side {
    /// This crate.
    Ours(Ours),
    /// The published package, on the same driven clock.
    Theirs(Box<Python>, Arc<ManualClock>),
}

impl Side {
    /// Calls `op` with the fields of `arguments`; `driver.py` lists the operations.
    pub(crate) async fn call(&self, op: &str, arguments: Value) -> Answer {
        match self {
            // Boxed: one future for every operation is large, and a test's thread has two MiB.
            Self::Ours(ours) => Box::pin(ours.call(op, &arguments)).await,
            Self::Theirs(python, clock) => {
                let Value::Object(mut request) = arguments else { panic!("{op} takes an object") };
                request.insert("op".to_owned(), op.into());
                request.entry("ns").or_insert_with(|| "default".into());
                request.insert("now_ms".to_owned(), clock.now_ms().into());
                read(python.ask(&Value::Object(request)).await)
            }
        }
    }

    /// Calls `op`, which must succeed.
    pub(crate) async fn ok(&self, op: &str, arguments: Value) -> Value {
        let shown = arguments.clone();
        self.call(op, arguments).await.unwrap_or_else(|failure| panic!("{self:?}: {op} {shown}: {failure:?}"))
    }

    /// Calls `op`, which must be refused for now; the map form of the refusal.
    pub(crate) async fn refused(&self, op: &str, arguments: Value) -> Map<String, Value> {
        let shown = arguments.clone();
        match self.call(op, arguments).await {
            Err(Failure { map: Some(Value::Object(map)), .. }) => map,
            other => panic!("{self:?}: {op} {shown}: {other:?}"),
        }
    }
}

/// Reads a response of the driver.
pub(crate) fn read(mut answer: Value) -> Answer {
    if let Some(value) = answer.get_mut("ok") {
        return Ok(value.take());
    }
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    Err(Failure { class: text("error"), message: text("message"), map: answer.get("map").cloned() })
}
