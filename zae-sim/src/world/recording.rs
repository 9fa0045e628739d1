//! All that a table was asked, to ask another one: [`Recording`].

use zae_limiter::sim::{Answer, ItemKey, Request};

use crate::table::Item;

/// All that a table was asked, in order.
pub type Recording = Vec<Recorded>;

/// One thing that happened to a table.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// A request, and the answer.
    Request(Request, Answer),
    /// An item that was there from the start.
    Set(Item),
    /// An item that was removed.
    Removed(ItemKey),
}
