//! The entities and resources that the layer extracts, and its answers.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{Text, from, get, hello};
use aws_sdk_dynamodb::types::AttributeValue;
use http::{HeaderValue, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use zae_testkit::{Log, left, left_of, limiter, limiter_on_a_wire, read, repository, rpm, tpm};
use zae_tower::{
    Cost, Decision, EntityId, HeaderDialect, LeaseOrigin, Limit, Limits, MatchedRoute, OnUnavailable, Outcome, PeerIp,
    ResourceName, ZaeLimit, entity,
    extract::{ExtractError, Extractor},
    limits, resource, skip,
};

/// Answers with the extracted entity and resource.
async fn subject(request: Request<Text>) -> Result<Response<Text>, Infallible> {
    let decision = request.extensions().get::<Decision>().unwrap();
    let entity = decision.entity().map_or("", EntityId::as_str);
    let resource = decision.resource().map_or("", ResourceName::as_str);
    Ok(Response::new(Text::from(format!("{entity} {resource}"))))
}

async fn subject_of<L>(layer: L, request: Request<Text>) -> String
where
    L: Layer<tower::util::BoxCloneService<Request<Text>, Response<Text>, Infallible>>,
    L::Service: tower::Service<Request<Text>, Response = Response<zae_tower::ResponseBody<Text>>, Error = Infallible>,
{
    let service = layer.layer(tower::util::BoxCloneService::new(service_fn(subject)));
    let response = service.oneshot(request).await.unwrap();
    String::from_utf8(read(response.into_body()).await.to_vec()).unwrap()
}

fn with<T: Clone + Send + Sync + 'static>(mut request: Request<Text>, extension: T) -> Request<Text> {
    request.extensions_mut().insert(extension);
    request
}

fn peer(address: &str) -> PeerIp {
    PeerIp(address.parse::<IpAddr>().unwrap())
}

#[tokio::test]
async fn what_holds_a_limiter_is_debugged_in_a_line() {
    let told = |request: Request<Text>| async move {
        let decision = request.extensions().get::<Decision>().unwrap();
        Ok::<_, Infallible>(Response::new(Text::from(format!("{decision:?}"))))
    };
    let layer = ZaeLimit::new(limiter([rpm(100)]).await);
    let layered = format!("{layer:?}");
    let future = layer.clone().layer(service_fn(told)).oneshot(from("user-1"));
    let response = future.await.unwrap();
    let headed = format!("{:?}", response.body());
    let decided = String::from_utf8(read(response.into_body()).await.to_vec()).unwrap();
    for (what, text) in [("ZaeLimit", layered), ("ResponseBody", headed), ("Decision", decided)] {
        assert!(
            text.starts_with(what) && text.len() <= 600 && !text.contains('\n'),
            "{} bytes: {text:.900}",
            text.len()
        );
    }
}

#[tokio::test]
async fn defaults_trust_what_was_verified_then_the_network_then_nobody() {
    let (log, _guard) = Log::start();
    let layer = ZaeLimit::new(limiter([rpm(100)]).await);
    let known = with(from("user-1"), peer("192.0.2.1"));
    assert_eq!(subject_of(layer.clone(), known).await, "user-1 default");
    let v4 = entity::ip_entity("192.0.2.1".parse().unwrap());
    assert_eq!(subject_of(layer.clone(), with(get(), peer("192.0.2.1"))).await, format!("{v4} default"));
    let neighbours = [with(get(), peer("2001:db8::1")), with(get(), peer("2001:db8::ffff:2"))];
    let [one, two] = neighbours;
    assert_eq!(subject_of(layer.clone(), one).await, subject_of(layer.clone(), two).await);
    assert!(!log.text().contains("WARN"));

    let mut claims = get();
    claims.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
    claims.headers_mut().insert("x-api-key", HeaderValue::from_static("key"));
    claims.headers_mut().insert("authorization", HeaderValue::from_static("Bearer key"));
    assert_eq!(subject_of(layer.clone(), claims).await, "anonymous default", "nobody verified those");
    assert_eq!(subject_of(layer.clone(), get()).await, "anonymous default");
    assert_eq!(log.text().matches("requests without identity").count(), 1, "{}", log.text());

    let routed = with(from("user-1"), MatchedRoute::new("/users/{id}"));
    assert_eq!(subject_of(layer, routed).await, "user-1 users/:id");
}

