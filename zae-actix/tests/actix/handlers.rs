//! Handlers' access to the lease, the decision and the limiter's errors.

use actix_web::{App, HttpResponse, test::init_service, web};
use zae_actix::{Cost, EntityId, HeaderDialect, Lease, LimitError, Outcome, RateLimited, RateLimiter, ZaeLimit};

use crate::ask::{ALICE, get};
use zae_testkit::{left_of as left, limiter, rpm, tpm};

fn estimate() -> Cost {
    Cost::of("rpm", 1).and("tpm", 500)
}

#[actix_web::test]
async fn a_handler_corrects_the_estimate() {
    async fn chat(lease: Lease) -> Result<String, LimitError> {
        lease.adjust("tpm", 230)?;
        lease.release("rpm", 1)?;
        Ok(format!("{:?}", lease.consumed()))
    }
    let limiter = limiter([rpm(10), tpm(1_000)]).await;
    let limit = ZaeLimit::new(limiter.clone()).cost(estimate());
    let app = init_service(App::new().wrap(limit).route("/chat", web::get().to(chat))).await;
    assert_eq!(get(&app, "/chat", ALICE).await.body, "{\"tpm\": 730}");
    assert_eq!(left(&limiter, "ip:203.0.113.7", "chat", "tpm").await, 270);
    assert_eq!(left(&limiter, "ip:203.0.113.7", "chat", "rpm").await, 10);
}

#[actix_web::test]
async fn a_handler_that_wants_more_than_there_is_answers_429() {
    async fn chat(lease: Lease) -> Result<&'static str, LimitError> {
        lease.consume(Cost::of("tpm", 400)).await?;
        lease.consume(Cost::of("tpm", 400)).await?;
        Ok("never")
    }
    let limit = ZaeLimit::new(limiter([rpm(10), tpm(1_000)]).await).cost(estimate()).headers(HeaderDialect::Off);
    let app = init_service(App::new().wrap(limit).route("/chat", web::get().to(chat))).await;
    let refused = get(&app, "/chat", ALICE).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("18")), "(400 − 100) at 1000 a minute");
    assert!(refused.body.contains("\"violated-policies\":[\"tpm\"]"), "{}", refused.body);
}

#[actix_web::test]
async fn an_unknown_limit_is_the_programs_fault() {
    async fn chat(lease: Lease) -> Result<HttpResponse, LimitError> {
        lease.adjust("secret-name", 1)?;
        Ok(HttpResponse::Ok().finish())
    }
    let limit = ZaeLimit::new(limiter([rpm(10)]).await);
    let app = init_service(App::new().wrap(limit).route("/chat", web::get().to(chat))).await;
    let answer = get(&app, "/chat", ALICE).await;
    assert_eq!((answer.status, answer.header("ratelimit")), (500, Some("\"rpm\";r=9;t=6")), "it had been let through");
    assert!(!answer.body.contains("secret-name") && !answer.body.contains("rpm"), "{}", answer.body);
}

#[actix_web::test]
async fn the_decision_tells_what_is_left() {
    async fn handler(limited: RateLimited) -> String {
        assert!(matches!(limited.outcome(), Outcome::Admitted(_)));
        assert_eq!(limited.entity(), Some(&EntityId::new("ip:203.0.113.7").unwrap()));
        format!("{:?} {:?}", limited.remaining("rpm"), limited.remaining("tpm"))
    }
    let limit = ZaeLimit::new(limiter([rpm(10)]).await);
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(handler))).await;
    assert_eq!(get(&app, "/", ALICE).await.body, "Some(9) None");
}

#[actix_web::test]
async fn skipped_and_shadowed_requests_have_a_lease_that_holds_nothing() {
    async fn handler(lease: Lease, option: Option<Lease>, limited: RateLimited) -> Result<String, LimitError> {
        assert!(option.is_some_and(|lease| lease.handle().is_none()));
        lease.adjust("whatever", 1)?;
        lease.consume(Cost::of("whatever", 1)).await?;
        let shadowed = matches!(limited.outcome(), Outcome::WouldRefuse(_));
        Ok(format!("{} {shadowed}", lease.handle().is_some()))
    }
    let limiter = limiter([rpm(1)]).await;
    let skipping = ZaeLimit::new(limiter.clone()).skip(|_| true);
    let app = init_service(App::new().wrap(skipping).route("/", web::get().to(handler))).await;
    assert_eq!(get(&app, "/", ALICE).await.body, "false false");
    let shadow = ZaeLimit::new(limiter).cost(Cost::of("rpm", 2)).shadow();
    let app = init_service(App::new().wrap(shadow).route("/", web::get().to(handler))).await;
    let answer = get(&app, "/", ALICE).await;
    assert_eq!((answer.body.as_str(), answer.header("ratelimit")), ("false true", None));
}

#[actix_web::test]
async fn the_lease_is_the_innermost_limits_or_holds_nothing() {
    async fn handler(lease: Lease) -> Result<String, LimitError> {
        lease.adjust("tpm", 1)?;
        Ok(lease.handle().is_some().to_string())
    }
    let tokens = ZaeLimit::new(limiter([tpm(1)]).await).cost(Cost::of("tpm", 400)).shadow();
    let requests = ZaeLimit::new(limiter([rpm(9)]).await);
    let app = App::new().wrap(tokens).wrap(requests).route("/", web::get().to(handler));
    let answer = get(&init_service(app).await, "/", ALICE).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "false"));
}

#[actix_web::test]
async fn without_a_limit_extractors_fail_and_options_are_none() {
    async fn optional(lease: Option<Lease>, limited: Option<RateLimited>) -> String {
        format!("{} {}", lease.is_some(), limited.is_some())
    }
    let app = App::new()
        .route("/lease", web::get().to(|_: Lease| async { "" }))
        .route("/limited", web::get().to(|_: RateLimited| async { "" }))
        .route("/optional", web::get().to(optional));
    let app = init_service(app).await;
    for path in ["/lease", "/limited"] {
        let answer = get(&app, path, ALICE).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(!answer.body.contains("wrap"), "what is wrong is for the log");
    }
    assert_eq!(get(&app, "/optional", ALICE).await.body, "false false");
}

#[actix_web::test]
async fn a_handler_with_a_limiter_of_its_own_answers_as_the_middleware_does() {
    async fn mail(limiter: web::Data<RateLimiter>) -> Result<&'static str, LimitError> {
        let lease = limiter.acquire("tenant-1", "mail", Cost::of("rpm", 1)).await?;
        lease.commit().await?;
        Ok("sent")
    }
    let data = web::Data::new(limiter([rpm(1)]).await);
    let app = init_service(App::new().app_data(data).route("/mail", web::get().to(mail))).await;
    assert_eq!(get(&app, "/mail", ALICE).await.status, 200);
    let refused = get(&app, "/mail", ALICE).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    assert_eq!(refused.header("ratelimit"), Some("\"rpm\";r=0;t=60"));
    assert!(!refused.body.contains("tenant-1"));
}
