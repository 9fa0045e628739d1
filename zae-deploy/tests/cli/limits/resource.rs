//! The provisioner function's events, with a socket as CloudFormation.

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::put};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use zae_deploy::{
    manifest::Manifest,
    provisioner::{Functions, Provisioner},
};
use zae_limiter::{Repository, ResourceName, SystemDefaults, audit::AuditTarget};

pub(crate) const TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// The received bodies with their lengths, and the number of further ones to refuse.
#[derive(Clone, Default)]
struct Inbox {
    answers: Arc<Mutex<Vec<(usize, Value)>>>,
    refusals: Arc<Mutex<usize>>,
}

/// Receives answers; the first few may be refused.
pub(crate) struct CloudFormation {
    url: String,
    inbox: Inbox,
}

impl CloudFormation {
    pub(crate) async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/answer?signature=x", listener.local_addr().unwrap());
        let inbox = Inbox { refusals: Arc::new(Mutex::new(refusals)), ..Inbox::default() };
        let receive = async |State(inbox): State<Inbox>, body: Bytes| {
            let mut left = inbox.refusals.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            inbox.answers.lock().unwrap().push((body.len(), serde_json::from_slice(&body).unwrap()));
            StatusCode::OK
        };
        let router = Router::new().route("/answer", put(receive)).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inbox }
    }

    pub(crate) fn take(&self) -> (usize, Value) {
        let mut answers = self.inbox.answers.lock().unwrap();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    pub(crate) fn event(&self, kind: &str, physical: Option<&str>, properties: impl Into<Value>) -> Value {
        let properties = properties.into();
        let mut event = json!({
            "RequestType": kind, "ResponseURL": self.url, "RequestId": "request-1", "LogicalResourceId": "TenantLimits",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/my-app-limits/guid",
            "ResourceType": "Custom::ZaeLimiterLimits", "ResourceProperties": properties,
        });
        if let Some(id) = physical {
            event["PhysicalResourceId"] = id.into();
        }
        event
    }
}

pub(crate) async fn open() -> (Repository, Functions) {
    let repository = Repository::embedded().await.unwrap();
    let functions = Functions::new(repository.client().clone(), "limiter").answering_locally();
    (repository, functions)
}

pub(crate) fn properties(resources: impl Into<Value>) -> Value {
    let resources = resources.into();
    json!({"ServiceToken": "arn", "TableName": "limiter", "Namespace": "default", "Resources": resources})
}

pub(crate) fn one(capacity: &str) -> Value {
    json!({"gpt-4": {"Limits": {"rpm": {"Capacity": capacity}}}})
}

#[tokio::test]
async fn a_resource_lives_and_dies() {
    let (repository, functions) = open().await;
    let cloudformation = CloudFormation::start(0).await;
    functions.handle(&cloudformation.event("Create", None, properties(one("500"))), TIME).await.unwrap();
    let (_, answer) = cloudformation.take();
    let id = format!("limiter/{}/limits-provisioner", repository.namespace_id());
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(id)));
    assert_eq!(answer["Data"], json!({"status": "applied", "created": "1", "updated": "0", "deleted": "0"}));
    for copied in ["StackId", "RequestId", "LogicalResourceId"] {
        assert!(answer[copied].is_string(), "{copied}");
    }
    let gpt4 = ResourceName::new("gpt-4").unwrap();
    assert_eq!(repository.resource_defaults(&gpt4).await.unwrap().unwrap().as_slice()[0].capacity(), 500);
    let trail = repository.audit_events(&AuditTarget::Resource(gpt4.clone()), 1, None).await.unwrap();
    assert_eq!(
        trail.events[0].principal.as_deref(),
        Some("arn:aws:cloudformation:us-east-1:123456789012:stack/my-app-limits/guid")
    );

    functions.handle(&cloudformation.event("Update", Some(&id), properties(one("600"))), TIME).await.unwrap();
    assert_eq!(cloudformation.take().1["Data"]["updated"], "1");
    assert_eq!(repository.resource_defaults(&gpt4).await.unwrap().unwrap().as_slice()[0].capacity(), 600);

    functions.handle(&cloudformation.event("Delete", Some(&id), properties(one("600"))), TIME).await.unwrap();
    assert_eq!(cloudformation.take().1["Data"]["deleted"], "1");
    assert_eq!(repository.resource_defaults(&gpt4).await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_creation_is_deleted_without_touching_what_others_manage() {
    let (repository, functions) = open().await;
    let others = Manifest::from_yaml("resources: {gpt-4: {limits: {rpm: {capacity: 5}}}}").unwrap();
    Provisioner::new(repository.clone()).apply(&others).await.unwrap();
    let cloudformation = CloudFormation::start(0).await;
    functions.handle(&cloudformation.event("Create", None, properties(one("-1"))), TIME).await.unwrap();
    let (_, answer) = cloudformation.take();
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("failed")));
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("Resources.gpt-4.Limits.rpm.Capacity: must be a whole number"), "{reason}");

    functions.handle(&cloudformation.event("Delete", Some("failed"), properties(one("-1"))), TIME).await.unwrap();
    assert_eq!(cloudformation.take().1["Status"], "SUCCESS");
    let gpt4 = ResourceName::new("gpt-4").unwrap();
    assert!(repository.resource_defaults(&gpt4).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_gone_is_deleted_with_success() {
    let (_, functions) = open().await;
    let cloudformation = CloudFormation::start(0).await;
    let mut unknown = properties(one("1"));
    unknown["Namespace"] = "never-registered".into();
    let id = "limiter/aB3x_9QwZ1k/limits-provisioner";
    functions.handle(&cloudformation.event("Delete", Some(id), unknown.clone()), TIME).await.unwrap();
    assert_eq!(cloudformation.take().1["Status"], "SUCCESS");
    functions.handle(&cloudformation.event("Create", None, unknown), TIME).await.unwrap();
    let (_, answer) = cloudformation.take();
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("never-registered"), "{answer}");
}