#[tokio::test]
async fn identities_can_be_required() {
    let layer = ZaeLimit::new(limiter([rpm(100)]).await).require_entity();
    let service = layer.layer(service_fn(hello));
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 401);
    assert_eq!(service.oneshot(from("user-1")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn extractors_combine() {
    let layer = ZaeLimit::new(limiter([rpm(100)]).await)
        .entity(
            entity::header("x-user")
                .map(|id: EntityId| EntityId::new(format!("user:{id}")))
                .or(entity::from_async_fn(|request| {
                    let session = request.headers().get("x-session").cloned();
                    async move {
                        tokio::task::yield_now().await;
                        match session {
                            Some(session) if session == "good" => Ok(Some(EntityId::new("from-session")?)),
                            Some(_) => Err(ExtractError::unauthorized("the session has ended")),
                            None => Ok(None),
                        }
                    }
                }))
                .or(entity::peer_ip()),
        )
        .resource(resource::from_fn(|request| ResourceName::new(request.method().as_str())));
    let header = |name: &'static str, value: &'static str| {
        let mut request = get();
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    assert_eq!(subject_of(layer.clone(), header("x-user", "7")).await, "user:7 GET");
    assert_eq!(subject_of(layer.clone(), header("x-session", "good")).await, "from-session GET");
    assert_eq!(subject_of(layer.clone(), get()).await, "anonymous GET");
    let ended = layer.layer(service_fn(hello)).oneshot(header("x-session", "bad")).await.unwrap();
    assert_eq!(ended.status(), 401);
}

#[tokio::test]
async fn without_limits_nothing_passes_and_the_log_says_what_to_do() {
    let (log, _guard) = Log::start();
    let service = ZaeLimit::new(repository().await).layer(service_fn(hello));
    for _ in 0..3 {
        let response = service.clone().oneshot(get()).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = String::from_utf8(read(response.into_body()).await.to_vec()).unwrap();
        assert!(!body.contains("anonymous") && !body.contains("set-defaults"), "{body}");
    }
    assert_eq!(log.text().matches("ERROR").count(), 1, "{}", log.text());
    assert!(log.text().contains("zae-deploy system set-defaults"), "{}", log.text());

    let tokens_only = ZaeLimit::new(limiter([tpm(100)]).await).layer(service_fn(hello));
    assert_eq!(tokens_only.oneshot(get()).await.unwrap().status(), 500, "the cost names none of them");

    let defaults = Limits::from(rpm(1));
    let service = ZaeLimit::new(repository().await).default_limits(defaults).layer(service_fn(hello));
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 429);
}

#[tokio::test]
async fn what_an_operator_has_disabled_is_forbidden_and_no_wait_is_named() {
    let limiter = limiter([rpm(10)]).await;
    let repository = limiter.repository();
    let pk = format!("{}/RESOURCE#any", repository.namespace_id());
    let attribute = |text: &str| AttributeValue::S(text.to_owned());
    let item = repository.client().put_item().table_name(repository.stack().as_str());
    let item = item.item("PK", attribute(&pk)).item("SK", attribute("#CONFIG"));
    item.item("disabled", AttributeValue::Bool(true)).send().await.unwrap();
    let layer = ZaeLimit::new(limiter).resource(resource::from_fn(|_| ResourceName::new("any")));
    let response = layer.layer(service_fn(hello)).oneshot(from("user-1")).await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let outcome = response.extensions().get::<Decision>().unwrap().outcome().clone();
    assert!(matches!(outcome, Outcome::Refused(refusal) if refusal.retry_after().is_none()));
    let body = String::from_utf8(read(response.into_body()).await.to_vec()).unwrap();
    assert!(!body.contains("user-1") && !body.contains("any"), "{body}");
}

#[tokio::test]
async fn limits_may_come_with_the_request() {
    #[derive(Clone)]
    struct Plan(u64);
    let layer = ZaeLimit::new(limiter([rpm(1)]).await).limits(limits::from_fn(|request| {
        let plan = request.extensions().get::<Plan>()?;
        Some(Limit::per_minute("rpm", plan.0).map(Limits::from))
    }));
    let service = layer.layer(service_fn(hello));
    for expected in [200, 200, 200, 429] {
        let request = with(from("gold"), Plan(3));
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), expected);
    }
    for expected in [200, 429] {
        assert_eq!(service.clone().oneshot(from("no-plan")).await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn a_refusal_says_which_limit_and_when() {
    let service = ZaeLimit::new(limiter([rpm(6)]).await).layer(service_fn(hello));
    for remaining in (0..6).rev() {
        let response = service.clone().oneshot(from("user-1")).await.unwrap();
        let field = response.headers()["ratelimit"].to_str().unwrap();
        assert!(field.starts_with(&format!("\"rpm\";r={remaining};t=")), "{field}");
        assert!(!response.headers().contains_key("retry-after"));
    }
    let response = service.oneshot(from("user-1")).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "10");
    assert_eq!(response.headers()["ratelimit"], "\"rpm\";r=0;t=10");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let outcome = response.extensions().get::<Decision>().unwrap().outcome().clone();
    assert!(matches!(outcome, Outcome::Refused(refusal) if refusal.retry_after().unwrap().as_secs() == 10));
    let body = String::from_utf8(read(response.into_body()).await.to_vec()).unwrap();
    assert!(body.contains("quota-exceeded") && !body.contains("user-1"), "{body}");
}

#[tokio::test]
async fn what_never_fits_has_no_retry_time() {
    let layer = ZaeLimit::new(limiter([tpm(100)]).await).cost(Cost::of("tpm", 101));
    let response = layer.layer(service_fn(hello)).oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn amounts_that_the_client_chose_are_its_fault() {
    for (tokens, status) in [("1", 200), ("100", 429), ("0", 400), ("-1", 400), ("1e3", 400), ("+5", 400), ("", 400)]
        .into_iter()
        .chain([("18446744073709551615", 400), ("99999999999999999999999", 400), ("1, 2", 400)])
    {
        let layer = ZaeLimit::new(limiter([tpm(50)]).await)
            .cost(zae_tower::cost::header("x-tokens", |tokens| Cost::of("tpm", tokens)));
        let mut request = get();
        request.headers_mut().insert("x-tokens", HeaderValue::from_static(tokens));
        let response = layer.layer(service_fn(hello)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{tokens}");
    }
    let layer = ZaeLimit::new(limiter([tpm(50)]).await).cost(Cost::of("tpm", u64::MAX));
    assert_eq!(layer.layer(service_fn(hello)).oneshot(get()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn without_a_store_the_policy_decides() {
    let (limiter, wire) = limiter_on_a_wire([rpm(5)]).await;
    let layer = ZaeLimit::new(&limiter);
    let service = layer.clone().layer(service_fn(hello));
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 200);
    wire.cut();
    let blocked = service.oneshot(get()).await.unwrap();
    assert_eq!((blocked.status().as_u16(), &blocked.headers()["retry-after"]), (503, &HeaderValue::from_static("1")));
    assert!(!blocked.headers().contains_key("ratelimit"));

    let blind = layer.clone().on_unavailable(OnUnavailable::Allow).layer(service_fn(hello));
    let granted = blind.oneshot(get()).await.unwrap();
    assert_eq!(granted.status(), 200);
    let decision = granted.extensions().get::<Decision>().unwrap();
    assert!(matches!(decision.outcome(), Outcome::Admitted(LeaseOrigin::Blind)), "{decision:?}");

    let mut call = get();
    call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let refused = layer.layer(service_fn(hello)).oneshot(call).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "14");
}

#[tokio::test]
async fn a_limiter_that_shuts_down_is_unavailable() {
    let layer = ZaeLimit::new(limiter([rpm(5)]).await);
    layer.shutdown().await;
    assert_eq!(layer.layer(service_fn(hello)).oneshot(get()).await.unwrap().status(), 503);
}

#[tokio::test]
async fn shadow_decides_and_charges_but_refuses_nothing() {
    let limiter = limiter([rpm(1)]).await;
    let layer = ZaeLimit::new(&limiter).shadow();
    let service = layer.layer(service_fn(|request: Request<Text>| async move {
        let lease = request.extensions().get::<Decision>().and_then(Decision::lease).is_some();
        Ok::<_, Infallible>(Response::new(Text::from(if lease { "lease" } else { "none" })))
    }));
    let admitted = service.clone().oneshot(from("user-1")).await.unwrap();
    let outcome = admitted.extensions().get::<Decision>().unwrap().outcome().clone();
    assert!(matches!(outcome, Outcome::Admitted(LeaseOrigin::Stored)));
    assert_eq!(read(admitted.into_body()).await, "lease");
    let refused = service.clone().oneshot(from("user-1")).await.unwrap();
    assert_eq!(refused.status(), 200);
    assert!(!refused.headers().contains_key("ratelimit"), "clients know nothing of it");
    let outcome = refused.extensions().get::<Decision>().unwrap().outcome().clone();
    assert!(matches!(outcome, Outcome::WouldRefuse(refusal) if refusal.retry_after().is_some()));
    assert_eq!(read(refused.into_body()).await, "none");
    assert_eq!(left(&limiter, "user-1", "rpm").await, 0);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 200, "without a store too");
}

#[tokio::test]
async fn skipped_requests_cost_nothing() {
    let limiter = limiter([rpm(1)]).await;
    let layer = ZaeLimit::new(&limiter).skip(|request| request.path() == "/health").skip(skip::cors_preflight);
    let service = layer.layer(service_fn(hello));
    for _ in 0..3 {
        let health = Request::get("/health").body(Text::default()).unwrap();
        let response = service.clone().oneshot(health).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("ratelimit"));
        assert!(matches!(response.extensions().get::<Decision>().unwrap().outcome(), Outcome::Skipped));
    }
    assert_eq!(service.clone().oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 429);
}

#[tokio::test]
async fn refusals_can_be_made_ones_own() {
    let layer = ZaeLimit::new(limiter([rpm(1)]).await).headers(HeaderDialect::Off).refusal(|refusal, mut response| {
        let wait = refusal.retry_after().map_or(0, |wait| wait.as_secs());
        *response.body_mut() = format!("wait {wait} s").into();
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        response
    });
    let service = layer.layer(service_fn(hello));
    assert!(!service.clone().oneshot(get()).await.unwrap().headers().contains_key("ratelimit"));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "60", "what is not changed stays");
    assert_eq!(read(response.into_body()).await, "wait 60 s");
}

#[tokio::test]
async fn grpc_clients_are_refused_in_their_own_language() {
    let service = ZaeLimit::new(limiter([rpm(1)]).await).layer(service_fn(hello));
    let call = || {
        let mut request = get();
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
        request
    };
    assert_eq!(service.clone().oneshot(call()).await.unwrap().status(), 200);
    let refused = service.oneshot(call()).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["grpc-status"].as_bytes()), (200, &b"8"[..]));
    assert!(read(refused.into_body()).await.is_empty());
}

#[tokio::test]
async fn extractors_run_in_order_and_stop_at_the_first_bad_value() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let limiter = limiter([rpm(5)]).await;
    let layer = ZaeLimit::new(&limiter).entity(entity::header("x-user")).resource(resource::from_fn(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        ResourceName::new("api")
    }));
    let service = layer.layer(service_fn(hello));
    let mut request = get();
    request.headers_mut().insert("x-user", HeaderValue::from_static("a#b"));
    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 400);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(left_of(&limiter, "anonymous", "api", "rpm").await, 4);
}
