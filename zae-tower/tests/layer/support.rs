//! Services behind the layer, and rules that record how requests end.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use zae_limiter::EntityId;
use zae_tower::settle::{End, SettleRule, Verdict};

pub(crate) type Text = Full<Bytes>;

pub(crate) fn get() -> Request<Text> {
    Request::new(Text::default())
}

/// Creates a request whose sender was identified by an earlier layer.
pub(crate) fn from(entity: &str) -> Request<Text> {
    let mut request = get();
    request.extensions_mut().insert(EntityId::new(entity).unwrap());
    request
}

pub(crate) async fn hello(_: Request<Text>) -> Result<Response<Text>, Infallible> {
    Ok(Response::new(Text::from("hello")))
}

/// The standard rule, with a record of the ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    pub(crate) fn take(&self) -> Vec<End> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl SettleRule for Ends {
    fn on_end(&self, end: End, planned: Verdict, lease: &zae_tower::Lease) -> Verdict {
        self.0.lock().unwrap().push(end);
        zae_tower::settle::Standard.on_end(end, planned, lease)
    }
}
