//! The bucket that a model is charged to, for every form of body.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use zae_limiter::{EmbeddedStore, ManualClock};
use zae_tower::{
    Limits, RateLimiter, Repository, ResourceName, ZaeLimit,
    extract::{Extractor, JsonField},
    llm::{Accounting, Tariff, Usage, estimate},
    resource,
};

use zae_testkit::{START, left_of, limiter, read, rpm, tpm};

const CAPACITY: i64 = 100_000;
const LLAMA: &str = "@cf/meta/llama-3-8b-instruct";

async fn new_limiter() -> RateLimiter {
    limiter([rpm(100), tpm(100_000)]).await
}

async fn hello(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::default()))
}

fn layer(limiter: &RateLimiter, model: JsonField) -> ZaeLimit<zae_tower::entity::DefaultEntity, JsonField> {
    ZaeLimit::new(limiter).resource(model)
}

/// Returns the status of a request with this body, and the response's text.
async fn send<C>(
    layer: &ZaeLimit<zae_tower::entity::DefaultEntity, JsonField, C>,
    body: impl Into<Bytes>,
) -> (u16, String)
where
    C: zae_tower::extract::Extract<Request<Full<Bytes>>> + Extractor<Output = zae_tower::Cost>,
{
    let request = Request::new(Full::new(body.into()));
    let response = layer.layer(service_fn(hello)).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(read(response.into_body()).await.to_vec()).unwrap())
}

