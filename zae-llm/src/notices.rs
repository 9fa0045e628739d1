//! Events and metrics of readings; the [crate's documentation](crate) has the table.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use zae_limiter::ResourceName;

use crate::{ApiFormat, CallLabels, Reading, Unseen, Usage, telemetry::ModelLabels};

/// Bounds the number of logged pairs of cause and resource; resources may be the client's choice.
const MAX_TOLD: usize = 64;

/// The causes and resources that were logged.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Pairs that were logged as warnings.
    told: Mutex<HashSet<(Unseen, ResourceName)>>,
    /// Models that are labels of metrics.
    models: ModelLabels,
}

/// A reading, and what else metrics tell of its call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noticed<'a> {
    pub(crate) reading: &'a Reading,
    /// The format of its usage.
    pub(crate) format: Option<ApiFormat>,
    pub(crate) call: &'a CallLabels,
    pub(crate) micro_dollars: Option<u64>,
}

impl Notices {
    /// Counts the reading of a response and its tokens, and logs a response without usage.
    pub(crate) fn read(&self, noticed: Noticed<'_>, resource: &ResourceName) {
        let Noticed { reading, format, call, micro_dollars } = noticed;
        let (kind, reason) = match reading {
            Reading::Final(_) => ("final", "none"),
            Reading::SoFar(_) => ("so_far", "none"),
            Reading::Unseen(reason) => ("unseen", reason.as_str()),
        };
        metrics::counter!("zae_llm_readings_total", "reading" => kind, "reason" => reason).increment(1);
        if let Some(usage) = reading.usage() {
            tokens(usage);
            self.models.count(call, format, usage, micro_dollars);
            tracing::trace!(%resource, reading = kind, ?usage, "usage read");
        }
        if let Reading::Unseen(reason) = reading {
            self.unseen(*reason, resource);
        }
    }

    /// Logs a response without usage: as a warning once for each reason and resource, if it is unexpected.
    fn unseen(&self, reason: Unseen, resource: &ResourceName) {
        // A failed call has none, and a client may disconnect at will.
        let expected = matches!(reason, Unseen::ErrorStatus | Unseen::ErrorEvent | Unseen::Refused | Unseen::BrokeOff);
        if !expected && self.first(reason, resource) {
            tracing::warn!(%resource, %reason, "a response told no usage, so its estimate stands; said once per \
                resource and reason");
        } else {
            tracing::debug!(%resource, %reason, "a response told no usage, so its estimate stands");
        }
    }

    /// Returns true if the pair has not been logged yet.
    fn first(&self, reason: Unseen, resource: &ResourceName) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MAX_TOLD && told.insert((reason, resource.clone()))
    }
}

/// Counts the tokens of a usage by kind; the kinds do not overlap.
fn tokens(usage: &Usage) {
    let kinds = [
        ("input_uncached", usage.input_uncached),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("output", usage.output),
    ];
    for (kind, tokens) in kinds {
        if tokens > 0 {
            metrics::counter!("zae_llm_tokens_total", "kind" => kind).increment(tokens);
        }
    }
}
