//! A recording of all requests to a table, to replay on another: [`Recording`].

use zae_limiter::sim::{Answer, ItemKey, Request};

use crate::table::Item;

/// All requests to a table, in order.
pub type Recording = Vec<Recorded>;

/// One event of a table.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// A request and its answer.
    Request(Request, Answer),
    /// An item that existed from the start.
    Set(Item),
    /// An item that was removed.
    Removed(ItemKey),
}
