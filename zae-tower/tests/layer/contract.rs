//! Tests of Tower's contract for a middleware, and of the behaviour that callers rely on.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::support::{Ends, Text, from, get, hello};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit, service_fn};
use zae_testkit::{left, limiter, read, rpm, tpm};
use zae_tower::{
    Cost, Decision, EntityId, Limit, Reserve, ZaeLimit, entity,
    extract::{Extract, Extracted, Extractor},
    settle::End,
};

/// Accepts a single call, only on the instance that was polled ready.
#[derive(Debug, Default)]
struct Picky {
    ready: bool,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<Text>> for Picky {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Text>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Text>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        ready(Ok(Response::new(Text::default())))
    }
}

#[tokio::test]
async fn the_instance_that_was_ready_is_called() {
    let layer = ZaeLimit::new(limiter([rpm(100)]).await);
    let mut service = layer.layer(layer.layer(Picky::default()));
    for _ in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(get()).await.unwrap().status(), 200);
        assert_eq!(service.clone().ready().await.unwrap().call(get()).await.unwrap().status(), 200);
    }
}

/// Ready at the second poll.
struct Late;

impl Extractor for Late {
    type Output = EntityId;
}

impl<R: Send> Extract<R> for Late {
    const AT_ONCE: bool = true;

    async fn extract(&self, _: &mut R) -> Extracted<EntityId> {
        tokio::task::yield_now().await;
        Ok(Some(EntityId::new("late")?))
    }
}

#[tokio::test]
async fn a_grant_at_once_is_a_grant_like_any_other() {
    const CAPACITY: i64 = 1_000_000;
    let limiter =
        limiter([Limit::per("rpm", 1, Duration::from_secs(10_000_000)).unwrap().with_burst(CAPACITY as u64).unwrap()])
            .await;
    let layer = ZaeLimit::new(&limiter).reserve(Reserve::All).deadline(Duration::from_secs(10)).entity(
        entity::header("x-user-id").or(entity::extension()).or(Late.map(|_: EntityId| EntityId::new("nobody"))),
    );
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut service = layer.layer(service_fn(move |request: Request<Text>| {
        let lease = request.extensions().get::<Decision>().and_then(Decision::lease).expect("a lease");
        assert_eq!((lease.entity().as_str(), lease.resource().as_str()), ("user-1", "default"));
        count.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, Infallible>(Response::new(Text::from("hello"))))
    }));
    let (mut charged, mut at_once) = (0, 0);
    while at_once < 100 {
        let before = calls.load(Ordering::SeqCst);
        let response = service.ready().await.unwrap().call(from("user-1"));
        if calls.load(Ordering::SeqCst) > before {
            at_once += 1;
        }
        // Every other one is never polled; if the handler was called, it counts nevertheless.
        if at_once % 2 == 1 {
            charged += i64::from(calls.load(Ordering::SeqCst) > before);
            drop(response);
        } else {
            let response = response.await.unwrap();
            charged += 1;
            assert!(response.headers().contains_key("ratelimit"));
            assert!(response.extensions().get::<Decision>().is_none(), "not announced");
        }
        tokio::task::yield_now().await;
    }
    layer.shutdown().await;
    assert_eq!(left(&limiter, "user-1", "rpm").await, CAPACITY - charged);
}

#[tokio::test]
async fn an_extractor_that_waits_although_it_said_it_would_not_is_waited_for() {
    let limiter = limiter([rpm(100)]).await;
    let layer = ZaeLimit::new(&limiter).entity(Late);
    let service = layer.layer(service_fn(hello));
    assert_eq!(service.oneshot(get()).await.unwrap().status(), 200);
    assert_eq!(left(&limiter, "late", "rpm").await, 99);
}

