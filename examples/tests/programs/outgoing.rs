//! The program of outgoing calls, run as somebody would who tries it.

use tokio::process::Command;

#[tokio::test]
async fn all_clients_stay_within_the_providers_limit_and_pay_what_they_use() {
    let output = Command::new(env!("CARGO_BIN_EXE_outgoing")).output().await.unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}{errors}");
    let lines: Vec<&str> = text.lines().collect();
    for client in ["reqwest", "middleware", "async-openai", "rig", "call-site"] {
        let line = lines.iter().find(|line| line.starts_with(&format!("{client}:"))).expect(client);
        assert!(line.contains(" 10 calls in ") && line.contains(" 0 refused;"), "{line}");
        let (used, charged) = line.split_once("; ").and_then(|(_, rest)| rest.split_once(", ")).expect(line);
        let number = |text: &str| text.split(' ').next().and_then(|number| number.parse::<i64>().ok()).expect(text);
        assert!(number(used) > 10);
        assert_eq!(number(charged), number(used), "{line}");
    }
}

#[tokio::test]
async fn an_unknown_client_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_outgoing")).arg("curl").output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no client \"curl\"") && text.contains("async-openai"), "{text}");
}
