//! Calls to language models: estimated from the request's body, settled by the response's.

use std::io;

use actix_web::{
    App, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{Payload, Service},
    http::header::ACCEPT_ENCODING,
    middleware::Compress,
    test::{TestRequest, init_service},
    web,
};
use bytes::Bytes;
use futures_util::{StreamExt, future::poll_fn, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zae_actix::{
    RateLimiter, ZaeLimit,
    entity::DefaultEntity,
    llm::{Accounting, LlmCost, Tariff, estimate},
    resource,
};

use crate::ask::ask;
use zae_testkit::{left_of as left, limiter, rpm, tpm};

/// 12 characters of text and at most 500 tokens of output.
const REQUEST: &str =
    r#"{"model":"gpt-5","stream":true,"max_completion_tokens":500,"messages":[{"role":"user","content":"12345678"}]}"#;
const ESTIMATE: i64 = 3 + 500;
/// A streamed response with its usage.
const EVENTS: [&str; 3] = [
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":25}}\n\n",
    "data: [DONE]\n\n",
];
const USED: i64 = 35;

type LlmLimit = ZaeLimit<DefaultEntity, zae_actix::extract::JsonField, LlmCost>;

async fn limits() -> RateLimiter {
    limiter([rpm(100), tpm(10_000)]).await
}

fn limit(limiter: &RateLimiter, accounting: impl Into<Accounting>) -> LlmLimit {
    ZaeLimit::new(limiter.clone())
        .resource(resource::json_field("model").among(["gpt-5"]).missing_as("default"))
        .llm(accounting.into().estimator(estimate::input_and_max_output(1_000)))
}

async fn spent(limiter: &RateLimiter, entity: &str) -> i64 {
    10_000 - left(limiter, entity, "gpt-5", "tpm").await
}

/// Checks that the request is complete, and answers with the events.
async fn chat(body: String) -> HttpResponse {
    assert_eq!(body, REQUEST);
    let events = stream::iter(EVENTS).map(|event| Ok::<_, io::Error>(Bytes::from_static(event.as_bytes())));
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

fn post(body: &'static str) -> TestRequest {
    TestRequest::post().uri("/chat").set_payload(body)
}

/// A request of unknown length, in pieces.
fn pieces(pieces: impl IntoIterator<Item = io::Result<&'static str>>) -> actix_http::Request {
    let pieces: Vec<_> = pieces.into_iter().map(|piece| piece.map(Bytes::from).map_err(Into::into)).collect();
    let payload: actix_http::BoxedPayloadStream = Box::pin(stream::iter(pieces));
    let (request, _) = TestRequest::post().uri("/chat").to_request().replace_payload(Payload::from(payload));
    request
}

#[actix_web::test]
async fn a_call_costs_what_its_stream_says_and_both_bodies_pass_untouched() {
    let limiter = limits().await;
    let app = App::new().wrap(limit(&limiter, Tariff::openai())).route("/chat", web::post().to(chat));
    let app = init_service(app).await;
    let answer = ask(&app, post(REQUEST)).await;
    assert_eq!((answer.status, answer.body), (200, EVENTS.concat()));
    assert_eq!(answer.headers["ratelimit"], [format!("\"rpm\";r=99;t=1, \"tpm\";r={};t=4", 10_000 - ESTIMATE)]);
    let (start, rest) = REQUEST.split_at(20);
    let response = app.call(pieces([Ok(start), Ok(""), Ok(rest)])).await.unwrap();
    assert_eq!(actix_web::body::to_bytes(response.into_body()).await.map_err(drop).unwrap(), EVENTS.concat());
    assert_eq!(spent(&limiter, "anonymous").await, 2 * USED);
    assert_eq!(left(&limiter, "anonymous", "gpt-5", "rpm").await, 98);
}

#[actix_web::test]
async fn whoever_does_not_read_to_the_end_pays_the_estimate() {
    for read in 0..3 {
        let limiter = limits().await;
        let app = App::new().wrap(limit(&limiter, Tariff::openai())).route("/chat", web::post().to(chat));
        let response = init_service(app).await.call(post(REQUEST).to_request()).await.unwrap();
        let mut body = Box::pin(response.into_body());
        for _ in 0..read {
            poll_fn(|context| body.as_mut().poll_next(context)).await.unwrap().map_err(drop).unwrap();
        }
        drop(body);
        assert_eq!(spent(&limiter, "anonymous").await, ESTIMATE, "after {read}");
    }
}

#[actix_web::test]
async fn a_provider_that_dies_mid_stream_leaves_the_estimate() {
    for events in 0..3 {
        let limiter = limits().await;
        let dying = move |_: web::Bytes| async move {
            let events = EVENTS[..events].iter().map(|event| Ok(Bytes::from_static(event.as_bytes())));
            let broken = events.chain([Err(io::Error::other("connection reset"))]);
            HttpResponse::Ok().content_type("text/event-stream").streaming(stream::iter(broken))
        };
        let app = App::new().wrap(limit(&limiter, Tariff::openai())).route("/chat", web::post().to(dying));
        let response = init_service(app).await.call(post(REQUEST).to_request()).await.unwrap();
        assert!(actix_web::body::to_bytes(response.into_body()).await.is_err());
        assert_eq!(spent(&limiter, "anonymous").await, ESTIMATE, "after {events}");
    }
}

#[actix_web::test]
async fn compression_is_no_obstacle_around_the_limit_or_inside() {
    async fn whole(_: web::Bytes) -> HttpResponse {
        HttpResponse::Ok().content_type("application/json").body(
            "{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":25}}".to_owned()
                + &" ".repeat(9_000),
        )
    }
    let (outside, inside) = (limits().await, limits().await);
    let app = App::new()
        .service(
            web::scope("/outside")
                .wrap(limit(&outside, Tariff::openai()))
                .wrap(Compress::default())
                .route("/stream", web::post().to(chat))
                .route("/whole", web::post().to(whole)),
        )
        .service(
            web::scope("/inside")
                .wrap(Compress::default())
                .wrap(limit(&inside, Tariff::openai()))
                .route("/whole", web::post().to(whole)),
        );
    let app = init_service(app).await;
    for path in ["/outside/stream", "/outside/whole", "/inside/whole"] {
        let request = TestRequest::post().uri(path).insert_header((ACCEPT_ENCODING, "gzip")).set_payload(REQUEST);
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(response.headers().get("content-encoding").unwrap(), "gzip", "{path}");
        actix_web::body::to_bytes(response.into_body()).await.map_err(drop).unwrap();
    }
    assert_eq!(spent(&outside, "anonymous").await, 2 * USED);
    assert_eq!(spent(&inside, "anonymous").await, USED);
}