#[tokio::test]
async fn grants_are_announced_where_somebody_wants_to_know() {
    let layer = ZaeLimit::new(limiter([rpm(100)]).await).announce_grants();
    let response = layer.layer(service_fn(hello)).oneshot(from("user-1")).await.unwrap();
    let decision = response.extensions().get::<Decision>().expect("a decision");
    assert_eq!(decision.entity().map(EntityId::as_str), Some("user-1"));
    assert_eq!(decision.remaining("rpm"), Some(99));
}

#[tokio::test]
async fn readiness_is_the_inner_services_and_takes_no_tokens() {
    let limiter = limiter([rpm(5)]).await;
    let mut service = ZaeLimit::new(&limiter).layer(Picky::default());
    for _ in 0..10 {
        service.ready().await.unwrap();
    }
    drop(service.clone());
    assert!(service.get_ref().ready);
    assert_eq!(left(&limiter, "anonymous", "rpm").await, 5);
}

#[tokio::test]
async fn concurrency_limits_inside_are_respected() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        service_fn(move |_: Request<Text>| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Text::default()))
            }
        })
    };
    let service = ZaeLimit::new(limiter([rpm(8)]).await).layer(ConcurrencyLimit::new(handler, 2));
    let calls = (0..20).map(|_| tokio::spawn(service.clone().oneshot(get())));
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 8);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 12);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn buffers_inside_and_outside_work() {
    let layer = ZaeLimit::new(limiter([rpm(10)]).await);
    let service = Buffer::new(layer.layer(Buffer::new(service_fn(hello), 1)), 1);
    let calls = (0..20).map(|_| tokio::spawn(service.clone().oneshot(get())));
    let mut admitted = 0;
    for call in calls.collect::<Vec<_>>() {
        admitted += usize::from(call.await.unwrap().unwrap().status() == 200);
    }
    assert_eq!(admitted, 10);
}

#[tokio::test]
async fn all_services_of_a_layer_share_its_limits() {
    let layer = ZaeLimit::new(limiter([rpm(3)]).await);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = layer.clone().layer(service_fn(hello)).oneshot(from("user-1")).await.unwrap();
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[tokio::test]
async fn nested_layers_add_their_headers_and_both_settle() {
    let (outer, inner) = (limiter([rpm(5)]).await, limiter([tpm(1_000)]).await);
    let (outer_ends, inner_ends) = (Ends::default(), Ends::default());
    let service = ZaeLimit::new(&outer).settle(outer_ends.clone()).layer(
        ZaeLimit::new(&inner)
            .entity(entity::fixed(zae_tower::EntityId::new("all").unwrap()))
            .cost(Cost::of("tpm", 400))
            .settle(inner_ends.clone())
            .layer(service_fn(|request: Request<Text>| async move {
                request.extensions().get::<Decision>().and_then(Decision::lease).unwrap().adjust("tpm", 100).unwrap();
                Ok::<_, Infallible>(Response::new(Text::from("done")))
            })),
    );
    let response = service.clone().oneshot(from("user-1")).await.unwrap();
    let policies: Vec<_> = response.headers().get_all("ratelimit-policy").iter().collect();
    assert_eq!(policies.len(), 2, "{policies:?}");
    read(response.into_body()).await;
    assert_eq!((outer_ends.take(), inner_ends.take()), (vec![End::Complete], vec![End::Complete]));

    // The inner layer refuses: the outer one reports that, and its own charge stays.
    read(service.clone().oneshot(from("user-1")).await.unwrap().into_body()).await;
    let refused = service.oneshot(from("user-1")).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.extensions().get::<Decision>().unwrap().is_refused());
    drop(refused);
    assert_eq!(left(&outer, "user-1", "rpm").await, 2);
}

