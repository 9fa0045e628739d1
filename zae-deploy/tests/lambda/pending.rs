//! Fan-outs that the published package's limits function and ours owe on one table.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;
use zae_limiter::{
    Cost, EntityId, Limit, RateLimiter, Repository,
    access::{Access, ConfigTarget},
    provision::{Fanout, FanoutKind, FanoutLease},
};
use zae_testkit::venv;

use crate::support::{TABLE, World};

struct Python<'a> {
    interpreter: PathBuf,
    world: &'a World,
    namespace: String,
}

impl Python<'_> {
    async fn run(&self, step: &str, rest: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lambda/pending.py");
        let mut command = Command::new(&self.interpreter);
        command.args(["-W", "ignore"]).arg(script).args([step, TABLE, &self.namespace]).args(rest);
        command.envs(self.world.store.endpoint.environment()).env("AWS_DEFAULT_REGION", "us-east-1");
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

/// Takes the copy of the switch off the bucket, as if nobody had told it.
async fn forget(world: &World, repository: &Repository) {
    let pk = format!("{}/BUCKET#key-1#gpt-4#0", repository.namespace_id());
    let mut item = world.store.get(&pk).await.unwrap();
    item.as_object_mut().unwrap().remove("disabled");
    world.store.put(&item).await;
    assert!(!is_told(repository).await);
}

async fn is_told(repository: &Repository) -> bool {
    repository.buckets(EntityId::new("key-1").unwrap()).await.unwrap()[0].access == Access::Disabled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_either_left_the_other_finishes() {
    let interpreter = tokio::task::spawn_blocking(venv::interpreter).await.unwrap();
    let Some(interpreter) = interpreter else { return };
    let world = World::new().await;
    let repository = world.store.builder().build().await.unwrap();
    repository.set_system_defaults(Limit::per_minute("rpm", 10).unwrap()).await.unwrap();
    let limiter = RateLimiter::new(repository.clone());
    limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
    let target = ConfigTarget::resource("gpt-4").unwrap();
    repository.disable(&target).await.unwrap();
    let python = Python { interpreter, world: &world, namespace: repository.namespace_id().to_string() };
    let fanout = Fanout::new(FanoutKind::Disabled, Some(target));

    // Theirs, of a function that ended.
    forget(&world, &repository).await;
    python.run("promise", &["theirs", "1"]).await;
    let provisioner = world.provisioner().await;
    let manifest = json!({"namespace": "default", "resources": {"other": {"limits": {"rpm": {"capacity": 5}}}}});
    let event = json!({"action": "apply", "table_name": TABLE, "manifest": manifest});
    let applied = provisioner.invoke(&event).await;
    assert_eq!((&applied["created"], &applied["errors"]), (&json!(1), &json!([])));
    assert!(is_told(&repository).await);
    assert_eq!(python.run("list", &[]).await, json!([]));

    // Ours, of one that ended.
    forget(&world, &repository).await;
    repository.promise_fanout(&fanout, &FanoutLease::new("ours", 1)).await.unwrap();
    assert_eq!(python.run("list", &[]).await, json!([["disabled", "resource", "gpt-4", ["ours"]]]));
    let applied = python.run("apply", &[]).await;
    assert_eq!((&applied["pending"], &applied["errors"]), (&json!(0), &json!([])), "{applied}");
    assert!(is_told(&repository).await);
    assert_eq!(repository.pending_fanouts().await.unwrap(), []);

    // Both owe it at once.
    let (ours, until) = (FanoutLease::new("ours", i64::MAX), i64::MAX.to_string());
    python.run("promise", &["theirs", &until]).await;
    repository.promise_fanout(&fanout, &ours).await.unwrap();
    assert_eq!(python.run("list", &[]).await[0][3], json!(["ours", "theirs"]));
    repository.release_fanout(&fanout, &ours).await.unwrap();
    assert_eq!(python.run("list", &[]).await[0][3], json!(["theirs"]));
    python.run("release", &["theirs"]).await;
    assert_eq!(repository.pending_fanouts().await.unwrap(), []);
}
