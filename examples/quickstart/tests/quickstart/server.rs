//! The behaviour of the quickstart's server and of its twin on actix-web, as a newcomer runs them.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

struct Quickstart {
    child: Child,
    address: String,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

async fn start(program: &str) -> Quickstart {
    let mut child = Command::new(program)
        .env("ZAE_LISTEN", "127.0.0.1:0")
        .env_remove("ZAEL_STACK")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it says where it listens");
        if let Some(rest) = line.strip_prefix("Listening on http://") {
            break rest.split('/').next().unwrap().to_owned();
        }
    };
    Quickstart { child, address, lines }
}

/// Status, headers in lower case, body.
async fn get(address: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

pub(crate) async fn refuses_the_sixth_request_and_stops_gracefully(program: &str) {
    let mut server = start(program).await;
    for left in (0..5).rev() {
        let (status, head, body) = get(&server.address).await;
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("ratelimit-policy: \"rpm\";q=5;w=60"), "{head}");
        assert!(head.contains(&format!("ratelimit: \"rpm\";r={left};t=")), "{head}");
        let requests = if left == 1 { "request" } else { "requests" };
        assert!(body.contains(&format!(" {left} {requests} left")), "{body}");
    }

    let (status, head, body) = get(&server.address).await;
    assert_eq!(status, 429, "{head}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let wait = head.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("it says when");
    let wait: u64 = wait.parse().unwrap();
    assert!((1..=12).contains(&wait), "one of five per minute comes back every 12 s, not in {wait} s");
    assert!(head.contains(&format!("ratelimit: \"rpm\";r=0;t={wait}")), "{head}");
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["rpm"]));
    assert!(!body.contains("127.0.0.1"), "no entity in the answer: {body}");

    let id = server.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(server.child.wait().await.unwrap().success());
    let mut last = String::new();
    while let Some(line) = server.lines.next_line().await.unwrap() {
        last = line;
    }
    assert_eq!(last, "All settled.");
}

pub(crate) async fn says_that_an_address_is_bad_and_fails(program: &str) {
    let output =
        Command::new(program).env("ZAE_LISTEN", "not an address").env_remove("ZAEL_STACK").output().await.unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot listen on not an address"), "{text}");
}
