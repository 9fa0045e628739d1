//! The gateway as a newcomer runs it, without a model of their own and with one.

use std::{
    process::Stdio,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    sync::Mutex,
};
use zae_axum::Limit;

struct Gateway {
    address: String,
    _child: Child,
    /// It prints as long as it runs.
    lines: Mutex<Lines<BufReader<ChildStdout>>>,
}

async fn start(upstream: Option<&str>) -> Gateway {
    start_with(upstream, &[]).await
}

async fn start_with(upstream: Option<&str>, settings: &[(&str, &str)]) -> Gateway {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm_gateway"));
    command.env("ZAE_LISTEN", "127.0.0.1:0").env("GATEWAY_KEYS", "alice=sk-alice,bob=sk-bob");
    for unset in ["ZAEL_STACK", "OPENAI_BASE_URL", "OPENAI_API_KEY"] {
        command.env_remove(unset);
    }
    command.envs(settings.iter().copied());
    if let Some(upstream) = upstream {
        // Another gateway is model enough.
        command.env("OPENAI_BASE_URL", format!("http://{upstream}/v1")).env("OPENAI_API_KEY", "sk-bob");
    }
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("it says where it listens");
        if let Some(rest) = line.strip_prefix("Listening on http://") {
            let address = rest.split('/').next().unwrap().to_owned();
            return Gateway { address, _child: child, lines: Mutex::new(lines) };
        }
    }
}

