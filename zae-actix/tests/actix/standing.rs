//! A route for the caller's own limits: `standing`.

use actix_web::{
    App,
    http::Method,
    test::{TestRequest, init_service},
    web,
};
use serde_json::{Value, json};
use zae_actix::{Cost, EntityId, ZaeLimit, entity, standing};
use zae_testkit::{limiter, rpm};

use crate::ask::ask;

#[actix_web::test]
async fn a_caller_sees_its_own_limits_and_nobody_elses() {
    let limiter = limiter([rpm(60)]).await;
    // A closure sees actix-web's own request here, too.
    let limit = ZaeLimit::new(limiter.clone()).entity(entity::from_fn(|request| {
        let key = request.headers().get("x-key")?;
        Some(EntityId::new(key.to_str().unwrap_or_default()))
    }));
    let app = init_service(
        App::new()
            .route("/limits", standing(&limit))
            .service(web::resource("/chat").wrap(limit).to(|| async { "hello" })),
    )
    .await;
    for (key, tokens) in [("key-1", 40), ("key-2", 60)] {
        limiter.acquire(key, "chat", Cost::of("rpm", tokens)).await.unwrap().commit().await.unwrap();
    }
    let request = |key: &str| TestRequest::get().uri("/limits").append_header(("x-key", key));

    let answer = ask(&app, request("key-1")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let [limit] = body["limits"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!((&body["entity"], &limit["resource"], &limit["limit"]), (&json!("key-1"), &json!("chat"), &json!(60)));
    assert!((20..25).contains(&limit["remaining"].as_i64().unwrap()), "{limit}");
    assert_eq!(ask(&app, TestRequest::get().uri("/limits")).await.status, 401);
    assert_eq!(ask(&app, request("key#1")).await.status, 400);
    assert_ne!(ask(&app, request("key-1").method(Method::POST)).await.status, 200);
}