#[actix_web::test]
async fn a_body_that_cannot_be_read_is_refused_and_costs_nothing() {
    let limiter = limits().await;
    let accounting = Accounting::new(Tariff::openai()).body_limit(100);
    let app = App::new().wrap(limit(&limiter, accounting.clone())).route("/chat", web::post().to(chat));
    let app = init_service(app).await;
    assert_eq!(ask(&app, post(REQUEST).insert_header(("content-length", REQUEST.len()))).await.status, 413);
    let too_long = app.call(pieces(REQUEST.as_bytes().chunks(10).map(|piece| Ok(std::str::from_utf8(piece).unwrap()))));
    assert_eq!(too_long.await.unwrap().status(), 413);
    let broken = app.call(pieces([Ok("{"), Err(io::Error::other("gone"))]));
    assert_eq!(broken.await.unwrap().status(), 400);
    assert_eq!(left(&limiter, "anonymous", "default", "rpm").await, 100);

    // Half of it is read and cannot be put back: not even a shadow forwards that.
    let shadow = ZaeLimit::new(limits().await).llm(accounting).shadow();
    let shadow = init_service(App::new().wrap(shadow).route("/chat", web::post().to(chat))).await;
    assert_eq!(ask(&shadow, post(REQUEST).insert_header(("content-length", REQUEST.len()))).await.status, 200);
    let too_long = shadow.call(pieces(["x"; 101].map(Ok)));
    assert_eq!(too_long.await.unwrap().status(), 413);
}

