//! Groq, where it differs from OpenAI: streams always have usage, in a member of its own.
//!
//! Source: <https://console.groq.com/docs/api-reference#chat-create>.
//!
//! ```json
//! {"choices": [], "x_groq": {"id": "req_01", "usage": {"prompt_tokens": 18, "completion_tokens": 556}}}
//! ```

use super::{
    openai,
    table::{Place, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider =
    Provider { usage: &[UsageShape { places: &[Place::usage("x_groq", "usage")], ..openai::CHAT }], ..Provider::NONE };
