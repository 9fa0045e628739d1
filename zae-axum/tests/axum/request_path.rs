//! The benchmark's routers answer, and the limited one really limits, so the benchmark times the whole path.

#[path = "../../benches/routers/mod.rs"]
mod routers;

#[tokio::test]
async fn the_benchmarked_path_is_the_whole_path() {
    let (limited, layer) = routers::limited().await;
    let (reserving, other) = routers::reserving().await;
    for (app, policy) in [
        (routers::plain(), None),
        (routers::governed(), None),
        (limited.clone(), Some("\"rpm\";q=1000000000;w=60")),
        (limited, Some("\"rpm\";q=1000000000;w=60")),
        (reserving.clone(), Some("\"rpm\";q=1000000000;w=60")),
        (reserving, Some("\"rpm\";q=1000000000;w=60")),
    ] {
        let (headers, body) = routers::ask(app, routers::request()).await;
        assert_eq!(body, "hello");
        assert_eq!(headers.get("ratelimit-policy").map(|value| value.to_str().unwrap()), policy);
    }
    let (told, _) = routers::ask(routers::governed_telling(), routers::request()).await;
    assert!(told.contains_key("x-ratelimit-remaining"), "{told:?}");
    layer.shutdown().await;
    other.shutdown().await;
}
