//! Settings made by closures over actix-web's request.

use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse,
    dev::Service,
    http::Method,
    middleware::Condition,
    test::{TestRequest, init_service},
    web,
};
use zae_actix::{
    Cost, EntityId, Limit, Limits, ResourceName, ZaeLimit, cost, entity,
    extract::{ExtractError, Extractor},
    limits, resource, skip,
};

use crate::ask::{ALICE, ask, get};
use zae_testkit::{left_of as left, limiter, rpm, tpm};

async fn hello() -> &'static str {
    "hello"
}

/// A value left behind by an authentication middleware: neither `Clone` nor `Send`.
struct User {
    id: std::rc::Rc<str>,
    plan: u64,
}

#[actix_web::test]
async fn closures_see_the_whole_request() {
    let limiter = limiter([rpm(1)]).await;
    let limit = ZaeLimit::new(limiter.clone())
        .entity(entity::from_fn(|request| {
            request.extensions().get::<User>().map(|user| EntityId::new(format!("user:{}", user.id)))
        }))
        .resource(resource::from_fn(|request| request.match_info().get("model").map(ResourceName::new)))
        .cost(cost::from_fn(|request| {
            let price = request.app_data::<web::Data<u64>>().map_or(1, |price| ***price);
            Cost::of("rpm", if request.method() == Method::GET { price } else { 2 * price })
        }))
        .limits(limits::from_fn(|request| {
            let extensions = request.extensions();
            let user = extensions.get::<User>()?;
            Some(Limit::per_minute("rpm", user.plan).map(Limits::from))
        }));
    let app = App::new()
        .app_data(web::Data::new(3_u64))
        .service(web::resource("/models/{model}").wrap(limit).to(hello))
        .wrap_fn(|request, next| {
            request.extensions_mut().insert(User { id: "7".into(), plan: 10 });
            next.call(request)
        });
    let app = init_service(app).await;
    assert_eq!(get(&app, "/models/gpt-4", ALICE).await.header("ratelimit"), Some("\"rpm\";r=7;t=18"));
    let posted = ask(&app, TestRequest::post().uri("/models/gpt-4")).await;
    assert_eq!(posted.header("ratelimit"), Some("\"rpm\";r=1;t=54"));
    assert_eq!(get(&app, "/models/gpt-4", ALICE).await.status, 429);
    assert_eq!(get(&app, "/models/gpt-5", ALICE).await.status, 200);
    assert_eq!(get(&app, "/models/a%23b", ALICE).await.status, 400, "a resource has no such name");
}

#[actix_web::test]
async fn futures_and_combinations_work_and_bad_values_stay_bad() {
    let who = entity::header("x-user").or(entity::from_async_fn(|request| {
        let session = request.headers().get("x-session").cloned();
        async move {
            tokio::task::yield_now().await;
            match session.as_ref().map(actix_web::http::header::HeaderValue::as_bytes) {
                Some(b"good") => Ok(Some(EntityId::new("from-session")?)),
                Some(_) => Err(ExtractError::unauthorized("the session has ended")),
                None => Ok(None),
            }
        }
    }));
    let limiter = limiter([rpm(10)]).await;
    let limit = ZaeLimit::new(limiter.clone()).entity(who).require_entity();
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(hello))).await;
    for (name, value, status) in [
        ("x-user", "bob", 200),
        ("x-user", "a#b", 400),
        ("x-session", "good", 200),
        ("x-session", "bad", 401),
        ("x-other", "nobody", 401),
    ] {
        let answer = ask(&app, TestRequest::get().uri("/").insert_header((name, value))).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    assert_eq!(left(&limiter, "bob", "root", "rpm").await, 9);
    assert_eq!(left(&limiter, "from-session", "root", "rpm").await, 9);
}

