//! `audit list`.

use crate::stage::Stage;

fn with_history() -> Stage {
    let stage = Stage::deployed();
    let by = ["--principal", "ops@example.com"];
    let arn = "arn:aws:sts::123456789012:assumed-role/a-role-with-quite-a-long-name/somebody@example.com";
    let run = |args: &[&str]| drop(stage.ok(args));
    run(&[&["entity", "create", "user-1", "--parent", "proj-1", "--cascade", "-m", "team=a"][..], &by].concat());
    run(&["entity", "set-limits", "user-1", "-r", "gpt-4", "-l", "rpm:5", "-l", "tpm:10000:15000", "--principal", arn]);
    run(&["entity", "delete-limits", "user-1", "-r", "gpt-4", "--yes"]);
    run(&[&["resource", "set-defaults", "gpt-4", "-l", "rpm:50"][..], &by].concat());
    run(&[&["system", "set-defaults", "-l", "rpm:9", "--on-unavailable", "allow"][..], &by].concat());
    run(&[&["system", "delete-defaults", "--yes"][..], &by].concat());
    stage
}

#[test]
fn changes_are_listed_newest_first_with_who_made_them() {
    let stage = with_history();
    stage.shows("audit-entity", &["audit", "list", "--entity-id", "user-1"]);
    stage.shows("audit-resource", &["audit", "list", "--for-resource", "gpt-4"]);
    stage.shows("audit-system", &["audit", "list", "--for-system"]);
    stage.shows("audit-none", &["audit", "list", "-e", "nobody"]);
    // The stored names of targets work as well.
    assert_eq!(stage.ok(&["audit", "list", "-e", "$SYSTEM"]), stage.ok(&["audit", "list", "--for-system"]));
    assert_eq!(
        stage.ok(&["audit", "list", "-e", "$RESOURCE:gpt-4"]),
        stage.ok(&["audit", "list", "--for-resource", "gpt-4"])
    );
}

#[test]
fn pages_follow_each_other() {
    let stage = with_history();
    let list = ["audit", "list", "-e", "user-1"];
    let all = stage.json(&list)["events"].as_array().unwrap().clone();
    assert_eq!(all.len(), 3);
    let first = stage.json(&[&list[..], &["--limit", "2"]].concat());
    let next = first["next"].as_str().unwrap();
    let hint = stage.ok(&[&list[..], &["-l", "2"]].concat());
    assert!(hint.contains(&format!("More events may exist. Use --start-event-id {next}")), "{hint}");
    let second = stage.json(&[&list[..], &["--start-event-id", next]].concat());
    assert_eq!(
        [first["events"].as_array().unwrap().clone(), second["events"].as_array().unwrap().clone()].concat(),
        all
    );
}

#[test]
fn the_whole_namespace_is_listed_and_narrowed_down() {
    let stage = with_history();
    stage.shows("audit-namespace", &["audit", "list"]);
    let all = stage.json(&["audit", "list"])["events"].as_array().unwrap().len();
    assert_eq!(all, 6);
    let count =
        |args: &[&str]| stage.json(&[&["audit", "list"][..], args].concat())["events"].as_array().unwrap().len();
    assert_eq!(count(&["--start", "1h"]), all);
    assert_eq!((count(&["--end", "1h"]), count(&["--start", "2026-01-01", "--end", "2026-01-02"])), (0, 0));
    assert_eq!(count(&["--action", "limits_deleted"]), 2);
    assert_eq!(count(&["--principal", "somebody@example.com"]), 1);
    assert_eq!(count(&["-e", "user-1", "--action", "limits_set", "--principal", "ops"]), 0);
    stage.shows("audit-namespace-none", &["audit", "list", "--end", "1h"]);
}

#[test]
fn what_was_there_before_is_shown() {
    let stage = Stage::deployed();
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:50", "-l", "tpm:1000"]);
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:60", "-l", "rpd:9/day"]);
    stage.ok(&["resource", "delete-defaults", "gpt-4", "--yes"]);
    let list = stage.ok(&["audit", "list", "--for-resource", "gpt-4", "--principal", ""]);
    for (what, expected) in [
        ("set", "rpm: 50/min, tpm: 1,000/min"),
        ("replaced", "rpm: 50/min → 60/min"),
        ("added", "new rpd: 9/day"),
        ("taken away", "was tpm: 1,000/min"),
        ("deleted", "was rpd: 9/day"),
    ] {
        let words = |text: &str| text.split(|c: char| c.is_whitespace() || c == '|').collect::<String>();
        assert!(words(&list).contains(&words(expected)), "{what}: {list}");
    }
}

#[test]
fn tables_fit_the_terminal() {
    let stage = with_history();
    for columns in ["60", "200"] {
        let mut command = stage.command(&["audit", "list", "--entity-id", "user-1"]);
        let ran = crate::stage::run(command.env("COLUMNS", columns));
        assert_eq!(ran.code, 0, "{ran:?}");
        let width: usize = columns.parse().unwrap();
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= width), "{}", ran.stdout);
        stage.snapshot(&format!("audit-{columns}-columns.txt"), &ran.stdout);
    }
}

/// An STS that returns the caller's identity.
async fn sts(listener: tokio::net::TcpListener) {
    let body = "<GetCallerIdentityResponse \
        xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                <Arn>arn:aws:iam::123456789012:user/ops</Arn><UserId>A</UserId><Account>123456789012</Account>\
                </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let answer = axum::Router::new().fallback(async move || ([("content-type", "text/xml")], body));
    axum::serve(listener, answer).await.unwrap();
}

#[test]
fn without_a_name_the_owner_of_the_credentials_did_it() {
    let stage = Stage::deployed();
    let listener = stage.runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    stage.runtime.spawn(sts(listener));
    let mut command = crate::stage::binary();
    command.args(["resource", "set-defaults", "gpt-4", "-l", "rpm:50"]);
    command.env("AWS_ENDPOINT_URL_DYNAMODB", &stage.endpoint).env("AWS_ENDPOINT_URL_STS", endpoint);
    let ran = crate::stage::run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let events = stage.json(&["audit", "list", "--for-resource", "gpt-4"]);
    assert_eq!(events["events"][0]["principal"], "arn:aws:iam::123456789012:user/ops");
}
