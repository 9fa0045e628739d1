//! The limit on outgoing calls, through real clients against a real server on loopback.

mod bench;
mod contract;
mod corpus;
mod ends;
mod fleet;
mod load;
mod openai;
mod pauses;
mod provider;
mod retry;
mod store;
mod waiting;
mod wire;
