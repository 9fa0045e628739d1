//! The provisioner's binary.

use std::time::Duration;

use axum::{Router, body::Bytes, routing::put};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
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
async fn cloudformation_is_answered_also_when_time_runs_out() {
    let (answers, mut inbox) = mpsc::unbounded_channel::<Value>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/answer", listener.local_addr().unwrap());
    let receive = move |body: Bytes| {
        let answers = answers.clone();
        async move { answers.send(serde_json::from_slice(&body).unwrap()).unwrap() }
    };
    let router = Router::new().route("/answer", put(receive));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let world = World::new().await;
    let provisioner = world.provisioner().await;
    let event = json!({
        "RequestType": "Create", "ResponseURL": url, "RequestId": "r", "LogicalResourceId": "TenantLimits",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/guid",
        "ResourceProperties": {"TableName": "limiter", "Namespace": "default",
            "Resources": {"gpt-4": {"Limits": {"rpm": {"Capacity": "500"}}}}},
    });
    provisioner.invoke(&event).await;
    let answer = inbox.recv().await.unwrap();
    assert_eq!((&answer["Status"], &answer["Data"]["created"]), (&json!("SUCCESS"), &json!("1")));

    world.store.throttle(usize::MAX);
    let mut update = event;
    update["RequestType"] = "Update".into();
    update["PhysicalResourceId"] = answer["PhysicalResourceId"].clone();
    update["ResourceProperties"]["Resources"]["gpt-4"]["Limits"]["rpm"]["Capacity"] = "600".into();
    provisioner.invoke_within(&update, Duration::from_secs(11)).await.unwrap();
    let answer = inbox.recv().await.unwrap();
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("time was over"), "{answer}");
}
