//! A replay decides exactly as the limiter would have.

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use serde_json::Value;
use zae_deploy::{manifest::Manifest, provisioner::Provisioner};
use zae_limiter::{Cost, EntityId, ManualClock, NewEntity, RateLimiter, Repository};

use crate::stage::{binary, run};

const LIMITS: &str = "
namespace: default
system: { limits: { rpm: { capacity: 6 }, tpm: { capacity: 900 } } }
resources:
  gpt-4: { limits: { rpm: { capacity: 3, refill_amount: 1, refill_period: 7 }, tpm: { capacity: 500 } } }
entities:
  project: { resources: { _default_: { limits: { rpm: { capacity: 10 }, tpm: { capacity: 1500 } } } } }
";
const START: i64 = 1_767_225_600_000;

/// One request of the traffic: epoch ms, entity, resource, tokens.
type Asked = (i64, String, &'static str, u64);

/// Five minutes of uneven traffic, deterministic for every run.
fn traffic() -> Vec<Asked> {
    let mut state = 11_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut at = START;
    let mut asked = Vec::new();
    while at < START + 300_000 {
        at += i64::try_from(below(6_000)).unwrap();
        let resource = ["gpt-4", "gpt-4", "small"][usize::try_from(below(3)).unwrap()];
        asked.push((at, format!("user-{}", below(4)), resource, 1 + below(400)));
    }
    asked
}

fn log(traffic: &[Asked]) -> String {
    let mut text = "time,entity,parent,resource,rpm,tpm\n".to_owned();
    for (at, entity, resource, tokens) in traffic {
        text.push_str(&format!("{at},{entity},project,{resource},1,{tokens}\n"));
    }
    text
}

/// Returns the refusals of a driven limiter, by entity and resource.
async fn driven(traffic: &[Asked]) -> BTreeMap<(String, String), u64> {
    let clock = Arc::new(ManualClock::at(START));
    let repository = Repository::builder().embedded().clock(clock.clone()).build().await.unwrap();
    Provisioner::new(repository.clone()).apply(&Manifest::from_yaml(LIMITS).unwrap()).await.unwrap();
    let project = EntityId::new("project").unwrap();
    repository.create_entity(NewEntity::new(project.clone())).await.unwrap();
    for user in 0..4 {
        let user = EntityId::new(format!("user-{user}")).unwrap();
        repository.create_entity(NewEntity::new(user).parent(project.clone()).cascading()).await.unwrap();
    }
    let limiter = RateLimiter::builder(repository).deadline(Duration::from_secs(10)).build();
    let mut refused = BTreeMap::new();
    for (at, entity, resource, tokens) in traffic {
        clock.set(*at);
        let cost = Cost::of("rpm", 1).and("tpm", *tokens);
        let count = refused.entry((entity.clone(), (*resource).to_owned())).or_insert(0);
        match limiter.acquire(entity.as_str(), *resource, cost).await {
            Ok(lease) => lease.commit().await.unwrap(),
            Err(error) => {
                assert!(error.is_refusal(), "{error}");
                *count += 1;
            }
        }
    }
    limiter.shutdown().await;
    refused
}

/// Returns the binary's result for a log.
fn simulated(log: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("limits.yaml"), LIMITS).unwrap();
    std::fs::File::create(path("log")).unwrap().write_all(log.as_bytes()).unwrap();
    let mut command = binary();
    command.args(["limits", "simulate", "--output", "json", "-f"]).arg(path("limits.yaml"));
    let ran = run(command.arg("--log").arg(path("log")));
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test]
async fn a_replayed_log_is_refused_as_the_same_traffic_is_to_the_request() {
    let traffic = traffic();
    let expected = driven(&traffic).await;
    let answer = simulated(&log(&traffic));
    let callers = answer["callers"].as_array().unwrap();
    let refused = callers.iter().map(|caller| {
        let text = |name: &str| caller[name].as_str().unwrap().to_owned();
        ((text("entity_id"), text("resource")), caller["refused"].as_u64().unwrap())
    });
    assert_eq!(refused.collect::<BTreeMap<_, _>>(), expected);
    let total: u64 = expected.values().sum();
    assert!(total > 5 && total < traffic.len() as u64 * 2 / 3, "some pass and some do not: {total}");
    assert_eq!(answer["refused"], total);
    let timeline = answer["timeline"].as_array().unwrap();
    assert_eq!(timeline.iter().map(|part| part["refused"].as_u64().unwrap()).sum::<u64>(), total);
}

#[test]
fn what_never_fits_and_what_has_no_limits_is_told_apart() {
    let answer = simulated("time,entity,resource,rpm,tpm\n1,a,gpt-4,1,501\n2,a,gpt-4,1,500\n3,a,gpt-4,1,1\n");
    assert_eq!((answer["never"].as_u64(), answer["refused"].as_u64()), (Some(1), Some(2)), "{answer}");
    assert_eq!(simulated("")["requests"], 0);
}
