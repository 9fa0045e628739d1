//! Scenarios with a store that refuses or does not answer.

use serde_json::json;
use zae_limiter::{OnUnavailable, RateLimiter};
use zae_testkit::{Fault, limits, rpm};

use super::{
    answers::{failed, granted, refused},
    items::Findings,
    story::{Story, of_u},
};

pub(super) async fn troubles() -> Findings {
    let mut story = Story::of([rpm(60)]).await;
    let name = "sync: a fan-out of set_limits fails (config written, no audit)";
    story.after(name);
    story.begin(name).await;
    let (wire, repository) = story.bench.process().await;
    wire.fail(|operation, _| if operation == "UpdateItem" { Fault::Denied } else { Fault::None });
    let error = repository.set_limits("u", "api", &limits([rpm(30)])).await.unwrap_err();
    story.end(failed(&error)).await;
    story.begin("errors: permission missing, and store away, both in allow mode").await;
    let mut answers = Vec::new();
    for fault in [Fault::Denied, Fault::Refused] {
        let (wire, repository) = story.bench.process().await;
        let limiter = RateLimiter::builder(repository).on_unavailable(OnUnavailable::Allow).build();
        wire.fail(move |_, _| fault);
        answers.push(match limiter.acquire_with(of_u(&[("rpm", 1)])).await {
            Ok(lease) => granted(&lease),
            Err(error) => refused(&error),
        });
    }
    let [denied, away] = answers.try_into().unwrap();
    story.end(json!({"denied": denied, "away": away})).await;
    story.findings
}
