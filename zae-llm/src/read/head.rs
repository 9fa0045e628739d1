//! Usage in the headers of a response: [`head_counts`].
//!
//! Bedrock's InvokeModel and the servers of Hugging Face count there. That is read even where nobody reads the body.

use http::HeaderMap;

use super::{counts::MAX_COUNT, tally::UsageTally};
use crate::{
    Usage,
    providers::{table::HeadCounts, tables},
};

/// Returns the usage in the head of a response, for providers that count in headers.
pub(super) fn head_counts(headers: &HeaderMap, tally: &mut UsageTally) -> Option<Usage> {
    tables().heads.iter().find_map(|(format, names)| {
        let usage = head_usage(headers, names, tally)?;
        tally.reads(*format).then_some(usage)
    })
}

/// Parses the counts in headers with these names; `None` without the input, or with an output that is no count. Without
/// a header for the output there is none, as of embeddings. Cached tokens in headers are beside the input.
fn head_usage(headers: &HeaderMap, names: &HeadCounts, tally: &mut UsageTally) -> Option<Usage> {
    let mut get = |name: &str| -> Option<u64> {
        if name.is_empty() {
            return None;
        }
        let count = headers.get(name)?.to_str().ok().and_then(|text| text.trim().parse().ok());
        let count = count.filter(|count| *count <= MAX_COUNT);
        if count.is_none() {
            tally.absurd();
        }
        count
    };
    let (input, output) = (get(names.input), get(names.output));
    let (read, write) = (get(names.cache_read), get(names.cache_write));
    if output.is_none() && headers.contains_key(names.output) {
        return None;
    }
    let usage = Usage::new(input?, output.unwrap_or(0));
    Some(usage.cache_read_beside(read.unwrap_or(0)).cache_write_beside(write.unwrap_or(0)))
}
