//! What is stored, and the calls that read and write it: one file per concern.

pub(crate) mod store;
