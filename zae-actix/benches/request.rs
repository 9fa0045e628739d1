//! Measures the cost of a request through middleware, actix-web and store: `cargo bench -p zae-actix --bench request`.
//!
//! Requests are sent one after the other, in one process, to two apps that differ only in the middleware. Compare the
//! medians of one run with each other, and their difference with the one that the benchmark of `zae-axum` finds.

#![allow(clippy::future_not_send, reason = "actix-web's services stay on their thread")]

use actix_web::{
    App, Error,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    rt::Runtime,
    test::{TestRequest, init_service},
    web,
};
use divan::{Bencher, black_box};
use zae_actix::{Limit, Repository, ZaeLimit};

/// Large enough that no request is ever refused.
const ENDLESS: u64 = 1_000_000_000;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

async fn hello() -> &'static str {
    "hello"
}

/// Sends a request, and reads the response to the end of its body.
async fn ask<S, B>(app: &S, request: actix_http::Request) -> web::Bytes
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let response = app.call(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let Ok(body) = to_bytes(response.into_body()).await else { panic!("the body broke") };
    body
}

fn measure<S, B>(bencher: Bencher<'_, '_>, runtime: &Runtime, app: &S)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let peer = ([203, 0, 113, 7], 4711).into();
    bencher
        .with_inputs(|| TestRequest::get().uri("/users/1").peer_addr(peer).to_request())
        .bench_local_values(|request| black_box(runtime.block_on(ask(app, request))));
}

#[divan::bench(sample_count = 1000)]
fn no_middleware(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let app = runtime.block_on(init_service(App::new().route("/users/{id}", web::get().to(hello))));
    measure(bencher, &runtime, &app);
}

#[divan::bench(sample_count = 1000)]
fn zae_embedded(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let limit = runtime.block_on(async {
        let repository = Repository::embedded().await.expect("a table in memory");
        let limits = Limit::per_minute("rpm", ENDLESS).expect("a valid limit").into();
        repository.set_system_defaults(&limits).await.expect("a table that takes limits");
        ZaeLimit::new(repository)
    });
    let app = App::new().wrap(limit.clone()).route("/users/{id}", web::get().to(hello));
    let app = runtime.block_on(init_service(app));
    measure(bencher, &runtime, &app);
    runtime.block_on(limit.shutdown());
}
