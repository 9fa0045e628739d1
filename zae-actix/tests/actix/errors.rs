//! Inner services that fail with an error instead of a response.

use actix_web::{
    App,
    dev::Service,
    error::{ErrorInternalServerError, ErrorUnauthorized},
    test::init_service,
    web,
};
use zae_actix::{
    Lease, ZaeLimit,
    settle::{self, End, Verdict},
};

use crate::ask::{ALICE, Ends, get};
use zae_testkit::{left_of as left, limiter, rpm};

/// A middleware inside of the limit that refuses or fails.
macro_rules! failing {
    ($limit:expr, $error:expr) => {
        init_service(
            App::new()
                .wrap_fn(|request, next| {
                    let passed_on = next.call(request);
                    async move {
                        passed_on.await?;
                        Err::<actix_web::dev::ServiceResponse, _>($error)
                    }
                })
                .wrap($limit)
                .route("/", web::get().to(|lease: Lease| async move { lease.adjust("rpm", 1).map(|()| "").unwrap() })),
        )
        .await
    };
}

#[actix_web::test]
async fn a_failed_service_costs_nothing_and_its_response_tells_the_limits() {
    let limiter = limiter([rpm(10)]).await;
    let ends = Ends::default();
    let app = failing!(ZaeLimit::new(limiter.clone()).settle(ends.clone()), ErrorInternalServerError("broken"));
    let answer = get(&app, "/", ALICE).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, "broken"));
    assert_eq!(answer.header("ratelimit"), Some("\"rpm\";r=9;t=6"));
    assert_eq!(ends.take(), [End::ServiceFailed]);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "root", "rpm").await, 10);
}

#[actix_web::test]
async fn an_error_that_blames_the_client_is_an_answer_and_counts() {
    let limiter = limiter([rpm(10)]).await;
    let ends = Ends::default();
    let app = failing!(ZaeLimit::new(limiter.clone()).settle(ends.clone()), ErrorUnauthorized("guess again"));
    let answer = get(&app, "/", ALICE).await;
    assert_eq!((answer.status, answer.header("ratelimit-policy")), (401, Some("\"rpm\";q=10;w=60")));
    assert_eq!(ends.take(), [End::Complete]);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "root", "rpm").await, 8, "1 taken, 1 noted by the handler");
}

#[actix_web::test]
async fn the_rule_sees_what_the_error_will_look_like() {
    let limiter = limiter([rpm(10)]).await;
    let rule = settle::by_response(|response| match response.status.as_u16() {
        401 => Verdict::Refund,
        _ => Verdict::Keep,
    });
    let app = failing!(ZaeLimit::new(limiter.clone()).settle(rule), ErrorUnauthorized("guess again"));
    assert_eq!(get(&app, "/", ALICE).await.status, 401);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "root", "rpm").await, 10);
}

/// Each level adds its headers once, however often the error is converted to a response.
#[actix_web::test]
async fn nested_limits_both_add_their_headers_to_an_error() {
    let (outer, inner) = (limiter([rpm(10)]).await, limiter([zae_testkit::tpm(100)]).await);
    let tokens = ZaeLimit::new(inner.clone()).cost(zae_actix::Cost::of("tpm", 10));
    let app = App::new()
        .wrap_fn(|request, next| {
            let passed_on = next.call(request);
            async move {
                passed_on.await?;
                Err::<actix_web::dev::ServiceResponse, _>(ErrorInternalServerError("broken"))
            }
        })
        .wrap(tokens)
        .wrap(ZaeLimit::new(outer.clone()))
        .route("/", web::get().to(|| async { "" }));
    let app = init_service(app).await;
    let error = app.call(actix_web::test::TestRequest::get().uri("/").to_request()).await.unwrap_err();
    for _ in 0..2 {
        let response = error.error_response();
        let policies: Vec<_> = response.headers().get_all("ratelimit-policy").collect();
        assert_eq!(policies, ["\"tpm\";q=100;qu=\"tokens\";w=60", "\"rpm\";q=10;w=60"]);
    }
    assert_eq!(left(&outer, "anonymous", "root", "rpm").await, 10);
    assert_eq!(left(&inner, "anonymous", "root", "tpm").await, 100);
}
