//! Jina, where it differs from Voyage: the reader counts within its data.
//!
//! Sources: <https://api.jina.ai/redoc>, <https://jina.ai/reader>.
//!
//! ```json
//! {"code": 200, "status": 20000, "data": {"title": "", "content": "", "usage": {"tokens": 1021}}}
//! ```

use super::table::{Fields, Place, Provider, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("data", "usage")],
        signs: &[&["tokens"]],
        fields: Fields { input: &["tokens"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    ..Provider::NONE
};