#[tokio::test]
async fn answers_are_short_and_sent_until_they_arrive() {
    let (_, functions) = open().await;
    let cloudformation = CloudFormation::start(1).await;
    let entities: Value = (0..200)
        .map(|i| (format!("user-{i}"), json!({"Resources": one("5")})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut many = properties(json!({}));
    many["Entities"] = entities;
    functions.handle(&cloudformation.event("Create", None, many.clone()), TIME).await.unwrap();
    let (length, answer) = cloudformation.take();
    assert_eq!((&answer["Status"], &answer["Data"]["created"]), (&json!("SUCCESS"), &json!("200")));
    assert!(length < 4096, "{length} bytes");
    // As many mistakes as there are entities.
    for entity in many["Entities"].as_object_mut().unwrap().values_mut() {
        entity["Resources"] = one("\u{1}\"nonsense\"");
    }
    functions.handle(&cloudformation.event("Update", Some("x"), many), TIME).await.unwrap();
    let (length, answer) = cloudformation.take();
    assert_eq!(answer["Status"], "FAILED");
    assert!(length < 4096, "{length} bytes");
}

#[tokio::test]
async fn direct_events_plan_and_apply() {
    let (repository, functions) = open().await;
    let manifest = json!({"namespace": "default", "system": {"limits": {"rpm": {"capacity": 10}}}});
    let event = |action: &str| {
        let id = repository.namespace_id().as_str();
        json!({"action": action, "table_name": "limiter", "namespace_id": id, "manifest": manifest, "principal": "ci"})
    };
    let planned = functions.handle(&event("plan"), TIME).await.unwrap();
    assert_eq!(planned["status"], "planned");
    let change = &planned["changes"][0];
    assert_eq!(
        (&change["action"], &change["level"], &change["target"]),
        (&json!("create"), &json!("system"), &Value::Null)
    );
    assert_eq!(repository.system_defaults().await.unwrap(), SystemDefaults::default());
    let applied = functions.handle(&event("apply"), TIME).await.unwrap();
    assert_eq!(
        (&applied["status"], &applied["created"], &applied["errors"]),
        (&json!("applied"), &json!(1), &json!([]))
    );
    assert_eq!(functions.handle(&event("plan"), TIME).await.unwrap()["changes"], json!([]));

    let error = functions.handle(&event("destroy"), TIME).await.unwrap_err().to_string();
    assert!(error.contains("destroy"), "{error}");
    let mut other = event("apply");
    other["namespace_id"] = "aB3x_9QwZ1k".into();
    let error = functions.handle(&other, TIME).await.unwrap_err().to_string();
    assert!(error.contains("aB3x_9QwZ1k"), "{error}");
    let error = functions.handle(&json!({"action": "plan"}), TIME).await.unwrap_err().to_string();
    assert!(error.starts_with("the manifest is wrong"), "{error}");
}

#[tokio::test]
async fn whoever_wants_the_answer_elsewhere_gets_none_and_changes_nothing() {
    let (repository, local) = open().await;
    let deployed = Functions::new(repository.client().clone(), "limiter");
    let cloudformation = CloudFormation::start(0).await;
    let mut event = cloudformation.event("Create", None, properties(one("500")));
    for (functions, url) in [
        (&deployed, cloudformation.url.as_str()),
        (&deployed, "https://cloudformation-custom-resource-response-mine.s3.amazonaws.com/"),
        (&local, "http://192.0.2.1/answer"),
        (&local, "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/"),
    ] {
        event["ResponseURL"] = url.into();
        let error = functions.handle(&event, TIME).await.unwrap_err().to_string();
        assert!(error.contains("is not CloudFormation in this region"), "{error}");
    }
    assert_eq!(cloudformation.inbox.answers.lock().unwrap().len(), 0);
    let gpt4 = ResourceName::new("gpt-4").unwrap();
    assert_eq!(repository.resource_defaults(&gpt4).await.unwrap(), None);
}
