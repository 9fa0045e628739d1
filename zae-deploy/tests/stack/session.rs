//! Stacks created and removed by a program.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::{Client, config::Credentials};
use zae_deploy::stack::{Cloud, RepositoryStack, StackOptions, StackProvisioner, describe, list_deployed};
use zae_limiter::{Cost, Limit, RateLimiter, Repository, RepositoryError, StackName};

use super::{
    fake::{Fake, Script, step},
    moto::Moto,
    run,
};

const TABLE: &str = "AWS::DynamoDB::Table";

fn config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .build()
}

/// The variable with the inner process's AWS endpoint.
const INSIDE: &str = "ZAE_TEST_SESSION_ENDPOINT";

/// Runs a session against `moto`, in a process whose environment has credentials: this test again.
#[tokio::test]
async fn a_session_makes_its_stack_and_removes_it() {
    if let Ok(endpoint) = std::env::var(INSIDE) {
        return session(&endpoint).await;
    }
    let Some(moto) = Moto::start().await else { return };
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    run::clean(&mut command).args(["--exact", "session::a_session_makes_its_stack_and_removes_it", "--nocapture"]);
    let ran = run::Ran::from_output(command.env(INSIDE, &moto.endpoint).output().await.unwrap()).ok();
    assert!(ran.stdout.contains("1 passed"), "{}{}", ran.stdout, ran.stderr);
}

async fn session(endpoint: &str) {
    let builder = || Repository::builder().stack("session").endpoint_url(endpoint);
    let missing = builder().build().await.unwrap_err();
    assert!(missing.to_string().contains("zae-deploy deploy --name session"), "{missing}");

    let options = StackOptions::builder().disable_aggregator().build().unwrap();
    let repository = builder().provisioner(StackProvisioner::declaring(options)).build().await.unwrap();
    assert!(repository.ping().await);
    let limits = Limit::per_minute("requests", 10).unwrap().into();
    repository.set_system_defaults(&limits).await.unwrap();
    let limiter = RateLimiter::new(repository.clone());
    limiter.acquire("user-1", "api", Cost::of("requests", 1)).await.unwrap().commit().await.unwrap();
    limiter.shutdown().await;

    let cloud = Cloud::connect(None, Some(endpoint.to_owned())).await.unwrap();
    let found = list_deployed(&cloud).await.unwrap();
    assert_eq!((found.len(), found[0].user_name.as_str(), found[0].is_healthy()), (1, "session", true));
    let stack = describe(&cloud, &StackName::new("session").unwrap()).await.unwrap().unwrap();
    assert!(!stack.outputs.contains_key("AggregatorFunctionName"));
    assert_eq!(stack.parameters["LogRetentionDays"], "30");

    // The next one finds it.
    builder().provisioner(StackProvisioner::if_missing()).build().await.unwrap();
    repository.delete_stack().await.unwrap();
    let missing = builder().build().await.unwrap_err();
    assert!(matches!(missing, RepositoryError::TableMissing { .. }), "{missing}");
}

fn declaring(fake: &Fake, options: StackOptions) -> zae_limiter::RepositoryBuilder {
    let config = config(&fake.endpoint);
    let provisioner = StackProvisioner::declaring(options).cloud(Cloud::new(config.clone()).unwrap());
    Repository::builder().stack("prod").client(Client::new(&config)).provisioner(provisioner)
}

#[tokio::test]
async fn what_is_declared_is_made_true_as_long_as_nothing_is_lost() {
    let change = |replacement| Script {
        changes: vec![["RateLimitsTable", TABLE, "Modify", replacement, "KeySchema"]],
        steps: vec![step("UPDATE_IN_PROGRESS", &[]), step("UPDATE_COMPLETE", &[])],
        ..Script::default()
    };
    let fake = Fake::start(Some("CREATE_COMPLETE"), change("False")).await;
    declaring(&fake, StackOptions::default()).build().await.unwrap();
    assert!(fake.actions().contains(&"ExecuteChangeSet".to_owned()));

    let fake = Fake::start(Some("CREATE_COMPLETE"), change("True")).await;
    let error = declaring(&fake, StackOptions::default()).build().await.unwrap_err();
    let RepositoryError::NotProvisioned { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.to_string(), "updating stack prod would remove or replace RateLimitsTable");
    assert!(!fake.actions().contains(&"ExecuteChangeSet".to_owned()));
    assert!(fake.actions().contains(&"DeleteChangeSet".to_owned()));
}

#[tokio::test]
async fn an_existing_table_is_left_alone_by_who_only_creates() {
    let fake = Fake::start(Some("CREATE_COMPLETE"), Script::default()).await;
    let config = config(&fake.endpoint);
    let provisioner = StackProvisioner::if_missing().cloud(Cloud::new(config.clone()).unwrap());
    let builder = Repository::builder().stack("prod").client(Client::new(&config)).provisioner(provisioner);
    let repository = builder.build().await.unwrap();
    assert_eq!(repository.namespace_name().as_str(), "default");
    assert_eq!(fake.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_library_user_is_told_what_to_do_next() {
    let fake = Fake::start(Some("ROLLBACK_COMPLETE"), Script::default()).await;
    let error = declaring(&fake, StackOptions::default()).build().await.unwrap_err();
    let RepositoryError::NotProvisioned { source, .. } = error else { panic!("{error}") };
    let source = source.downcast::<zae_deploy::stack::StackError>().unwrap();
    assert!(source.advice().unwrap().contains("zae-deploy delete --name prod"));
}
