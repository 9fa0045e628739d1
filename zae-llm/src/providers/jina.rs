//! Jina, where it differs from Voyage: the reader counts within its data.
//!
//! Sources: <https://api.jina.ai/redoc>, <https://jina.ai/reader>.
//!
//! ```json
//! {"code": 200, "status": 20000, "data": {"title": "", "content": "", "usage": {"tokens": 1021}}}
//! ```
//!
//! A search counts within each result, and all of them together in its `meta`, which no result exceeds.

use super::table::{EndpointWord, Fields, Place, Provider, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("data", "usage")],
            signs: &[&["tokens"]],
            fields: Fields { input: &["tokens"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "meta")],
            signs: &[&["usage.tokens"]],
            fields: Fields { input: &["usage.tokens"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
    ],
    endpoints: &[EndpointWord::reads("/segment")],
    ..Provider::NONE
};