/// An inner layer that takes nothing leaves no lease, not even that of an outer layer with other limits.
#[tokio::test]
async fn the_lease_is_the_innermost_layers_or_none() {
    let (outer, inner) = (limiter([rpm(9)]).await, limiter([tpm(1)]).await);
    let tokens = || ZaeLimit::new(&inner).cost(Cost::of("tpm", 400));
    let handler = || {
        service_fn(|request: Request<Text>| async move {
            Ok::<_, Infallible>(Response::new(Text::from(
                match request.extensions().get::<Decision>().and_then(Decision::lease) {
                    Some(lease) => format!("{:?}", lease.consumed()),
                    None => "none".to_owned(),
                },
            )))
        })
    };
    let outer = ZaeLimit::new(&outer);
    let shadowed = outer.layer(tokens().shadow().layer(handler())).oneshot(get()).await.unwrap();
    assert_eq!(read(shadowed.into_body()).await, "none");
    let skipped = outer.layer(tokens().skip(|_| true).layer(handler())).oneshot(get()).await.unwrap();
    assert_eq!(read(skipped.into_body()).await, "none");
    let alone = outer.layer(handler()).oneshot(get()).await.unwrap();
    assert_eq!(read(alone.into_body()).await, "{\"rpm\": 1}");
}

#[tokio::test]
async fn errors_are_the_inner_services_and_give_back() {
    let limiter = limiter([rpm(5)]).await;
    let ends = Ends::default();
    let layer = ZaeLimit::new(&limiter).settle(ends.clone());
    let service = layer.layer(service_fn(|_: Request<Text>| async { Err::<Response<Text>, _>("broken") }));
    assert_eq!(service.oneshot(get()).await.unwrap_err(), "broken");
    assert_eq!(ends.take(), [End::ServiceFailed]);
    assert_eq!(left(&limiter, "anonymous", "rpm").await, 5);
}

#[tokio::test]
async fn dropping_the_future_before_the_decision_takes_nothing_and_after_it_counts() {
    let limiter = limiter([rpm(5)]).await;
    let layer = ZaeLimit::new(&limiter);
    let service =
        layer.layer(service_fn(|_: Request<Text>| std::future::pending::<Result<Response<Text>, Infallible>>()));
    drop(service.clone().oneshot(from("early")));
    // Runs until the handler waits forever.
    let started = Arc::new(tokio::sync::Notify::new());
    let waiting = {
        let started = Arc::clone(&started);
        layer.layer(service_fn(move |_: Request<Text>| {
            started.notify_one();
            std::future::pending::<Result<Response<Text>, Infallible>>()
        }))
    };
    let call = tokio::spawn(waiting.oneshot(from("late")));
    tokio::select! {
        () = started.notified() => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("the handler was not reached"),
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(left(&limiter, "late", "rpm").await, 4);
    assert_eq!(left(&limiter, "early", "rpm").await, 5);
}

#[test]
fn what_axum_and_others_demand_of_services() {
    fn demand<S>(_: &S)
    where
        S: Service<Request<axum::body::Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
    }
    fn layer<L: Clone + Send + Sync + 'static>(_: &L) {}
    #[allow(dead_code, reason = "compiling it is the test")]
    fn check(limiter: zae_tower::RateLimiter) {
        let zae = ZaeLimit::new(limiter);
        layer(&zae);
        demand(&zae.layer(service_fn(|_: Request<axum::body::Body>| async {
            Ok::<_, Infallible>(Response::new(axum::body::Body::empty()))
        })));
    }
}

/// A server may report that it has stopped before its last connection is closed.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_last_requests_but_not_for_ever() {
    let limiter = limiter([rpm(10)]).await;
    let layer = ZaeLimit::new(&limiter);
    let response = layer.layer(service_fn(|request: Request<Text>| async move {
        request.extensions().get::<Decision>().and_then(Decision::lease).unwrap().adjust("rpm", 3).unwrap();
        Ok::<_, Infallible>(Response::new(Text::from("late")))
    }));
    let (late, never) = (response.clone().oneshot(from("late")).await, response.oneshot(from("never")).await);
    let started = tokio::time::Instant::now();
    let shutdown = tokio::spawn(layer.shutdown());
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!shutdown.is_finished());
    drop(late);
    shutdown.await.unwrap();
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(left(&limiter, "late", "rpm").await, 6);
    assert_eq!(left(&limiter, "never", "rpm").await, 9);
    drop(never);
}
