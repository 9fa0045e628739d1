//! Limits per route: `limit_route`.

use crate::support::{get, text};
use axum::{
    Extension, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, request::Parts},
    routing::get as on_get,
};
use zae_axum::{
    Charge, Cost, EntityId, HeaderDialect, Lease, Limit, LimitError, ResourceName, ZaeLimit, limit_route,
    limit_route_with_state,
};
use zae_testkit::{left_of as left, limiter, rpm};

const PEER: Option<&str> = Some("203.0.113.7:4711");

async fn hello() -> &'static str {
    "hello"
}

#[tokio::test]
async fn the_function_says_who_what_how_much_and_by_which_limits() {
    async fn charge(Path((team, pages)): Path<(String, u64)>) -> Result<Charge, LimitError> {
        Ok(Charge::new()
            .entity(EntityId::new(format!("team:{team}"))?)
            .resource(ResourceName::new("pages")?)
            .cost(Cost::of("pages", pages))
            .limits(Limit::per_minute("pages", 100)?))
    }
    let limiter = limiter([rpm(1)]).await;
    let route = on_get(hello).layer(limit_route(limiter.clone(), charge));
    let app = Router::new().route("/teams/{team}/pages/{count}", route);

    assert_eq!(get(&app, "/teams/red/pages/60", PEER).await.status(), StatusCode::OK);
    assert_eq!(get(&app, "/teams/blue/pages/60", PEER).await.status(), StatusCode::OK);
    let refused = get(&app, "/teams/red/pages/60", PEER).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "12");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"pages\";q=100;w=60");
    assert_eq!(get(&app, "/teams/red/pages/40", PEER).await.status(), StatusCode::OK);
    // Never fits: no wait helps.
    let never = get(&app, "/teams/blue/pages/101", PEER).await;
    assert_eq!(never.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!never.headers().contains_key("retry-after"));
    // The client sent a bad request, and the extractor that rejects it answers.
    assert_eq!(get(&app, "/teams/a%23b/pages/1", PEER).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(get(&app, "/teams/red/pages/-1", PEER).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn its_shutdown_waits_for_what_is_being_served() {
    let limiter = limiter([rpm(10)]).await;
    let layer = limit_route(limiter.clone(), || async { Cost::of("rpm", 1) });
    let app = Router::new().route("/", on_get(hello).layer(layer.clone()));
    let response = get(&app, "/", PEER).await;
    let mut shutdown = std::pin::pin!(layer.shutdown());
    tokio::time::timeout(std::time::Duration::from_millis(50), &mut shutdown).await.expect_err("the body was not read");
    drop(response);
    shutdown.await;
    assert_eq!(left(&limiter, "ip:203.0.113.7", "root", "rpm").await, 9);
}

#[tokio::test]
async fn what_is_not_said_is_as_without_the_function() {
    let limiter = limiter([rpm(10)]).await;
    let app = Router::new()
        .route("/cost/{id}", on_get(hello).layer(limit_route(limiter.clone(), || async { Cost::of("rpm", 3) })))
        .route("/nothing", on_get(hello).layer(limit_route(limiter.clone(), || async { Charge::new() })));
    for path in ["/cost/1", "/cost/2", "/nothing"] {
        assert_eq!(get(&app, path, PEER).await.status(), StatusCode::OK);
    }
    assert_eq!(left(&limiter, "ip:203.0.113.7", "cost/:id", "rpm").await, 4);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "nothing", "rpm").await, 9);
}

#[tokio::test]
async fn some_requests_are_free_and_some_are_answered_by_the_function() {
    async fn charge(headers: HeaderMap) -> Result<Option<Charge>, (StatusCode, &'static str)> {
        match headers.get("x-plan").map(axum::http::HeaderValue::as_bytes) {
            Some(b"free-of-limits") => Ok(None),
            Some(_) => Ok(Some(Charge::new())),
            None => Err((StatusCode::PAYMENT_REQUIRED, "choose a plan")),
        }
    }
    let limiter = limiter([rpm(1)]).await;
    let app = Router::new().route("/", on_get(hello)).layer(limit_route(limiter.clone(), charge));
    let ask = async |plan: Option<&str>| {
        let request = axum::http::Request::get("/");
        let request = plan.into_iter().fold(request, |request, plan| request.header("x-plan", plan));
        tower::ServiceExt::oneshot(app.clone(), request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
    };
    for _ in 0..3 {
        let free = ask(Some("free-of-limits")).await;
        assert_eq!(free.status(), StatusCode::OK);
        assert!(!free.headers().contains_key("ratelimit"));
    }
    let unpaid = ask(None).await;
    assert_eq!((unpaid.status(), text(unpaid).await.as_str()), (StatusCode::PAYMENT_REQUIRED, "choose a plan"));
    assert_eq!(ask(Some("basic")).await.status(), StatusCode::OK);
    assert_eq!(ask(Some("basic")).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_function_reads_state_parts_and_extensions() {
    #[derive(Clone, Debug)]
    struct Prices {
        base: u64,
    }
    #[derive(Clone)]
    struct User(&'static str);
    async fn charge(State(prices): State<Prices>, Extension(user): Extension<User>, parts: Parts) -> Charge {
        let extra = parts.uri.query().map_or(0, |query| query.len() as u64);
        Charge::from(Cost::of("rpm", prices.base + extra)).entity(EntityId::new(user.0).unwrap())
    }
    let limiter = limiter([rpm(100)]).await;
    let layer = limit_route_with_state(limiter.clone(), Prices { base: 7 }, charge)
        .configure(|limit| limit.headers(HeaderDialect::XRateLimit).require_entity());
    let app = Router::new().route("/", on_get(hello)).layer(layer).layer(Extension(User("alice")));
    let response = get(&app, "/?abc", None).await;
    assert_eq!(response.headers()["x-ratelimit-remaining-requests"], "90");
    assert_eq!(left(&limiter, "alice", "root", "rpm").await, 90);
}

#[tokio::test]
async fn inside_a_router_wide_limit_both_count_and_the_handler_has_the_inner_lease() {
    async fn handler(lease: Lease) -> String {
        format!("{:?}", lease.consumed())
    }
    let limiter = limiter([rpm(10), Limit::per_day("rpd", 50).unwrap()]).await;
    let inner = limit_route(limiter.clone(), || async { Cost::of("rpd", 5) });
    let outer = ZaeLimit::new(limiter.clone()).resource(ResourceName::new("all").unwrap()).cost(Cost::of("rpm", 1));
    let app = Router::new().route("/a", on_get(handler).layer(inner)).layer(outer);
    let response = get(&app, "/a", PEER).await;
    assert_eq!(response.headers().get_all("ratelimit").iter().count(), 2, "nested layers add up");
    assert_eq!(text(response).await, "{\"rpd\": 5}");
    assert_eq!(left(&limiter, "ip:203.0.113.7", "a", "rpd").await, 45);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "all", "rpm").await, 9);
}
