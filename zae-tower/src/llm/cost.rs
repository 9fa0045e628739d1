//! The estimate of an incoming request as its cost: [`LlmCost`].

use zae_limiter::Cost;

use super::{Accounting, Usage};
use crate::extract::{Extract, Extracted, Extractor, PeekBody, Peeked};

/// The estimated cost of a request to a model, by its body. Made by [`ZaeLimit::llm`](crate::ZaeLimit::llm).
///
/// A request without a body is no call to a model: it costs what the tariff charges for a request.
#[derive(Clone, Debug)]
pub struct LlmCost(Accounting);

impl LlmCost {
    pub(crate) fn new(accounting: Accounting) -> Self {
        Self(accounting)
    }
}

impl Extractor for LlmCost {
    type Output = Cost;
}

impl<R: PeekBody + Send> Extract<R> for LlmCost {
    async fn extract(&self, request: &mut R) -> Extracted<Cost> {
        let Self(accounting) = self;
        let peeked = Peeked::of(request, accounting.max_body()).await?;
        if peeked.bytes().is_empty() {
            return Ok(Some(accounting.tariff().cost(&Usage::default())));
        }
        if let Some(changed) = accounting.rewrite(request.path(), peeked.bytes(), peeked.request()) {
            request.replace_body(changed);
        }
        Ok(Some(accounting.tariff().cost(&accounting.estimate(peeked.request()))))
    }
}
