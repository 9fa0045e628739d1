//! Malicious header values: a clear 4xx, and no secret anywhere.

use crate::support::{Text, get, hello};
use http::{HeaderMap, HeaderValue};
use tower::{Layer, ServiceExt, service_fn};
use zae_testkit::{Log, limiter, read, rpm};
use zae_tower::{
    EntityId, ZaeLimit,
    entity::{self, ApiKeyHasher, TrustedProxies},
    extract::{Extractor, Or},
    resource,
};

const SECRET: &str = "sk-very-secret";

fn headers(name: &'static str, values: impl IntoIterator<Item = Vec<u8>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_bytes(&value).unwrap());
    }
    headers
}

fn table(name: &'static str) -> Vec<(&'static str, HeaderMap)> {
    let secret = || SECRET.as_bytes().to_vec();
    vec![
        ("empty", headers(name, [b"".to_vec()])),
        ("over-long", headers(name, [SECRET.repeat(10_000).into_bytes()])),
        ("not UTF-8", headers(name, [[SECRET.as_bytes(), b"\xff\xfe"].concat()])),
        ("not ASCII", headers(name, [format!("{SECRET}ü").into_bytes()])),
        ("control characters", headers(name, [[b"\t".as_slice(), SECRET.as_bytes(), b"\xa0"].concat()])),
        ("twice", headers(name, [secret(), secret()])),
        ("ten thousand times", headers(name, std::iter::repeat_with(secret).take(10_000))),
    ]
}

/// Headers with characters that are valid in headers, but not in ids or names.
fn odd_ids(name: &'static str) -> Vec<(&'static str, HeaderMap)> {
    [
        ("separator", "sk-very-secret#1"),
        ("space", "sk very-secret"),
        ("leading hyphen", "-sk-very-secret"),
        ("braces", "{sk-very-secret}"),
        ("comma", "sk-very-secret,b"),
        ("tab", "sk-very\tsecret"),
        ("quotes", "\"sk-very-secret\""),
    ]
    .map(|(what, value)| (what, headers(name, [value.as_bytes().to_vec()])))
    .into()
}

async fn check<E>(layer: ZaeLimit<E>, table: Vec<(&'static str, HeaderMap)>)
where
    E: zae_tower::extract::Extract<http::Request<Text>> + Extractor<Output = EntityId>,
{
    let (log, _guard) = Log::start();
    let service = layer.layer(service_fn(hello));
    for (what, headers) in table {
        let mut request = get();
        *request.headers_mut() = headers;
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400, "{what}");
        let told = format!("{:?} ", response.headers());
        let told = told + std::str::from_utf8(&read(response.into_body()).await).unwrap();
        assert!(told.contains("header"), "{what} is not explained: {told}");
        assert!(!told.contains("very"), "{what}: {told}");
    }
    assert!(log.text().contains("bad_request"), "the log tells");
    assert!(!log.text().contains("very"), "{}", log.text());
}

#[tokio::test]
async fn ids_in_headers() {
    let layer = ZaeLimit::new(limiter([rpm(100)]).await);
    check(layer.clone().entity(entity::header("x-user")), table("x-user")).await;
    check(layer.clone().entity(entity::header("x-user")), odd_ids("x-user")).await;
    let too_long = headers("x-user", [vec![b'a'; 257]]);
    check_status(layer.entity(entity::header("x-user")), too_long, 400).await;
}

#[tokio::test]
async fn secrets_in_headers() {
    let hasher = ApiKeyHasher::new([7_u8; 32]).unwrap();
    let layer = ZaeLimit::new(limiter([rpm(100)]).await);
    check(layer.clone().entity(entity::api_key("x-api-key", hasher.clone())), table("x-api-key")).await;
    let bearer = layer.clone().entity(entity::bearer(hasher.clone()));
    check(bearer.clone(), table("authorization")).await;
    for (value, status) in [("Bearer", 200), ("Bearer ", 400), ("Basic c2VjcmV0", 200), ("bearer sk-very-secret", 200)]
    {
        check_status(bearer.clone(), headers("authorization", [value.as_bytes().to_vec()]), status).await;
    }
}

#[tokio::test]
async fn a_key_becomes_a_hash_before_anything_sees_it() {
    let (log, _guard) = Log::start();
    let hasher = ApiKeyHasher::new([7_u8; 32]).unwrap();
    let layer =
        ZaeLimit::new(limiter([rpm(1)]).await).announce_grants().entity(entity::api_key("x-api-key", hasher.clone()));
    let service = layer.layer(service_fn(hello));
    for expected in [200, 429] {
        let mut request = get();
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(SECRET));
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected);
        let decision = response.extensions().get::<zae_tower::Decision>().unwrap();
        assert_eq!(decision.entity(), Some(&hasher.entity(SECRET)));
        assert!(!format!("{response:?}").contains("very"));
        assert!(!String::from_utf8_lossy(&read(response.into_body()).await).contains("very"));
    }
    assert!(!log.text().contains("very"), "{}", log.text());
}

#[tokio::test]
async fn forwarded_addresses_are_believed_of_proxies_only() {
    let proxies: TrustedProxies = "10.0.0.0/8".parse().unwrap();
    let layer = ZaeLimit::new(limiter([rpm(100)]).await).announce_grants().entity(entity::client_ip(proxies));
    let service = layer.layer(service_fn(hello));
    for (peer, forwarded, status, entity) in [
        ("10.0.0.1", "192.0.2.7", 200, Some("192.0.2.7")),
        ("203.0.113.9", "192.0.2.7", 200, Some("203.0.113.9")),
        ("10.0.0.1", "not an address", 400, None),
    ] {
        let mut request = get();
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static(forwarded));
        request.extensions_mut().insert(zae_tower::PeerIp(peer.parse().unwrap()));
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{peer} {forwarded}");
        let decision = response.extensions().get::<zae_tower::Decision>().unwrap();
        assert_eq!(decision.entity(), entity.map(|ip| entity::ip_entity(ip.parse().unwrap())).as_ref());
    }
}

#[tokio::test]
async fn resources_in_headers() {
    let service =
        ZaeLimit::new(limiter([rpm(100)]).await).resource(resource::header("x-model")).layer(service_fn(hello));
    for (what, headers) in table("x-model").into_iter().chain(odd_ids("x-model")) {
        let mut request = get();
        *request.headers_mut() = headers;
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 400, "{what}");
    }
}

#[tokio::test]
async fn a_bad_value_is_not_a_missing_one() {
    let either: Or<_, _> = entity::header("x-user").or(EntityId::new("fallback").unwrap());
    let layer = ZaeLimit::new(limiter([rpm(100)]).await).entity(either);
    check_status(layer.clone(), headers("x-user", [b"a b".to_vec()]), 400).await;
    check_status(layer, HeaderMap::new(), 200).await;
}

async fn check_status<E>(layer: ZaeLimit<E>, headers: HeaderMap, status: u16)
where
    E: zae_tower::extract::Extract<http::Request<Text>> + Extractor<Output = EntityId>,
{
    let mut request = get();
    *request.headers_mut() = headers;
    let response = layer.layer(service_fn(hello)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), status);
}
