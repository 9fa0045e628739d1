//! The estimate of an incoming request as its cost: [`LlmCost`].

use zae_limiter::Cost;
use zae_llm::json::{self, Claim, JsonError};

use super::{Accounting, Usage};
use crate::extract::{Extract, Extracted, Extractor, PeekBody, Peeked};

/// The mark of a request that calls no model, so that nothing in its response is charged: it may repeat the usage of an
/// earlier call, each time that somebody looks after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoCall;

/// The estimated cost of a request to a model, by its body. Made by [`ZaeLimit::llm`](crate::ZaeLimit::llm).
///
/// A request without a body is no call to a model: it costs what the tariff charges for a request. A body that is meant
/// to be JSON and cannot be read, or says two things, is a 400; one that is not is estimated by its text.
///
/// See the [module](super) for an example.
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
            request.extensions_mut().insert(NoCall);
            return Ok(Some(accounting.tariff().cost(&Usage::default())));
        }
        match json::claim(request.headers(), peeked.bytes()) {
            Claim::Encoded => return Err(JsonError::Encoded.into()),
            Claim::Json => {
                if let Some(problem) = peeked.request().problem() {
                    return Err(problem.clone().into());
                }
            }
            Claim::Other => {}
        }
        if let Some(changed) = accounting.rewrite(request.path(), peeked.bytes(), peeked.request()) {
            request.replace_body(changed);
        }
        Ok(Some(accounting.tariff().cost(&accounting.estimate(peeked.request()))))
    }
}
