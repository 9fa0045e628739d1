//! The actix-web and axum adapters give the same answers to the same requests under the same settings.

use std::{collections::BTreeMap, net::SocketAddr};

use actix_web::{
    App, HttpResponse,
    http::StatusCode,
    test::{TestRequest, init_service},
    web,
};
use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use http_body_util::BodyExt;
use tower::ServiceExt;
use zae_actix::{Cost, HeaderDialect, Limit, Limits, ResourceName, cost, entity, resource, settle};

use crate::ask::{ALICE, Answer, ask};
use zae_testkit::{left_of as left, limiter, rpm, tpm};

/// Returns the status that the path names, for both handlers.
fn status_of(path: &str) -> u16 {
    path.rsplit('/').next().and_then(|last| last.parse().ok()).filter(|status| *status >= 200).unwrap_or(200)
}

async fn ask_axum(app: &Router, path: &str, header: (&'static str, &'static str)) -> Answer {
    let mut request = Request::post(path).header(header.0, header.1).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(ALICE.parse::<SocketAddr>().unwrap()));
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in response.headers() {
        // axum's routers count bodies, actix-web's dispatcher does.
        if name != "content-length" {
            headers.entry(name.to_string()).or_default().push(value.to_str().unwrap().to_owned());
        }
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn post(path: &str, header: (&'static str, &'static str)) -> TestRequest {
    TestRequest::post().uri(path).insert_header(header).peer_addr(ALICE.parse().unwrap())
}

/// Sends the same requests through both adapters under the same settings, and compares everything that the client sees
/// and the tokens of `$limit` that are left.
macro_rules! same {
    ($what:literal, [$($limits:expr),*], |$zae:ident| $settings:expr, [$($path:literal $header:expr),* $(,)?]) => {{
        let (ours, theirs) = (limiter([$($limits),*]).await, limiter([$($limits),*]).await);
        let axum = {
            let $zae = zae_axum::ZaeLimit::new(theirs.clone());
            let handler = |request: Request<Body>| async move {
                let status = status_of(request.uri().path());
                let location = [("location", "/elsewhere")];
                (axum::http::StatusCode::from_u16(status).unwrap(), location, "hello")
            };
            Router::new()
                .route("/users/{id}", axum::routing::any(handler))
                .fallback(handler)
                .layer($settings)
        };
        let actix = {
            let $zae = zae_actix::ZaeLimit::new(ours.clone());
            let handler = |request: actix_web::HttpRequest| async move {
                HttpResponse::build(StatusCode::from_u16(status_of(request.path())).unwrap())
                    .insert_header(("location", "/elsewhere"))
                    .insert_header(("content-type", "text/plain; charset=utf-8"))
                    .body("hello")
            };
            App::new().wrap($settings).route("/users/{id}", web::to(handler)).default_service(web::to(handler))
        };
        let actix = init_service(actix).await;
        let mut statuses = Vec::new();
        for (path, header) in [$(($path, $header)),*] {
            let (actix, axum) = (ask(&actix, post(path, header)).await, ask_axum(&axum, path, header).await);
            assert_eq!(actix, axum, "{}: {path}", $what);
            statuses.push(actix.status);
        }
        for limit in [$($limits),*] {
            for resource in ["users/:id", "default"] {
                let name = limit.name().as_str();
                let (ours, theirs) = (
                    left(&ours, "ip:203.0.113.7", resource, name).await,
                    left(&theirs, "ip:203.0.113.7", resource, name).await,
                );
                assert_eq!(ours, theirs, "{}: {resource} {name}", $what);
            }
        }
        statuses
    }};
}

const PLAIN: (&str, &str) = ("x-test", "yes");
const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");

#[actix_web::test]
async fn decisions() {
    let seen =
        same!("defaults", [rpm(2)], |zae| zae, ["/users/1" PLAIN, "/users/200" PLAIN, "/users/3" PLAIN, "/else" PLAIN]);
    assert_eq!(seen, [200, 200, 429, 200]);
    let seen = same!("gRPC", [rpm(1)], |zae| zae, ["/users/1" GRPC, "/users/1" GRPC]);
    assert_eq!(seen, [200, 200]);
    let seen = same!("never fits", [tpm(10)], |zae| zae.cost(Cost::of("tpm", 11)), ["/users/1" PLAIN]);
    assert_eq!(seen, [429]);
    let seen = same!("a limit that is not there", [tpm(10)], |zae| zae, ["/users/1" PLAIN]);
    assert_eq!(seen, [500]);
    let by_header = || cost::header("x-tokens", |tokens| Cost::of("tpm", tokens));
    let seen = same!(
        "a cost of the client's",
        [tpm(10)],
        |zae| zae.cost(by_header()),
        [
            "/users/1"("x-tokens", "4"),
            "/users/1"("x-tokens", "-1"),
            "/users/1"("x-tokens", "7"),
            "/users/1"("x-tokens", "99")
        ]
    );
    assert_eq!(seen, [200, 400, 429, 429]);
    let seen = same!("an entity of a proxy's", [rpm(10)], |zae| zae.entity(entity::header("x-user")).require_entity(), [
        "/users/1" ("x-user", "bob"), "/users/1" ("x-user", "a#b"), "/users/1" PLAIN
    ]);
    assert_eq!(seen, [200, 400, 401]);
    let fixed = || resource::fixed(ResourceName::new("one").unwrap());
    let seen = same!("one resource", [rpm(1)], |zae| zae.resource(fixed()), ["/users/1" PLAIN, "/other" PLAIN]);
    assert_eq!(seen, [200, 429]);
    let own = || Limits::from(Limit::per_minute("own", 1).unwrap());
    let seen = same!("limits of the program", [rpm(9)], |zae| zae.limits(own()).cost(Cost::of("own", 1)), [
        "/users/1" PLAIN, "/users/2" PLAIN
    ]);
    assert_eq!(seen, [200, 429]);
    let seen = same!("shadow", [rpm(1)], |zae| zae.shadow(), ["/users/1" PLAIN, "/users/1" PLAIN]);
    assert_eq!(seen, [200, 200]);
    let seen =
        same!("skipped", [rpm(1)], |zae| zae.skip(|request| request.path() == "/free"), ["/free" PLAIN, "/free" PLAIN]);
    assert_eq!(seen, [200, 200]);
}

#[actix_web::test]
async fn headers() {
    for dialect in [HeaderDialect::Draft11, HeaderDialect::Draft07, HeaderDialect::XRateLimit, HeaderDialect::Off] {
        let cost = || Cost::of("rpm", 1).and("tpm", 40);
        let seen = same!("dialects", [rpm(10), tpm(100)], |zae| zae.headers(dialect).cost(cost()), [
            "/users/1" PLAIN, "/users/404" PLAIN, "/users/303" PLAIN, "/users/1" GRPC
        ]);
        assert_eq!(seen, [200, 404, 429, 200], "{dialect:?}");
        let seen = same!("redirects", [rpm(10)], |zae| zae.headers(dialect), ["/users/303" PLAIN]);
        assert_eq!(seen, [303], "{dialect:?}");
    }
}

#[actix_web::test]
async fn settlement() {
    let server_errors = || settle::refund_on(|status| status.is_server_error());
    let seen = same!("server errors are free", [rpm(2)], |zae| zae.settle(server_errors()), [
        "/users/500" PLAIN, "/users/1" PLAIN, "/users/404" PLAIN
    ]);
    assert_eq!(seen[0], 500);
    let seen = same!("the handler commits", [rpm(10)], |zae| zae.settle(settle::by_handler()), ["/users/1" PLAIN]);
    assert_eq!(seen, [200]);
}

#[actix_web::test]
async fn a_limiter_that_has_shut_down() {
    let (ours, theirs) = (limiter([rpm(10)]).await, limiter([rpm(10)]).await);
    tokio::join!(ours.shutdown(), theirs.shutdown());
    let axum: Router = Router::new().fallback(|| async { "hello" });
    let axum = axum.layer(zae_axum::ZaeLimit::new(theirs));
    let limit = zae_actix::ZaeLimit::new(ours);
    let actix = init_service(App::new().wrap(limit).default_service(web::to(|| async { "hello" }))).await;
    for (header, status) in [(PLAIN, 503), (GRPC, 200)] {
        let (actix, axum) = (ask(&actix, post("/", header)).await, ask_axum(&axum, "/", header).await);
        assert_eq!(actix, axum);
        assert_eq!(actix.status, status);
    }
}

/// Every setting of a limit is a method of every adapter; the meaning of a setting is defined once, in the shared
/// crate.
#[actix_web::test]
async fn every_adapter_has_every_setting() {
    macro_rules! all {
        ($limit:expr, $cost:expr) => {{
            let limit = $limit;
            limit
                .default_limits(Limits::from(rpm(1)))
                .deadline(std::time::Duration::from_secs(10))
                .on_unavailable(zae_actix::OnUnavailable::Block)
                .reserve(zae_actix::Reserve::Parents)
                .require_entity()
                .shadow()
                .headers(HeaderDialect::Off)
                .announce_grants()
                .settle(settle::by_handler())
                .body_timeout(std::time::Duration::from_secs(3))
                .body_budget(zae_actix::extract::BodyBudget::new(7))
                .cost($cost)
        }};
    }
    let limiter = limiter([rpm(1)]).await;
    let ours = all!(zae_actix::ZaeLimit::new(limiter.clone()), Cost::requests(1));
    let theirs = all!(zae_axum::ZaeLimit::new(limiter.clone()), Cost::requests(1));
    let settings = |debug: String| debug[debug.find("settings:").unwrap()..].to_owned();
    assert_eq!(settings(format!("{ours:?}")), settings(format!("{theirs:?}")));

    // The only methods of a limit that are not written in both files are those of the shared macro.
    let written = |source: &str| -> std::collections::BTreeSet<String> {
        let methods = source.lines().filter_map(|line| line.strip_prefix("    pub fn "));
        methods.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect()
    };
    let [tower, actix] =
        [include_str!("../../../zae-tower/src/layer.rs"), include_str!("../../src/layer.rs")].map(written);
    let missing: Vec<_> = tower.difference(&actix).filter(|name| *name != "pass").collect();
    assert!(missing.is_empty(), "actix-web's limit lacks {missing:?}");
}

/// Every feature of the shared crate can be enabled in every adapter.
#[test]
fn every_adapter_forwards_every_feature() {
    let features = |manifest: &str| -> Vec<String> {
        let section = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
        let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
        names.filter(|name| !name.starts_with('#')).collect()
    };
    let shared = features(include_str!("../../../zae-tower/Cargo.toml"));
    assert!(shared.contains(&"tiktoken".to_owned()), "{shared:?}");
    for (adapter, manifest) in [
        ("zae-axum", include_str!("../../../zae-axum/Cargo.toml")),
        ("zae-actix", include_str!("../../Cargo.toml")),
        ("zae-reqwest", include_str!("../../../zae-reqwest/Cargo.toml")),
    ] {
        let own = features(manifest);
        let missing: Vec<_> = shared.iter().filter(|name| !own.contains(name)).collect();
        assert!(missing.is_empty(), "{adapter} lacks {missing:?}");
    }
}