#[actix_web::test]
async fn the_handler_gets_the_longer_body_that_asks_for_usage() {
    async fn echo(request: actix_web::HttpRequest, body: String) -> String {
        let length = request.headers().get("content-length").unwrap().to_str().unwrap();
        assert_eq!(length, body.len().to_string());
        body
    }
    let limiter = limits().await;
    let limit = limit(&limiter, Accounting::new(Tariff::openai()).include_usage());
    let v1 =
        web::scope("/v1").route("/chat/completions", web::post().to(echo)).route("/messages", web::post().to(echo));
    let app = init_service(App::new().service(v1.wrap(limit))).await;
    let to = |path| post(REQUEST).uri(path).insert_header(("content-length", REQUEST.len()));
    assert_eq!(ask(&app, to("/v1/messages")).await.body, REQUEST, "Anthropic does not know it");
    let answer = ask(&app, to("/v1/chat/completions")).await;
    let (sent, got): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(REQUEST).unwrap(), serde_json::from_str(&answer.body).unwrap());
    assert_eq!(got["stream_options"]["include_usage"], true, "{got}");
    assert_eq!(got["messages"], sent["messages"]);
}

#[actix_web::test]
async fn the_chunk_of_usage_that_nobody_asked_for_is_left_out() {
    const CHUNKS: [&str; 3] = [
        "data: {\"choices\":[{}]}\n\ndata: {\"choices\":[],",
        "\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":70}}\n\n",
        "data: [DONE]\n\n",
    ];
    async fn chat() -> HttpResponse {
        let chunks = CHUNKS.map(|chunk| Ok::<_, actix_web::Error>(web::Bytes::from(chunk)));
        HttpResponse::Ok().content_type("text/event-stream").streaming(stream::iter(chunks))
    }
    let limiter = limits().await;
    let limit = limit(&limiter, Accounting::new(Tariff::openai()).include_usage());
    let resource = web::resource("/v1/chat/completions").wrap(limit).route(web::post().to(chat));
    let app = init_service(App::new().service(resource)).await;
    let request = post(REQUEST).uri("/v1/chat/completions").insert_header(("content-length", REQUEST.len()));
    let answer = ask(&app, request).await;
    assert_eq!(answer.body, "data: {\"choices\":[{}]}\n\ndata: [DONE]\n\n");
    assert_eq!(spent(&limiter, "anonymous").await, 100);
}

/// A middleware that keeps its own `HttpRequest`, as `from_fn` offers, prevents changes to the head.
#[actix_web::test]
async fn a_request_that_an_outer_middleware_holds_on_to_is_handed_on_as_it_came() {
    async fn echo(request: actix_web::HttpRequest, body: String) -> String {
        format!("{} {body}", request.headers().get("content-length").unwrap().to_str().unwrap())
    }
    let limiter = limits().await;
    let limit = limit(&limiter, Accounting::new(Tariff::openai()).include_usage());
    let resource = web::resource("/v1/chat/completions").wrap(limit).wrap_fn(|request, next| {
        let held = request.request().clone();
        let passed_on = next.call(request);
        async move {
            let response = passed_on.await;
            drop(held);
            response
        }
    });
    let app = init_service(App::new().service(resource.route(web::post().to(echo)))).await;
    let request = post(REQUEST).uri("/v1/chat/completions").insert_header(("content-length", REQUEST.len()));
    let answer = ask(&app, request).await;
    assert_eq!((answer.status, answer.body), (200, format!("{} {REQUEST}", REQUEST.len())));
    assert_eq!(spent(&limiter, "anonymous").await, ESTIMATE);
}

#[tokio::test]
async fn behind_a_real_server_bodies_come_in_segments_and_connections_stay_open() {
    let limiter = limits().await;
    let limit = limit(&limiter, Tariff::openai());
    let app = {
        let limit = limit.clone();
        move || App::new().wrap(limit.clone()).route("/chat", web::post().to(chat))
    };
    let server = HttpServer::new(app).workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
    let (address, server) = (server.addrs()[0], server.run());
    let handle = server.handle();
    let server = tokio::spawn(server);

    let mut stream = TcpStream::connect(address).await.unwrap();
    let (start, rest) = REQUEST.split_at(30);
    for _ in 0..3 {
        let head =
            format!("POST /chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{start}", REQUEST.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n0\r\n\r\n") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "closed after {}", String::from_utf8_lossy(&seen));
        }
        assert!(seen.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&seen));
    }
    drop(stream);
    handle.stop(true).await;
    server.await.unwrap().unwrap();
    limit.shutdown().await;
    assert_eq!(spent(&limiter, "ip:127.0.0.1").await, 3 * USED);
}
