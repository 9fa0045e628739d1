//! `async-openai`: the limit makes a service for `with_http_service`. The client's own retry layer goes around it.

use async_openai::{
    Client,
    config::OpenAIConfig,
    middleware::retry::OpenAIRetryLayer,
    types::chat::{ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs},
};
use tower::Layer;
use zae_reqwest::OutgoingLimit;

use crate::{MODEL, client_reqwest::Answer, provider::Provider};

pub(crate) fn client(limit: &OutgoingLimit, provider: &Provider) -> impl Fn(String) -> Answer + use<> {
    let service = OpenAIRetryLayer::default().layer(limit.openai(reqwest::Client::new()));
    let config = OpenAIConfig::new().with_api_base(provider.base()).with_api_key("none");
    let client = Client::with_config(config).with_http_service(service);
    move |question| {
        let client = client.clone();
        Box::pin(async move {
            let message = ChatCompletionRequestUserMessageArgs::default().content(question).build()?;
            let request = CreateChatCompletionRequestArgs::default()
                .model(MODEL)
                .max_completion_tokens(50_u32)
                .messages([message.into()])
                .build()?;
            let mut answer = client.chat().create(request).await?;
            Ok(answer.choices.pop().and_then(|choice| choice.message.content).unwrap_or_default())
        })
    }
}
