//! The server with a `/metrics` page.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

#[tokio::test]
async fn the_page_counts_what_was_decided_in_buckets_that_add_up() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_metrics"))
        .env("ZAE_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("it says where it listens");
    let base = line.strip_prefix("Listening on ").and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    for _ in 0..61 {
        reqwest::get(&base).await.unwrap();
    }
    let page = reqwest::get(format!("{base}metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "zae_acquires_total{outcome=\"granted\"} 60",
        "zae_acquires_total{outcome=\"refused\"} 1",
        "zae_http_decisions_total{outcome=\"admitted\",reason=\"none\"} 60",
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in {page}");
    }
    assert!(page.contains("zae_store_write_seconds_bucket{le=\"0.01\"}"), "{page}");
}
