//! The cost of an incoming request, estimated from its body: [`LlmCost`].

use zae_limiter::{Cost, EntityId};
use zae_llm::json::{Claim, JsonError};

use super::{Accounting, CallLabels, Tariff, Usage, UsageChunk};
use crate::extract::{Extract, ExtractError, Extracted, Extractor, PeekBody, Peeked};

/// The tariff of a request, in its extensions from the estimate on.
#[derive(Clone, Debug)]
pub(crate) enum CallTariff {
    /// It does not call a model, so nothing in its response is charged: the response may repeat the usage of an earlier
    /// call each time that a client fetches it.
    NoCall,
    /// It calls a model with these prices.
    Model(Tariff, Box<CallLabels>, UsageChunk),
}

/// The entity of the request, in its extensions while the cost is determined.
#[derive(Clone, Debug)]
pub(crate) struct Asker(pub(crate) EntityId);

/// The estimated cost of a request to a model, by its body. Made by [`ZaeLimit::llm`](crate::ZaeLimit::llm).
///
/// A request without a body is not a call to a model: it costs what the tariff charges for a request. A body that is
/// meant to be JSON but is malformed or ambiguous is a 400; a body that is not JSON is estimated by its text. A model
/// without a price is a 404 if the tariff's [prices](zae_llm::prices) require one.
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
            request.extensions_mut().insert(CallTariff::NoCall);
            return Ok(Some(accounting.tariff().cost(&Usage::default())));
        }
        let (claim, text) = peeked.claim(request.headers());
        match claim {
            Claim::Encoded => return Err(JsonError::Encoded.into()),
            Claim::Json => {
                if let Some(problem) = peeked.request().problem() {
                    return Err(problem.clone().into());
                }
            }
            Claim::Other => {}
        }
        let mut chunk = UsageChunk::Wanted;
        // A coded body is passed on as it came.
        if !peeked.is_coded()
            && let Some(changed) = accounting.rewrite(request.path(), text, peeked.request())
        {
            request.replace_body(changed);
            chunk = UsageChunk::Unwanted;
        }
        let mut call = peeked.request().clone().at(request.path());
        if let Some(Asker(entity)) = request.extensions().get() {
            call = call.of_key(entity.as_str());
        }
        let tariff = accounting.tariff().for_model(call.model());
        let tariff = tariff.map_err(|unpriced| ExtractError::not_found(unpriced.to_string()))?;
        let cost = tariff.cost(&accounting.estimate(&call));
        request.extensions_mut().insert(CallTariff::Model(tariff, Box::new(CallLabels::of(&call)), chunk));
        Ok(Some(cost))
    }
}
