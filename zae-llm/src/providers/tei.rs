//! Hugging Face's text-embeddings-inference: its own API answers bare lists, and counts in its headers. Its compatible
//! endpoint follows OpenAI's.
//!
//! Source: `router/src/http/server.rs` and `router/src/lib.rs` of
//! <https://github.com/huggingface/text-embeddings-inference>.
//!
//! ```text
//! x-compute-characters: 30
//! x-compute-tokens: 9
//! ```

use super::table::{EndpointWord, HeadCounts, Provider};

pub(super) const PROVIDER: Provider = Provider {
    endpoints: &[
        EndpointWord::reads("/embed_all"),
        EndpointWord::reads("/embed_sparse"),
        EndpointWord::reads("/similarity"),
        EndpointWord::reads("/predict"),
        EndpointWord::free("/decode"),
    ],
    head: Some(HeadCounts { input: "x-compute-tokens", output: "", cache_read: "", cache_write: "" }),
    ..Provider::NONE
};
