//! Handlers' access to the lease, the decision and the limiter's errors.

use crate::support::{get, text};
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get as on_get};
use zae_axum::{AcquireError, Cost, EntityId, Lease, LimitError, Outcome, RateLimited, RateLimiter, ZaeLimit};
use zae_testkit::{left_of as left, limiter, rpm, tpm};

const PEER: Option<&str> = Some("203.0.113.7:4711");

fn estimate() -> Cost {
    Cost::of("rpm", 1).and("tpm", 500)
}

#[tokio::test]
async fn a_handler_corrects_the_estimate() {
    async fn chat(lease: Lease) -> Result<String, LimitError> {
        lease.adjust("tpm", 230)?;
        lease.release("rpm", 1)?;
        Ok(format!("{:?}", lease.consumed()))
    }
    let limiter = limiter([rpm(10), tpm(1_000)]).await;
    let app = Router::new().route("/chat", on_get(chat)).layer(ZaeLimit::new(limiter.clone()).cost(estimate()));
    assert_eq!(text(get(&app, "/chat", PEER).await).await, "{\"tpm\": 730}");
    assert_eq!(left(&limiter, "ip:203.0.113.7", "chat", "tpm").await, 270);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "chat", "rpm").await, 10);
}

#[tokio::test]
async fn a_handler_that_wants_more_than_there_is_answers_429() {
    async fn chat(lease: Lease) -> Result<&'static str, LimitError> {
        lease.consume(Cost::of("tpm", 400)).await?;
        lease.consume(Cost::of("tpm", 400)).await?;
        Ok("never")
    }
    let limiter = limiter([rpm(10), tpm(1_000)]).await;
    let app = Router::new().route("/chat", on_get(chat)).layer(ZaeLimit::new(limiter).cost(estimate()));
    let response = get(&app, "/chat", PEER).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "18", "(400 − 100) tokens at 1000 a minute");
    assert!(text(response).await.contains("\"violated-policies\":[\"tpm\"]"));
}

#[tokio::test]
async fn an_unknown_limit_is_the_programs_fault() {
    async fn chat(lease: Lease) -> Result<(), LimitError> {
        Ok(lease.adjust("secret-name", 1)?)
    }
    let app = Router::new().route("/chat", on_get(chat)).layer(ZaeLimit::new(limiter([rpm(10)]).await));
    let response = get(&app, "/chat", PEER).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["ratelimit"], "\"rpm\";r=9;t=6", "the layer had let it through");
    let body = text(response).await;
    assert!(!body.contains("secret-name") && !body.contains("rpm"), "{body}");
}

#[tokio::test]
async fn the_decision_tells_what_is_left() {
    async fn handler(limited: RateLimited) -> String {
        assert!(matches!(limited.outcome(), Outcome::Admitted(_)));
        assert_eq!(limited.entity(), Some(&EntityId::new("ip:203.0.113.7").unwrap()));
        format!("{:?} {:?}", limited.remaining("rpm"), limited.remaining("tpm"))
    }
    let app = Router::new().route("/", on_get(handler)).layer(ZaeLimit::new(limiter([rpm(10)]).await));
    assert_eq!(text(get(&app, "/", PEER).await).await, "Some(9) None");
}

#[tokio::test]
async fn skipped_and_shadowed_requests_have_a_lease_that_holds_nothing() {
    async fn handler(lease: Lease, held: Option<Lease>) -> Result<String, LimitError> {
        lease.adjust("whatever", 1)?;
        lease.consume(Cost::of("whatever", 1)).await?;
        Ok(format!("{} {}", lease.handle().is_some(), held.is_some()))
    }
    let limiter = limiter([rpm(1)]).await;
    let skipping = ZaeLimit::new(limiter.clone()).skip(|_| true);
    let app = Router::new().route("/", on_get(handler)).layer(skipping);
    assert_eq!(text(get(&app, "/", PEER).await).await, "false false");
    let shadow = ZaeLimit::new(limiter).cost(Cost::of("rpm", 2)).shadow();
    let app = Router::new().route("/", on_get(handler)).layer(shadow);
    assert_eq!(text(get(&app, "/", PEER).await).await, "false false");
}

#[tokio::test]
async fn without_a_layer_extractors_reject_and_options_are_none() {
    async fn optional(lease: Option<Lease>, limited: Option<RateLimited>) -> String {
        format!("{} {}", lease.is_some(), limited.is_some())
    }
    let app: Router = Router::new()
        .route("/lease", on_get(|_: Lease| async {}))
        .route("/limited", on_get(|_: RateLimited| async {}))
        .route("/optional", on_get(optional));
    for path in ["/lease", "/limited"] {
        let response = get(&app, path, PEER).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(!text(response).await.contains("layer"), "what is wrong is for the log");
    }
    assert_eq!(text(get(&app, "/optional", PEER).await).await, "false false");
}

#[tokio::test]
async fn a_handler_with_a_limiter_of_its_own_answers_as_the_layer_does() {
    async fn mail(State(limiter): State<RateLimiter>) -> Result<&'static str, LimitError> {
        let lease = limiter.acquire("tenant-1", "mail", Cost::of("rpm", 1)).await?;
        lease.commit().await?;
        Ok("sent")
    }
    let app = Router::new().route("/mail", on_get(mail)).with_state(limiter([rpm(1)]).await);
    assert_eq!(get(&app, "/mail", PEER).await.status(), StatusCode::OK);
    let refused = get(&app, "/mail", PEER).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "60");
    assert_eq!(refused.headers()["ratelimit"], "\"rpm\";r=0;t=60");
    assert!(!text(refused).await.contains("tenant-1"));
}

#[tokio::test]
async fn every_error_has_its_status() {
    let limiter = limiter([rpm(10)]).await;
    let ask = async |cost| -> AcquireError { limiter.acquire("a", "b", cost).await.unwrap_err() };
    let never = LimitError::from(ask(Cost::of("rpm", 11)).await).into_response();
    assert_eq!(never.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!never.headers().contains_key("retry-after"), "waiting does not help");
    assert_eq!(never.headers()["ratelimit"], "\"rpm\";r=10;t=0");

    let invalid = LimitError::from(EntityId::new("a#b").unwrap_err()).into_response();
    assert_eq!(invalid.status(), StatusCode::BAD_REQUEST);
    let unknown = LimitError::from(ask(Cost::of("tpm", 1)).await).into_response();
    assert_eq!(unknown.status(), StatusCode::INTERNAL_SERVER_ERROR);
    limiter.shutdown().await;
    let down = LimitError::from(ask(Cost::of("rpm", 1)).await).into_response();
    assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(down.headers()["retry-after"], "1");
}