/// The inner service changes the request, which requires that it is the request's only owner.
#[actix_web::test]
async fn the_inner_service_owns_the_request() {
    let limit = ZaeLimit::new(limiter([rpm(10)]).await).entity(entity::from_async_fn(|_| async {
        tokio::task::yield_now().await;
        EntityId::new("all")
    }));
    let app =
        App::new().wrap(actix_web::middleware::NormalizePath::trim()).wrap(limit).service(web::scope("/a").route(
            "/{b}",
            web::post().to(|request: HttpRequest, body: String| async move {
                format!("{} {body}", &request.match_info()["b"])
            }),
        ));
    let app = init_service(app).await;
    let answer = ask(&app, TestRequest::post().uri("/a//c/").set_payload("payload")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "c payload"));
}

#[actix_web::test]
async fn skipped_requests_cost_nothing() {
    let limiter = limiter([rpm(1)]).await;
    let limit = ZaeLimit::new(limiter.clone()).skip(|request| request.path() == "/health").skip(skip::cors_preflight);
    let app = init_service(App::new().wrap(limit).default_service(web::to(hello))).await;
    let preflight = || {
        let request =
            TestRequest::with_uri("/x").method(Method::OPTIONS).insert_header(("origin", "https://example.com"));
        request.insert_header(("access-control-request-method", "POST"))
    };
    for _ in 0..3 {
        let health = get(&app, "/health", ALICE).await;
        assert_eq!((health.status, health.header("ratelimit")), (200, None));
        assert_eq!(ask(&app, preflight()).await.status, 200);
    }
    assert_eq!(get(&app, "/x", ALICE).await.status, 200);
    assert_eq!(get(&app, "/x", ALICE).await.status, 429);
}

#[actix_web::test]
async fn refusals_can_be_made_ones_own() {
    let limiter = limiter([rpm(1)]).await;
    let changed = ZaeLimit::new(limiter.clone()).announce_grants().refusal(|refusal, mut response| {
        let wait = refusal.retry_after().map_or(0, |wait| wait.as_secs());
        *response.status_mut() = actix_web::http::StatusCode::SERVICE_UNAVAILABLE;
        response.set_body(format!("wait {wait} s")).map_into_boxed_body()
    });
    let replaced = ZaeLimit::new(limiter).refusal(|_, _| HttpResponse::ImATeapot().body("short and stout"));
    let app = App::new()
        .service(web::resource("/changed").wrap(changed).to(hello))
        // An optional middleware.
        .service(web::resource("/replaced").wrap(Condition::new(true, replaced)).to(hello))
        .wrap_fn(|request, next| {
            let response = next.call(request);
            async move {
                let response = response.await?;
                let decision = response.response().extensions().get::<zae_actix::Decision>().cloned();
                let announced = decision.as_ref().map(zae_actix::Decision::is_refused);
                let grants_are = response.request().path() == "/changed";
                assert_eq!(
                    announced,
                    if response.status().is_success() { grants_are.then_some(false) } else { Some(true) }
                );
                Ok(response)
            }
        });
    let app = init_service(app).await;
    assert_eq!(get(&app, "/changed", ALICE).await.status, 200);
    let refused = get(&app, "/changed", ALICE).await;
    assert_eq!((refused.status, refused.body.as_str()), (503, "wait 60 s"));
    assert_eq!(refused.header("retry-after"), Some("60"), "what is not changed stays");
    assert_eq!(get(&app, "/replaced", ALICE).await.status, 200);
    let refused = get(&app, "/replaced", ALICE).await;
    assert_eq!((refused.status, refused.body.as_str()), (418, "short and stout"));
    assert_eq!(refused.header("retry-after"), None);
}

#[actix_web::test]
async fn a_limiter_is_shared_by_all_apps_that_have_a_clone() {
    let limit = ZaeLimit::new(limiter([rpm(3), tpm(10)]).await);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let app = init_service(App::new().wrap(limit.clone()).route("/", web::get().to(hello))).await;
        statuses.push(get(&app, "/", ALICE).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    limit.shutdown().await;
    let app = init_service(App::new().wrap(limit).route("/", web::get().to(hello))).await;
    assert_eq!(get(&app, "/", ALICE).await.status, 503);
}