fn gpt(rest: &str) -> Bytes {
    format!(r#"{{"model":"gpt-5"{rest}}}"#).into()
}

#[tokio::test]
async fn bodies_that_servers_read_are_no_way_round_a_models_limit() {
    let limiter = new_limiter().await;
    let layer = layer(&limiter, resource::json_field("model").among(["gpt-5"]).missing_as("default"));
    let with_mark = [b"\xEF\xBB\xBF", &gpt("")[..]].concat();
    let bodies: Vec<Bytes> = vec![
        gpt(r#","messages":[{"role":"user","content":"\ud83d"}]"#),
        with_mark.into(),
        gpt(r#","temperature":NaN"#),
        Bytes::from_static(br#"{"\u006dodel":"gpt-5"}"#),
        Bytes::from_static(br#"{"m\u006Fdel":"\u0067pt-5"}"#),
        Bytes::from_static(b"{\"model\":\"gpt-5\",\"prompt\":\"\xff\"}"),
    ];
    let count = bodies.len() as i64;
    for body in bodies {
        assert_eq!(send(&layer, body.clone()).await.0, 200, "{body:?}");
    }
    assert_eq!(left_of(&limiter, "anonymous", "gpt-5", "rpm").await, 100 - count);
}

#[tokio::test]
async fn json_that_cannot_be_read_is_refused_whatever_a_missing_model_means() {
    let limiter = new_limiter().await;
    let layer = layer(&limiter, resource::json_field("model").among(["gpt-5"]).missing_as("default"));
    let cut = gpt("").slice(..10);
    let trailing = [&gpt("")[..], b"{}"].concat();
    let wide: Vec<u8> = gpt("").iter().flat_map(|byte| [*byte, 0]).collect();
    for body in [
        cut,
        trailing.into(),
        wide.into(),
        gpt(r#","model":"gpt-4""#),
        gpt(r#","\u006dodel":"gpt-5""#),
        gpt(r#","max_tokens":01"#),
        Bytes::from_static(br#"{"model":7}"#),
        Bytes::from_static(b"{"),
    ] {
        let (status, said) = send(&layer, body.clone()).await;
        assert_eq!(status, 400, "{body:?}");
        assert!(said.contains("about:blank") && !said.contains("gpt"), "{said}");
    }
    let typed = Request::post("/").header("content-type", "application/json").body(Full::from("hello")).unwrap();
    assert_eq!(layer.layer(service_fn(hello)).oneshot(typed).await.unwrap().status(), 400);
    let packed = Request::post("/").header("content-encoding", "gzip").body(Full::from("\u{1f}")).unwrap();
    assert_eq!(layer.layer(service_fn(hello)).oneshot(packed).await.unwrap().status(), 400);
    for body in ["hello", "{}", r#"{"model":null}"#, r#"{"Model":"gpt-5"}"#, "[]", ""] {
        assert_eq!(send(&layer, body).await.0, 200, "{body}");
    }
    assert_eq!(left_of(&limiter, "anonymous", "default", "rpm").await, 100 - 6);
}

#[tokio::test]
async fn a_bound_is_read_as_servers_read_it_and_refused_where_it_says_two_things() {
    for spelling in ["50000.0", "5e4", "\"50000\"", "50000"] {
        let limiter = new_limiter().await;
        let layer = layer(&limiter, resource::json_field("model").among(["gpt-5"])).llm(Tariff::openai());
        assert_eq!(send(&layer, gpt(&format!(r#","max_tokens":{spelling}"#))).await.0, 200);
        let taken = CAPACITY - left_of(&limiter, "anonymous", "gpt-5", "tpm").await;
        // A number written as a string also counts as a little text.
        assert!((50_000..50_010).contains(&taken), "{spelling}: {taken}");
    }
    let limiter = new_limiter().await;
    let layer = layer(&limiter, resource::json_field("model").among(["gpt-5"])).llm(Tariff::openai());
    for twice in [r#","max_tokens":1,"max_tokens":50000"#, r#","stream":true,"stream":false"#] {
        let (status, said) = send(&layer, gpt(twice)).await;
        assert_eq!(status, 400);
        assert!(said.contains("more than once"), "{said}");
    }
    let by_route = ZaeLimit::new(&limiter).llm(Tariff::openai());
    let request = Request::new(Full::new(gpt("").slice(..10)));
    assert_eq!(by_route.layer(service_fn(hello)).oneshot(request).await.unwrap().status(), 400);
}

#[tokio::test]
async fn every_model_can_be_listed_and_has_a_bucket_of_its_own() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0";
    let models = [LLAMA, "01-ai/Yi-34B-Chat", "claude-opus-4-6@20260101", arn, "gpt-5"];
    let limiter = new_limiter().await;
    let layer = layer(&limiter, resource::json_field("model").among(models));
    for (index, model) in models.into_iter().enumerate() {
        for _ in 0..=index {
            assert_eq!(send(&layer, format!(r#"{{"model":"{model}"}}"#)).await.0, 200, "{model}");
        }
    }
    limiter.shutdown().await;
    for (index, model) in models.into_iter().enumerate() {
        let resource = ResourceName::from_model(model);
        let left = limiter.available("anonymous", &resource).await.unwrap();
        assert_eq!(left["rpm"], 99 - index as i64, "{model}");
    }
}

#[tokio::test]
async fn invented_names_get_no_buckets() {
    let limiter = new_limiter().await;
    let refusing = layer(&limiter, resource::json_field("model").among(["gpt-5"]));
    let sharing = layer(&limiter, resource::json_field("model").among(["gpt-5"]).others_as("other-models"));
    for number in 0..40 {
        let body = format!(r#"{{"model":"invented-{number}"}}"#);
        let (status, said) = send(&refusing, body.clone()).await;
        assert_eq!(status, 404);
        assert!(!said.contains("invented"), "{said}");
        assert_eq!(send(&sharing, body).await.0, 200);
    }
    for missing in ["{}", "", "hello"] {
        assert_eq!(send(&refusing, missing).await.0, 400, "nobody said what a missing model means");
        assert_eq!(send(&sharing, missing).await.0, 400);
    }
    assert_eq!(left_of(&limiter, "anonymous", "other-models", "rpm").await, 60);
    let alternative = resource::json_field("model").among(["gpt-5"]).or(resource::fixed("none".parse().unwrap()));
    let alternative = ZaeLimit::new(new_limiter().await).resource(alternative).layer(service_fn(hello));
    for (body, expected) in [("{}", 200), (r#"{"model":"gpt-5"}"#, 200), (r#"{"model":"x"}"#, 404), ("{", 400)] {
        assert_eq!(alternative.clone().oneshot(Request::new(Full::from(body))).await.unwrap().status(), expected);
    }
    let any = layer(&limiter, resource::json_field("model").any_name_a_client_invents());
    drop(any);
}

#[tokio::test]
async fn the_tables_resources_are_the_names_unless_others_are_listed() {
    let store = EmbeddedStore::memory().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let open = || async {
        let builder = Repository::builder().client(store.client()).clock(clock.clone()).create_table();
        builder.build().await.unwrap()
    };
    let (ours, theirs) = (open().await, open().await);
    let limits = Limits::new([rpm(100)]).unwrap();
    ours.set_resource_defaults(&ResourceName::from_model("gpt-5"), &limits).await.unwrap();
    let limiter = RateLimiter::builder(ours.clone()).deadline(Duration::from_secs(10)).build();
    let layer = layer(&limiter, resource::json_field("model"));
    let llama = format!(r#"{{"model":"{LLAMA}"}}"#);
    assert_eq!(send(&layer, gpt("")).await.0, 200);
    assert_eq!(send(&layer, llama.clone()).await.0, 404);

    theirs.set_resource_defaults(&ResourceName::from_model(LLAMA), &limits).await.unwrap();
    assert_eq!(send(&layer, llama.clone()).await.0, 404, "another process's change is not seen yet");
    clock.advance(Duration::from_secs(61));
    assert_eq!(send(&layer, llama.clone()).await.0, 200);
    ours.delete_resource_defaults(&ResourceName::from_model(LLAMA)).await.unwrap();
    assert_eq!(send(&layer, llama).await.0, 404, "our own is seen at once");
}

#[tokio::test]
async fn an_estimator_sees_what_a_body_says_with_all_its_escapes() {
    let limiter = new_limiter().await;
    let text = estimate::from_fn(|request| Usage::new(request.characters(), 0));
    let accounting = Accounting::new(Tariff::openai()).estimator(text);
    let layer = layer(&limiter, resource::json_field("model").among(["gpt-5"])).llm(accounting);
    let body = gpt(r#","messages":[{"content":"\ud83d\ude00\ud83d\n\u00e4"}]"#);
    assert_eq!(send(&layer, body).await.0, 200);
    assert_eq!(left_of(&limiter, "anonymous", "gpt-5", "tpm").await, CAPACITY - 4);
}
