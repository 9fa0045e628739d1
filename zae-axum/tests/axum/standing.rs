//! A route for the caller's own limits: `standing`.

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    routing::get as on_get,
};
use serde_json::{Value, json};
use tower::ServiceExt;
use zae_axum::{Cost, ZaeLimit, entity, standing};
use zae_testkit::{limiter, rpm};

use crate::support::text;

async fn ask(app: &Router, method: &str, key: Option<&str>) -> Response<Body> {
    let mut request = Request::builder().method(method).uri("/limits");
    if let Some(key) = key {
        request = request.header("x-key", key);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_caller_sees_its_own_limits_and_nobody_elses() {
    let limiter = limiter([rpm(60)]).await;
    let limit = ZaeLimit::new(limiter.clone()).entity(entity::header("x-key"));
    let app = Router::new()
        .route("/chat", on_get(|| async { "hello" }).layer(limit.clone()))
        .route("/limits", standing(&limit));
    for (key, tokens) in [("key-1", 40), ("key-2", 60)] {
        limiter.acquire(key, "chat", Cost::of("rpm", tokens)).await.unwrap().commit().await.unwrap();
    }

    let response = ask(&app, "GET", Some("key-1")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(answer["entity"], "key-1");
    assert_eq!(answer["usage"], json!([]), "no aggregator has counted anything");
    let [limit] = answer["limits"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    let (remaining, reset) = (limit["remaining"].as_i64().unwrap(), limit["reset_seconds"].as_u64().unwrap());
    // The clock is the real one: a token comes back each second.
    assert!((20..25).contains(&remaining) && (35..=40).contains(&reset), "{limit}");
    assert_eq!((&limit["resource"], &limit["name"], &limit["limit"]), (&json!("chat"), &json!("rpm"), &json!(60)));
    let schema: Value = serde_json::from_str(zae_axum::standing::SCHEMA).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&answer), names(&schema["properties"]));
    assert_eq!(names(limit), names(&schema["$defs"]["limit"]["properties"]));

    // An entity without buckets has nothing to show, and one that is not named is no entity.
    let fresh: Value = serde_json::from_str(&text(ask(&app, "GET", Some("key-3")).await).await).unwrap();
    assert_eq!((&fresh["entity"], &fresh["limits"]), (&json!("key-3"), &json!([])));
    assert_eq!(ask(&app, "GET", None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&app, "GET", Some("key#1")).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(&app, "POST", Some("key-1")).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}
