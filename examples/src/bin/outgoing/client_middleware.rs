//! `reqwest-middleware`: the limit is a middleware. A retry middleware would go before it, so that each attempt waits
//! its turn and is charged.

use reqwest_middleware::ClientBuilder;
use zae_reqwest::OutgoingLimit;

use crate::{
    client_reqwest::{Answer, body, text},
    provider::Provider,
};

pub(crate) fn client(limit: &OutgoingLimit, provider: &Provider) -> impl Fn(String) -> Answer + use<> {
    let client = ClientBuilder::new(reqwest::Client::new()).with(limit.clone()).build();
    let url = provider.chat_url();
    move |question| {
        let request = client.post(&url).json(&body(&question));
        Box::pin(async move { Ok(text(&request.send().await?.error_for_status()?.json().await?)) })
    }
}
