//! MiniMax, where it differs from OpenAI: errors are reported in successful responses.
//!
//! Source: <https://platform.minimax.io/docs/api-reference/text-post>, of `base_resp`.
//!
//! ```json
//! {"choices": null, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}
//! ```

use super::table::{LimitWords, Place, Provider};

pub(super) const PROVIDER: Provider = Provider {
    places: &[Place::error("base_resp", "status_code")],
    // A limit of requests, a limit of tokens, and an empty balance.
    limits: LimitWords { refused: &["1002", "1039", "1041", "1008"], ..LimitWords::NONE },
    ..Provider::NONE
};
