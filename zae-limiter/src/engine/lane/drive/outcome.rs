//! Reads the outcome of a write, and handles all ends other than success.
//!
//! Every settlement and every ask that leaves a round without success passes through here, so nothing is dropped
//! without being counted: an ask gets its failure, a settlement its outlook, and tokens that may have been taken in
//! vain are added to the metric of under-admission.

use std::sync::Arc;

use crate::{
    bucket::{Amounts, kind::AppliedLimit, limit_set::LimitSet, refund, refund_stamp::RefundMark},
    engine::{
        lane::{
            ask::{Ask, AskOutcome, Failure, Pending, SettleFailure, SettleOutcome},
            drive::{answer::MAX_LOST, request::WriteDraft},
        },
        telemetry::{self, Under},
    },
    error::{RepositoryError, SettleOutlook, StoreError, UnavailableReason},
    store::bucket::WriteOutcome,
};

/// Recognises a refund that was delivered twice: the condition of the second failed because the first succeeded.
pub(super) fn deduplicated(outcome: WriteOutcome, refund: Option<RefundMark>) -> WriteOutcome {
    match outcome {
        WriteOutcome::Lost(Some(image)) if refund.is_some_and(|mark| image.refunds.contains(mark)) => {
            WriteOutcome::Done(image)
        }
        outcome => outcome,
    }
}

/// The label of an outcome in the metric of writes.
pub(super) fn kind(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Done(_) => "done",
        WriteOutcome::Lost(_) | WriteOutcome::Moved => "condition_failed",
        WriteOutcome::NotApplied(_) => "throttled",
        WriteOutcome::Failed(error) => match error.outage() {
            Some(UnavailableReason::DeadlineExceeded) => "timed_out",
            Some(UnavailableReason::Unreachable) => "unreachable",
            _ => "failed",
        },
    }
}

/// Counts the tokens that a write of unknown outcome may have taken in vain.
pub(super) fn unknown<'a>(limit_set: &LimitSet, written: &WriteDraft, amounts: impl Fn(usize) -> Option<&'a Amounts>) {
    for (slot, AppliedLimit { name, .. }) in limit_set.applied.iter().enumerate() {
        let taken: i64 = written.served.iter().filter_map(|index| amounts(*index)).map(|amounts| amounts[slot]).sum();
        let ahead = written.ahead.get(slot).copied().unwrap_or(0);
        telemetry::under(Under::UnknownWrite, name, taken.saturating_add(ahead));
    }
}

/// Creates the error of a round that lost to neighbours too often.
pub(super) fn contended() -> RepositoryError {
    StoreError::contended("UpdateItem", format!("{MAX_LOST} attempts in a row met another writer")).into()
}

/// Notifies the waiters of settlements.
pub(in crate::engine::lane) fn finish(pending: Vec<Pending>, result: &SettleOutcome) {
    for mut settlement in pending {
        settlement.tell(result.clone());
    }
}

/// Fails all given asks and settlements with an error.
pub(in crate::engine::lane) fn fail(asks: Vec<Ask>, pending: Vec<Pending>, error: Arc<RepositoryError>) {
    lose(pending, &error);
    let failure = match error.outage() {
        Some(reason) => Failure::Unavailable(reason, Some(error)),
        None => Failure::Hard(error),
    };
    for ask in asks {
        let _ = ask.reply.send(AskOutcome::Failed(failure.clone()));
    }
}

/// Abandons settlements, and counts them.
pub(in crate::engine::lane) fn lose(pending: Vec<Pending>, error: &Arc<RepositoryError>) {
    if pending.is_empty() {
        return;
    }
    telemetry::settlements_lost(pending.len(), error);
    for (name, amount) in refund::sums(pending.iter().flat_map(|pending| &pending.amounts)) {
        telemetry::under(Under::LostRefund, &name, -amount);
    }
    finish(pending, &Err(SettleFailure { source: Arc::clone(error), outlook: SettleOutlook::Lost }));
}
