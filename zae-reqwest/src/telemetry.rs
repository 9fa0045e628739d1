//! Metrics and events of settlements; the crate's documentation has the table.

use zae_tower::{adapter::Settled, settle::End};

/// Records a settlement.
pub(crate) fn settled(end: End, settled: Settled) {
    let end = match end {
        End::ServiceFailed => "never_sent",
        end => end.as_str(),
    };
    let verdict = match settled {
        Settled::Refunded => "refund",
        Settled::Refused => "refused",
        Settled::Already => "by_caller",
        _ => "keep",
    };
    metrics::counter!("zae_client_settlements_total", "end" => end, "verdict" => verdict).increment(1);
    tracing::trace!(end, verdict, "call settled");
}
