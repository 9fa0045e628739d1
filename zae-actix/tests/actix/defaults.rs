//! The defaults of `ZaeLimit::new` for entity, resource and cost.

use actix_web::{
    App, HttpMessage,
    dev::Service,
    test::{TestRequest, init_service},
    web,
};
use zae_actix::{EntityId, PeerIp, ZaeLimit, entity, resource};

use crate::ask::{ALICE, ask, get};
use zae_testkit::{left_of as left, limiter, rpm};

async fn hello() -> &'static str {
    "hello"
}

#[actix_web::test]
async fn each_peer_has_limits_of_its_own_and_refusals_are_complete() {
    let limiter = limiter([rpm(2)]).await;
    let app = App::new().wrap(ZaeLimit::new(limiter.clone())).route("/users/{id}", web::get().to(hello));
    let app = init_service(app).await;

    let first = get(&app, "/users/1", ALICE).await;
    assert_eq!((first.status, first.body.as_str()), (200, "hello"));
    assert_eq!(first.header("ratelimit-policy"), Some("\"rpm\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"rpm\";r=1;t=30"));
    // Another port, another id: the same client on the same route.
    assert_eq!(get(&app, "/users/2", "203.0.113.7:9").await.status, 200);

    let refused = get(&app, "/users/3", ALICE).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("ratelimit"), Some("\"rpm\";r=0;t=30"));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["violated-policies"], serde_json::json!(["rpm"]));
    assert!(!refused.body.contains("203.0.113"), "{}", refused.body);

    assert_eq!(get(&app, "/users/3", "203.0.113.8:1").await.status, 200);
    assert_eq!(left(&limiter, "ip:203.0.113.8", "users/:id", "rpm").await, 1);
}

#[actix_web::test]
async fn who_is_an_extension_before_the_peer_before_anonymous() {
    let limiter = limiter([rpm(10)]).await;
    let app = App::new()
        .wrap(ZaeLimit::new(limiter.clone()))
        .wrap_fn(|request, next| {
            if let Some(name) = request.headers().get("x-login").and_then(|name| name.to_str().ok()) {
                request.extensions_mut().insert(EntityId::new(name).unwrap());
            }
            if request.headers().contains_key("x-tunnel") {
                request.extensions_mut().insert(PeerIp("192.0.2.1".parse().unwrap()));
            }
            next.call(request)
        })
        .route("/a", web::get().to(hello));
    let app = init_service(app).await;
    let alice = || TestRequest::get().uri("/a").peer_addr(ALICE.parse().unwrap());
    let forwarded = ("x-forwarded-for", "198.51.100.1");
    for request in [
        alice().insert_header(("x-login", "alice")).insert_header(forwarded),
        alice().insert_header(forwarded),
        alice().insert_header(("x-tunnel", "yes")),
        TestRequest::get().uri("/a").insert_header(forwarded),
        TestRequest::get().uri("/a").peer_addr("[2001:db8:1:2:3::4]:80".parse().unwrap()),
    ] {
        assert_eq!(ask(&app, request).await.status, 200);
    }
    for entity in ["alice", "ip:203.0.113.7", "ip:192.0.2.1", "anonymous", "ip:2001:db8:1:2::"] {
        assert_eq!(left(&limiter, entity, "a", "rpm").await, 9, "{entity}");
    }
    assert_eq!(left(&limiter, "ip:198.51.100.1", "a", "rpm").await, 10, "nobody vouches for that");
}

#[actix_web::test]
async fn what_is_the_route_and_never_the_path() {
    let limiter = limiter([rpm(10)]).await;
    let app = App::new()
        .wrap(ZaeLimit::new(limiter.clone()))
        .route("/", web::get().to(hello))
        .service(web::scope("/v1").route("/users/{id}/{rest:.*}", web::get().to(hello)))
        .default_service(web::to(hello));
    let app = init_service(app).await;
    for path in ["/", "/v1/users/1/a/b", "/v1/users/2/c", "/no-such-path", "/another/%00/path"] {
        assert_eq!(get(&app, path, ALICE).await.status, 200, "{path}");
    }
    let route = resource::route_name("/v1/users/{id}/{rest:.*}").unwrap();
    for (resource, expected) in [("root", 9), (route.as_str(), 8), ("default", 8)] {
        assert_eq!(left(&limiter, "ip:203.0.113.7", resource, "rpm").await, expected, "{resource}");
    }
}

/// Scopes and resources may be limited by themselves, and each level adds to the headers.
#[actix_web::test]
async fn scopes_and_resources_have_limits_of_their_own() {
    let (outer, inner) = (limiter([rpm(3)]).await, limiter([zae_testkit::tpm(1_000)]).await);
    let tokens = ZaeLimit::new(inner.clone()).cost(zae_actix::Cost::of("tpm", 400));
    let app = App::new()
        .wrap(ZaeLimit::new(outer.clone()))
        .service(web::scope("/llm").wrap(tokens).route("/chat", web::get().to(hello)))
        .route("/other", web::get().to(hello));
    let app = init_service(app).await;

    let both = get(&app, "/llm/chat", ALICE).await;
    assert_eq!(both.headers["ratelimit-policy"], ["\"tpm\";q=1000;qu=\"tokens\";w=60", "\"rpm\";q=3;w=60"]);
    assert_eq!(get(&app, "/other", ALICE).await.header("ratelimit-policy"), Some("\"rpm\";q=3;w=60"));
    assert_eq!(get(&app, "/llm/chat", ALICE).await.status, 200);
    let refused = get(&app, "/llm/chat", ALICE).await;
    assert_eq!((refused.status, refused.headers["ratelimit"].len()), (429, 2));
    assert_eq!(left(&inner, "ip:203.0.113.7", "llm/chat", "tpm").await, 200);
    assert_eq!(
        left(&outer, "ip:203.0.113.7", "llm/chat", "rpm").await,
        0,
        "the outer limit counts what the inner refused"
    );
}

#[actix_web::test]
async fn clients_behind_proxies_count_by_themselves() {
    let limiter = limiter([rpm(10)]).await;
    let limit = ZaeLimit::new(limiter.clone()).entity(entity::client_ip("10.0.0.0/8".parse().unwrap()));
    let app = init_service(App::new().wrap(limit).route("/a", web::get().to(hello))).await;
    for (peer, forwarded, status) in
        [("10.0.0.1:1", "1.1.1.1, 203.0.113.7", 200), ("203.0.113.8:1", "1.1.1.1", 200), ("10.0.0.1:1", "garbage", 400)]
    {
        let request = TestRequest::get().uri("/a").peer_addr(peer.parse().unwrap());
        let answer = ask(&app, request.insert_header(("x-forwarded-for", forwarded))).await;
        assert_eq!(answer.status, status, "{peer} {forwarded}");
    }
    for (entity, expected) in [("ip:203.0.113.7", 9), ("ip:203.0.113.8", 9), ("ip:1.1.1.1", 10), ("ip:10.0.0.1", 10)] {
        assert_eq!(left(&limiter, entity, "a", "rpm").await, expected, "{entity}");
    }
}
