//! Messages for a missing stack, table or DynamoDB.

use crate::stage::{Stage, binary, run};

#[test]
fn a_missing_stack_is_an_error_that_names_the_next_command() {
    let stage = Stage::deployed();
    stage.fails("stack-missing", &["resource", "list", "--name", "limitr", "--region", "eu-west-1"], 1);
    stage.fails("stack-missing-namespace", &["namespace", "list", "-n", "other"], 1);
    assert_eq!(stage.tables(), ["limiter"], "nothing is created");
}

#[test]
fn the_environment_names_the_stack() {
    let stage = Stage::deployed();
    let ran = run(stage.command(&["resource", "list"]).env("ZAEL_STACK", "somewhere-else"));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("Stack 'somewhere-else' not found"), "{ran:?}");
    // An option takes precedence, and an empty variable counts as unset.
    let ran = run(stage.command(&["resource", "list", "--name", "limiter"]).env("ZAEL_STACK", "somewhere-else"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(run(stage.command(&["resource", "list"]).env("ZAEL_STACK", "")).code, 0);
}

#[test]
fn an_unreachable_endpoint_is_said_with_what_to_check() {
    // A port that was just released.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let ran = run(binary().args(["resource", "list", "--endpoint-url", &format!("http://127.0.0.1:{port}")]));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("Failed to connect"), "{ran:?}");
    assert!(ran.stderr.contains("is the endpoint right"), "{ran:?}");
}

#[test]
fn a_local_endpoint_needs_neither_region_nor_credentials() {
    let stage = Stage::deployed();
    let mut command = stage.command(&["resource", "list"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env_remove(name);
    }
    let ran = run(command.env("HOME", "/nonexistent"));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn without_credentials_aws_is_not_asked_and_the_error_says_so() {
    let mut command = binary();
    command.args(["resource", "list"]).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no usable AWS credentials"), "{ran:?}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let stage = Stage::deployed();
    let names: Vec<String> = (0..40).map(|i| format!("tenant-{i}")).collect();
    let args: Vec<&str> = ["namespace", "register"].into_iter().chain(names.iter().map(String::as_str)).collect();
    stage.ok(&args);
    let mut child = stage.command(&["namespace", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let stage = Stage::deployed();
    assert!(!stage.ok(&["namespace", "list"]).contains('\x1b'));
    assert!(stage.ok(&["namespace", "list", "--color", "always"]).contains('\x1b'));
    let ran = run(stage.command(&["namespace", "list", "--color", "never"]).env("TERM", "xterm"));
    assert!(!ran.stdout.contains('\x1b'));
}

#[test]
fn the_stack_is_limiter_unless_it_is_named() {
    let ran = Stage::empty().run(&["resource", "list"]);
    assert!(ran.stderr.contains("Stack 'limiter' not found"), "{ran:?}");
}
