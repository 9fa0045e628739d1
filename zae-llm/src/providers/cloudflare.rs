//! Cloudflare Workers AI: its own API wraps the response. Its compatible endpoint follows OpenAI's.
//!
//! Source: <https://developers.cloudflare.com/workers-ai/get-started/rest-api/>, and the schema of its models.
//!
//! ```json
//! {"result": {"response": "", "usage": {"prompt_tokens": 20, "completion_tokens": 68, "total_tokens": 88}},
//!  "success": true, "errors": [], "messages": []}
//! ```

use super::{
    openai,
    table::{Place, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape { places: &[Place::usage("result", "usage")], ..openai::CHAT }],
    places: &[Place::error("", "errors")],
    ..Provider::NONE
};
