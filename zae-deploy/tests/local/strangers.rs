//! Attacks on a local stack by web pages and by other users of the machine, all of which must fail.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::Stack;

/// The answer to a request, written as it is sent.
fn ask(stack: &Stack, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let port = stack.endpoint().rsplit(':').next().unwrap();
    let mut connection = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.to_lowercase()
}

const INVOKE: &str = "/2015-03-31/functions/limiter-limits-provisioner/invocations";
const APPLY: &str = r#"{"action":"apply","manifest":{"resources":{"gpt-4":{"limits":{"rpm":{"capacity":7}}}}}}"#;
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_pages_are_refused_and_may_read_nothing() {
    let (stack, _) = Stack::up(&[]);
    let calls = [
        ("POST", INVOKE, ("content-type", "text/plain"), APPLY),
        ("POST", "/", FORM, "Action=DeleteStack&StackName=limiter&Version=2010-05-15"),
        ("POST", "/", ("x-amz-target", "DynamoDB_20120810.ListTables"), "{}"),
        ("GET", "/_zae/status", FORM, ""),
        ("GET", "/", FORM, ""),
        ("OPTIONS", "/", FORM, ""),
    ];
    for (method, path, header, body) in calls {
        for stranger in [
            &[("host", "localhost"), ("origin", "https://evil.example")][..],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            &[("host", "evil.example")],
        ] {
            let answer = ask(&stack, method, path, &[&[header], stranger].concat(), body);
            assert!(answer.starts_with("http/1.1 403"), "{method} {path} {stranger:?}: {answer}");
            assert!(!answer.contains("access-control"), "{method} {path} {stranger:?}: {answer}");
        }
        let page = [header, ("host", "localhost"), ("origin", "http://localhost:3000")];
        let answer = ask(&stack, method, path, &page, "");
        assert!(!answer.contains("access-control"), "{method} {path}: {answer}");
    }
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("No defaults configured"));
    assert!(stack.ok(&["local", "status"]).contains("running"));
}

/// Only a process that can read the stack's own file may stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_stop_it() {
    let (stack, _) = Stack::up(&[]);
    let answer = ask(&stack, "POST", "/_zae/stop", &[("host", "localhost")], "");
    assert!(answer.starts_with("http/1.1 403"), "{answer}");
    assert!(stack.ok(&["local", "status"]).contains("running"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_to_go_elsewhere_is_not_sent_and_nothing_is_changed() {
    let (stack, _) = Stack::up(&[]);
    for url in ["http://192.0.2.1/elsewhere", "https://evil.example/", "http://localhost.evil.example:1/"] {
        let event = format!(
            r#"{{"RequestType":"Create","ResponseURL":"{url}","StackId":"s","RequestId":"r","LogicalResourceId":"L",
            "ResourceProperties":{{"Resources":{{"gpt-4":{{"Limits":{{"rpm":{{"Capacity":"7"}}}}}}}}}}}}"#
        );
        let answer = ask(&stack, "POST", INVOKE, &[("host", "localhost")], &event);
        assert!(answer.contains("x-amz-function-error") && answer.contains("nothing was changed"), "{answer}");
    }
    assert!(stack.ok(&["resource", "get-defaults", "gpt-4"]).contains("No defaults configured"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_files_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (stack, _) = Stack::up(&["--keep"]);
    let folder = stack.folder.path().join("local").join("limiter");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, if path.is_dir() { mode(&path) & 0o077 } else { 0 }, "{}", path.display());
    }
    assert!(folder.join("running.json").exists() && folder.join("data.sqlite").exists());
}

/// The database's own server answers web pages, so only the front may listen.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_one_port_of_this_machine() {
    let (stack, _) = Stack::up(&[]);
    stack.ok(&["system", "set-defaults", "-l", "rpm:100"]);
    let status: Value = serde_json::from_str(&stack.ok(&["local", "status", "--output", "json"])).unwrap();
    let process = format!("/proc/{}", status["pid"]);
    let files = std::fs::read_dir(format!("{process}/fd")).unwrap();
    let links: Vec<String> = files
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .map(|link| link.display().to_string())
        .collect();
    let sockets = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap();
    let listening = sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = listening.filter(|row| row[3] == "0A" && links.contains(&format!("socket:[{}]", row[9])));
    let own: Vec<String> = own.map(|row| row[1].to_owned()).collect();
    let port: u16 = stack.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(own, [format!("0100007F:{port:04X}")]);
}