impl Gateway {
    /// A connection on which the request was sent.
    async fn send(&self, key: &str, line: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\naccept-encoding: gzip\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn call(&self, key: &str, line: &str, body: &str) -> (u16, String, String) {
        let mut text = String::new();
        self.send(key, line, body).await.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    async fn chat(&self, key: &str, request: &Value) -> (u16, String, String) {
        self.call(key, "POST /v1/chat/completions", &request.to_string()).await
    }

    /// Waits for a line that says what a call cost.
    async fn says(&self, start: &str) -> String {
        let said = async {
            let mut lines = self.lines.lock().await;
            loop {
                let line = lines.next_line().await.unwrap().expect("it runs");
                if line.starts_with(start) {
                    return line;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), said).await.expect(start)
    }

    /// Number of `model`'s tokens that `key` has left.
    async fn left(&self, key: &str, model: &str) -> i64 {
        let (status, head, body) = self.call(key, "GET /usage", "").await;
        assert_eq!(status, 200, "{head}");
        serde_json::from_str::<Value>(&body).unwrap()["left"][model]["tpm"].as_i64().unwrap()
    }

    /// Waits until `key` has `micros` millionths of a dollar left for `model`.
    async fn budget_is(&self, key: &str, model: &str, micros: i64) {
        let settled = async {
            loop {
                let (_, _, body) = self.call(key, "GET /usage", "").await;
                let left =
                    serde_json::from_str::<Value>(&body).unwrap()["left"][model]["microdollars"].as_i64().unwrap();
                if left == micros {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.expect("it is settled");
    }

    /// Waits until `key` has at least `tokens` left, as settlements are written a moment after the answer. Estimates of
    /// a thousand tokens would take half a minute to come back by themselves.
    async fn settles_at(&self, key: &str, model: &str, tokens: i64) {
        let settled = async {
            while self.left(key, model).await < tokens {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.expect("it is settled");
    }
}

fn request(model: &str, max_tokens: u64, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "Hi!"}]);
    let mut request = json!({"model": model, "max_tokens": max_tokens, "stream": stream, "messages": messages});
    if stream {
        request["stream_options"] = json!({"include_usage": true});
    }
    request
}

#[tokio::test]
async fn keys_pay_for_what_the_model_reports() {
    let gateway = start(None).await;
    let (status, ..) = gateway.call("sk-eve", "GET /usage", "").await;
    assert_eq!(status, 401);

    // Half of the tokens are taken, and nearly all of them given back.
    let (status, head, body) = gateway.chat("sk-alice", &request("gpt-5", 1_000, false)).await;
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("\"tpm\";q=2000;qu=\"tokens\";w=60"), "{head}");
    assert!(body.contains("\"total_tokens\":41"), "{body}");
    gateway.settles_at("sk-alice", "gpt-5", 2_000 - 41).await;

    // One token of input and 40 of output, at $1.25 and $10 per million.
    assert_eq!(gateway.says("alice used gpt-5:").await, "alice used gpt-5: $0.000402, $0.000402 in all");

    let (_, head, body) = gateway.chat("sk-alice", &request("gpt-5-mini", 1_000, true)).await;
    assert!(head.contains("text/event-stream"), "{head}");
    assert!(body.contains("\"total_tokens\":41") && body.trim_end().ends_with("0"), "{body}");
    gateway.settles_at("sk-alice", "gpt-5-mini", 2_000 - 41).await;

    // Whoever hangs up in the middle pays the estimate.
    let mut hung_up =
        gateway.send("sk-bob", "POST /v1/chat/completions", &request("gpt-5", 1_900, true).to_string()).await;
    let mut some = [0; 300];
    hung_up.read_exact(&mut some).await.unwrap();
    drop(hung_up);
    let (status, head, body) = gateway.chat("sk-bob", &request("gpt-5", 1_900, false)).await;
    assert_eq!(status, 429, "{head}");
    assert!(head.contains("retry-after: "), "{head}");
    assert!(body.contains("\"violated-policies\":[\"tpm\"]") && !body.contains("bob"), "{body}");

    let (status, head, _) = gateway.chat("sk-bob", &request("gpt-5", 2_001, false)).await;
    assert_eq!(status, 429, "{head}");
    assert!(!head.contains("retry-after"), "it never fits: {head}");
}

#[tokio::test]
async fn calls_go_to_the_model_that_is_set() {
    let model = start(None).await;
    let gateway = start(Some(&model.address)).await;
    let (status, head, body) = gateway.chat("sk-alice", &request("gpt-5", 1_500, true)).await;
    assert_eq!(status, 200, "{head}{body}");
    assert!(body.contains("\"total_tokens\":41"), "{body}");
    gateway.settles_at("sk-alice", "gpt-5", 2_000 - 41).await;
    assert_eq!(model.left("sk-alice", "gpt-5").await, 2_000, "the call went there with the gateway's own key");
    let (status, ..) = gateway.call("sk-alice", "POST /v1/unknown", "{}").await;
    assert_eq!(status, 404);
}

/// A thousandth of a dollar is enough for two calls of $0.000402 of which the estimates fit, and the third waits for
/// the next month in Berlin.
#[tokio::test]
async fn a_month_s_budget_is_reserved_by_estimates_settled_exactly_and_refuses_until_the_month_is_over() {
    let zone = "Europe/Berlin";
    let gateway = start_with(None, &[("GATEWAY_BUDGET", "0.001"), ("GATEWAY_ZONE", zone)]).await;
    let month = Limit::quota("usd", 1).monthly().zone(zone).build().unwrap();
    for spent in [402, 804] {
        let (status, head, _) = gateway.chat("sk-alice", &request("gpt-5", 40, false)).await;
        assert_eq!(status, 200, "{head}");
        gateway.budget_is("sk-alice", "gpt-5", 1_000 - spent).await;
    }
    let left_of_month = || {
        let now = SystemTime::now();
        month.next_reset(now).unwrap().duration_since(now).unwrap().as_secs()
    };
    let (status, head, body) = gateway.chat("sk-alice", &request("gpt-5", 40, false)).await;
    let wait = left_of_month();
    assert_eq!(status, 429, "{head}");
    assert!(body.contains("\"violated-policies\":[\"microdollars\"]"), "{body}");
    let number = |after: &str| {
        let (_, rest) = head.split_once(after).unwrap_or_else(|| panic!("{after} in {head}"));
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    // The whole seconds until then, rounded up; a few may pass between the two looks at the clock.
    let retry_after = number("retry-after: ");
    assert!((wait..=wait + 5).contains(&retry_after), "{retry_after}, and {wait} are left of the month");
    let reset = number("\"microdollars\";r=196;t=");
    assert!((wait..=wait + 5).contains(&reset), "{reset}, and {wait} are left of the month");
    // The budgets of others, and of other models, are theirs.
    for (key, model) in [("sk-bob", "gpt-5"), ("sk-alice", "gpt-5-mini")] {
        let (status, head, _) = gateway.chat(key, &request(model, 40, false)).await;
        assert_eq!(status, 200, "{head}");
    }
}
