//! A client that cannot be wrapped: the caller takes tokens before the call and settles them after it.

use zae_reqwest::{
    DEFAULT_ENTITY, OutgoingLimit,
    llm::{Accounting, SettleFrom, Tariff, Usage},
};

use crate::{
    MODEL,
    client_reqwest::{Answer, body, text},
    provider::Provider,
};

pub(crate) fn client(limit: &OutgoingLimit, provider: &Provider) -> impl Fn(String) -> Answer + use<> {
    let (limit, client, url) = (limit.clone(), reqwest::Client::new(), provider.chat_url());
    move |question| {
        let (limit, client, url) = (limit.clone(), client.clone(), url.clone());
        Box::pin(async move {
            let tariff = Tariff::openai();
            let body = body(&question);
            let quote = Accounting::new(tariff.clone()).quote(body.to_string().as_bytes());
            let permit = limit.acquire(DEFAULT_ENTITY, MODEL, quote.cost().clone()).await?;

            // Works with any client: if the call fails, the permit is dropped and gives everything back.
            let answer: serde_json::Value =
                client.post(url).json(&body).send().await?.error_for_status()?.json().await?;

            let count = |name: &str| answer["usage"][name].as_u64().unwrap_or_default();
            let used = Usage::new(count("prompt_tokens"), count("completion_tokens"));
            permit.settle_from(&used, &tariff)?.await?;
            Ok(text(&answer))
        })
    }
}
