//! Azure OpenAI, where it differs from OpenAI.
//!
//! Source: <https://learn.microsoft.com/azure/ai-services/openai/how-to/quota>; the retries of `openai-python`, which
//! read this header before `retry-after`.

use super::table::{LimitWords, Provider};

pub(super) const PROVIDER: Provider =
    Provider { limits: LimitWords { retry_after_millis: &["retry-after-ms"], ..LimitWords::NONE }, ..Provider::NONE };
