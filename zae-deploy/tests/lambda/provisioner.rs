//! The provisioner's binary.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use zae_limiter::ResourceName;

use crate::support::World;

#[tokio::test]
async fn the_command_line_s_events_are_answered() {
    let world = World::new().await;
    let provisioner = world.provisioner().await;
    let manifest = json!({"namespace": "default", "resources": {"gpt-4": {"limits": {"rpm": {"capacity": 500}}}}});
    let event = |action: &str| json!({"action": action, "table_name": "limiter", "manifest": manifest});
    let planned = provisioner.invoke(&event("plan")).await;
    assert_eq!((&planned["status"], planned["changes"].as_array().unwrap().len()), (&json!("planned"), 1));
    let applied = provisioner.invoke(&event("apply")).await;
    assert_eq!((&applied["status"], &applied["created"]), (&json!("applied"), &json!(1)));
    assert_eq!(provisioner.invoke(&event("plan")).await["changes"], json!([]));
    let repository = world.store.builder().build().await.unwrap();
    let limits = repository.resource_defaults(&ResourceName::new("gpt-4").unwrap()).await.unwrap().unwrap();
    assert_eq!(limits.as_slice()[0].capacity(), 500);

    let error = provisioner.try_invoke(&json!({"action": "plan", "manifest": {"sytem": {}}})).await.unwrap_err();
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("unknown key `sytem`; did you mean `system`?"), "{message}");
}

#[tokio::test]
async fn a_custom_resource_s_event_ends_in_time_and_answers_cloudformation_alone() {
    let world = World::new().await;
    let provisioner = world.provisioner().await;
    let mut event = json!({
        "RequestType": "Create", "RequestId": "r", "LogicalResourceId": "TenantLimits",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/guid",
        "ResourceProperties": {"TableName": "limiter", "Namespace": "default",
            "Resources": {"gpt-4": {"Limits": {"rpm": {"Capacity": "500"}}}}},
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    event["ResponseURL"] = format!("http://{}/answer", listener.local_addr().unwrap()).into();
    let error = provisioner.try_invoke(&event).await.unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().contains("is not CloudFormation in this region"), "{error}");
    let nobody = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "nothing was sent there");

    event.as_object_mut().unwrap().remove("ResponseURL");
    assert_eq!(provisioner.invoke(&event).await["created"], 1);
    world.store.throttle(usize::MAX);
    event["RequestType"] = "Update".into();
    event["ResourceProperties"]["Resources"]["gpt-4"]["Limits"]["rpm"]["Capacity"] = "600".into();
    let error = provisioner.invoke_within(&event, Duration::from_secs(11)).await.unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().contains("time was over"), "{error}");
}
