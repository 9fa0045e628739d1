//! Every recorded response through the middleware, in every variation: the charge is its usage, kind by kind.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use zae_reqwest::{
    Admission, OutgoingLimit, Pauses,
    llm::{Accounting, Tariff, Weights, estimate},
};
use zae_testkit::recorded::{KINDS, Recorded, Truth};

use crate::bench::Bench;

/// Its estimate is its text and its maximum output.
const REQUEST: &str = r#"{"max_tokens":20,"prompt":"0123456789012345678901234567890123456789"}"#;
const ESTIMATE: [i64; 5] = [10, 0, 0, 20, 0];

/// Answers in place of the network, event by event, with the response in the call's extensions.
struct Answers;

#[async_trait::async_trait]
impl Middleware for Answers {
    async fn handle(
        &self,
        _: Request,
        extensions: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let recorded = Arc::clone(extensions.get::<Arc<Recorded>>().unwrap());
        let events: Vec<_> = recorded.events().map(|event| Ok::<_, std::io::Error>(event.to_vec())).collect();
        let mut response = http::Response::new(Body::wrap_stream(stream::iter(events)));
        *response.status_mut() = recorded.status;
        *response.headers_mut() = recorded.headers.clone();
        Ok(response.into())
    }
}

async fn client() -> ClientWithMiddleware {
    let none = Weights::none();
    let answer = none.output(1.0).reasoning(0.0);
    let weights = [none.uncached(1.0), none.cache_read(1.0), none.cache_write(1.0), answer, none.reasoning(1.0)];
    let tariff =
        KINDS.into_iter().zip(weights).fold(Tariff::builder(), |tariff, (name, weights)| tariff.charge(name, weights));
    let accounting = Accounting::new(tariff.build().unwrap()).estimator(estimate::input_and_max_output(1_000));
    let limits = KINDS.map(|name| zae_reqwest::Limit::per_minute(name, 1_000_000_000).unwrap());
    let limiter = Bench::at_a_standstill().limiter(limits).await;
    let limit = OutgoingLimit::new(&limiter).llm(accounting).pauses(Pauses::Ignored);
    ClientBuilder::new(reqwest::Client::new()).with(limit).with(Answers).build()
}

/// Returns the charge: a call that a provider did not run costs no tokens, one that it may have run its estimate.
fn expected(recorded: &Recorded) -> [i64; 5] {
    match (recorded.truth(), recorded.status.as_u16()) {
        (Truth::Final(usage), _) => usage,
        (Truth::SoFar(usage), _) => std::array::from_fn(|kind| usage[kind].max(ESTIMATE[kind])),
        (Truth::Unknown, 400..=407 | 409..=498 | 500 | 501 | 503 | 529) => [0; 5],
        (Truth::Unknown, _) => ESTIMATE,
    }
}

#[tokio::test]
async fn every_recorded_response_is_charged_right_on_its_way_out() {
    let client = client().await;
    let all: Vec<Arc<Recorded>> = Recorded::all().iter().flat_map(Recorded::variations).map(Arc::new).collect();
    assert!(all.len() >= 2_000, "{}", all.len());
    let calls = all.iter().map(|recorded| {
        let request = client.post("http://provider.test/v1/chat/completions").body(REQUEST);
        let request = request.with_extension(Arc::clone(recorded));
        async move {
            let response = request.send().await.unwrap();
            let admission = response.extensions().get::<Admission>().unwrap().clone();
            let body = response.bytes().await.unwrap();
            assert_eq!(body, recorded.body, "{}", recorded.name);
            let charge = admission.lease().consumed();
            let charge = KINDS.map(|kind| charge.get(kind).copied().unwrap_or(0));
            assert_eq!(charge, expected(recorded), "{}", recorded.name);
        }
    });
    stream::iter(calls).buffer_unordered(128).count().await;
}
