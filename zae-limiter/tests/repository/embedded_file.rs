//! The embedded store in a file: what survives a restart, and the errors for unusable files.

use std::{error::Error, process::Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use zae_limiter::{Cost, EmbeddedStore, EntityId, RateLimiter, Repository, ResourceName};
use zae_testkit::{DEADLINE, limits, rpm};

const FILE: &str = "ZAE_TEST_FILE";
const CAPACITY: u64 = 1_000_000;

/// Takes tokens until the process is killed; prints a line whenever one is certainly taken.
async fn take_until_killed(path: &str) {
    let repository = Repository::embedded_at(path).await.unwrap();
    repository.set_system_defaults(rpm(CAPACITY)).await.unwrap();
    let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
    loop {
        limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
        println!("taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_the_sudden_end_of_the_process() {
    if let Ok(path) = std::env::var(FILE) {
        return take_until_killed(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.db");
    let mut taken = 0;
    for _ in 0..2 {
        let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded_file::what_was_answered_survives_the_sudden_end_of_the_process", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut said = 0;
        while said < 20 {
            let line = lines.next_line().await.unwrap().expect("the process lives");
            said += i64::from(line.ends_with("taken"));
        }
        victim.kill().await.unwrap();
        taken += said;

        let repository = Repository::embedded_at(&path).await.unwrap();
        assert_eq!(repository.system_defaults().await.unwrap().limits, Some(limits([rpm(CAPACITY)])));
        let key = format!("{}/BUCKET#user-1#gpt-4#0", repository.namespace_id());
        let request = repository.client().get_item().table_name("limiter");
        let request = request.key("PK", aws_sdk_dynamodb::types::AttributeValue::S(key));
        let request = request.key("SK", aws_sdk_dynamodb::types::AttributeValue::S("#STATE".to_owned()));
        let bucket = request.send().await.unwrap().item.expect("a bucket");
        let consumed: i64 = bucket["b_rpm_tc"].as_n().unwrap().parse().unwrap();
        assert!(consumed >= taken * 1_000, "{consumed} of {taken} tokens are on record");
        let (entity, resource) = (EntityId::new("user-1").unwrap(), ResourceName::new("gpt-4").unwrap());
        RateLimiter::new(repository).available(&entity, &resource).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "nothing of a database in here, but long enough to be looked at".repeat(100)).unwrap();
    for path in [folder.path().join("missing/limits.db"), folder.path().to_owned(), text] {
        let error = EmbeddedStore::at(&path).unwrap_err();
        let because = error.source().unwrap().to_string();
        assert!(because.contains(path.to_str().unwrap()), "{error}: {because}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_is_no_text_is_refused_instead_of_changed() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"limits-\xff.db"));
    let error = EmbeddedStore::at(&path).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("UTF-8"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
