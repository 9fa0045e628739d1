//! The defaults of `ZaeLimit::new` for entity, resource and cost.

use std::net::SocketAddr;

use crate::support::{get, text};
use axum::{Router, extract::connect_info::MockConnectInfo, http::StatusCode, routing::get as on_get};
use zae_axum::{EntityId, ZaeLimit, entity, resource, skip};
use zae_testkit::{left_of as left, limiter, rpm};

const ALICE: Option<&str> = Some("203.0.113.7:4711");
const BOB: Option<&str> = Some("203.0.113.8:4711");

async fn hello() -> &'static str {
    "hello"
}

#[tokio::test]
async fn each_peer_has_limits_of_its_own_and_refusals_are_complete() {
    let limiter = limiter([rpm(2)]).await;
    let app = Router::new().route("/users/{id}", on_get(hello)).layer(ZaeLimit::new(limiter.clone()));

    let first = get(&app, "/users/1", ALICE).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["ratelimit-policy"], "\"rpm\";q=2;w=60");
    assert_eq!(first.headers()["ratelimit"], "\"rpm\";r=1;t=30");
    // Another port, another id: the same client on the same route.
    assert_eq!(get(&app, "/users/2", Some("203.0.113.7:9")).await.status(), StatusCode::OK);

    let refused = get(&app, "/users/3", ALICE).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // 30 s and the millisecond that the bucket adds, rounded up.
    assert_eq!(refused.headers()["retry-after"], "30");
    assert_eq!(refused.headers()["ratelimit"], "\"rpm\";r=0;t=30");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    let body = text(refused).await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["rpm"]));
    assert_eq!(problem["limits"][0]["retry-after-ms"], 30_000);
    assert!(!body.contains("203.0.113"), "{body}");

    assert_eq!(get(&app, "/users/3", BOB).await.status(), StatusCode::OK);
    assert_eq!(left(&limiter, "ip:203.0.113.8", "users/:id", "rpm").await, 1);
}

#[tokio::test]
async fn who_is_an_extension_before_the_peer_before_anonymous() {
    let limiter = limiter([rpm(10)]).await;
    let layer = ZaeLimit::new(limiter.clone());
    let plain = Router::new().route("/a", on_get(hello)).layer(layer.clone());
    let known = plain.clone().layer(axum::Extension(EntityId::new("alice").unwrap()));
    let mocked = plain.clone().layer(MockConnectInfo("[2001:db8:1:2:3::4]:80".parse::<SocketAddr>().unwrap()));

    for (app, peer) in [(&known, ALICE), (&known, ALICE), (&plain, ALICE), (&plain, None), (&mocked, None)] {
        assert_eq!(get(app, "/a", peer).await.status(), StatusCode::OK);
    }
    for (entity, expected) in [("alice", 8), ("ip:203.0.113.7", 9), ("anonymous", 9), ("ip:2001:db8:1:2::", 9)] {
        assert_eq!(left(&limiter, entity, "a", "rpm").await, expected, "{entity}");
    }
}

#[tokio::test]
async fn what_is_the_route_and_never_the_path() {
    let limiter = limiter([rpm(10)]).await;
    let layer = ZaeLimit::new(limiter.clone());
    let nested = Router::new().route("/users/{id}/{*rest}", on_get(hello));
    let app = Router::new().route("/", on_get(hello)).nest("/v1", nested).fallback(hello).layer(layer);

    for path in ["/", "/v1/users/1/a/b", "/v1/users/2/c", "/no-such-path", "/another/%00/path"] {
        assert_eq!(get(&app, path, ALICE).await.status(), StatusCode::OK, "{path}");
    }
    let route = resource::route_name("/v1/users/{id}/{*rest}").unwrap();
    for (resource, expected) in [("root", 9), (route.as_str(), 8), ("default", 8)] {
        assert_eq!(left(&limiter, "ip:203.0.113.7", resource, "rpm").await, expected, "{resource}");
    }
}

#[tokio::test]
async fn a_route_layer_leaves_unmatched_paths_alone() {
    let limiter = limiter([rpm(1)]).await;
    let app = Router::new().route("/a", on_get(hello)).route_layer(ZaeLimit::new(limiter));
    for _ in 0..3 {
        assert_eq!(get(&app, "/nothing", ALICE).await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(get(&app, "/a", ALICE).await.status(), StatusCode::OK);
    assert_eq!(get(&app, "/a", ALICE).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn clients_behind_proxies_count_by_themselves() {
    let limiter = limiter([rpm(10)]).await;
    let proxies = "10.0.0.0/8".parse().unwrap();
    let layer = ZaeLimit::new(limiter.clone()).entity(entity::client_ip(proxies)).skip(skip::cors_preflight);
    let app = Router::new().route("/a", on_get(hello)).layer(layer);
    let ask = async |peer: &str, forwarded: &str| {
        let mut request = axum::http::Request::get("/a")
            .header("x-forwarded-for", forwarded)
            .body(axum::body::Body::empty())
            .unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        tower::ServiceExt::oneshot(app.clone(), request).await.unwrap().status()
    };
    assert_eq!(ask("10.0.0.1:1", "1.1.1.1, 203.0.113.7").await, StatusCode::OK);
    assert_eq!(ask("203.0.113.8:1", "1.1.1.1").await, StatusCode::OK);
    assert_eq!(ask("10.0.0.1:1", "garbage").await, StatusCode::BAD_REQUEST);
    for (entity, expected) in [("ip:203.0.113.7", 9), ("ip:203.0.113.8", 9), ("ip:1.1.1.1", 10), ("ip:10.0.0.1", 10)] {
        assert_eq!(left(&limiter, entity, "a", "rpm").await, expected, "{entity}");
    }
}

#[tokio::test]
async fn a_limiter_that_shut_down_answers_503() {
    let limiter = limiter([rpm(10)]).await;
    limiter.shutdown().await;
    let app = Router::new().route("/a", on_get(hello)).layer(ZaeLimit::new(limiter));
    let refused = get(&app, "/a", ALICE).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
}

/// An application that stores its layer in a field, as users do.
struct Gateway {
    limit: ZaeLimit,
}

#[tokio::test]
async fn the_layer_has_a_name_that_a_field_can_have() {
    let repository = limiter([rpm(5)]).await.repository().clone();
    repository.delete_system_defaults().await.unwrap();
    let gateway = Gateway { limit: ZaeLimit::new(repository).default_limits(rpm(1)) };
    let app = Router::new().route("/a", on_get(hello)).layer(gateway.limit.clone());
    assert_eq!(get(&app, "/a", ALICE).await.status(), StatusCode::OK);
    assert_eq!(get(&app, "/a", ALICE).await.status(), StatusCode::TOO_MANY_REQUESTS);
    gateway.limit.shutdown().await;
}
