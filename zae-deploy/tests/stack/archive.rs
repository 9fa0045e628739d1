//! The aggregator's binary archives into a foreign S3.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use zae_testkit::function::Function;

use super::moto::Moto;

const EVENT: &str = "01KDW0N0000000000000000000";

/// Creates the stream record of an expired audit event.
fn expired() -> Value {
    json!({
        "eventName": "REMOVE",
        "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
        "dynamodb": {
            "SequenceNumber": "400000000000000000001",
            "OldImage": {
                "PK": {"S": "aB3x_9QwZ1k/AUDIT#$SYSTEM"},
                "SK": {"S": format!("#AUDIT#{EVENT}")},
                "entity_id": {"S": "$SYSTEM"},
                "event_id": {"S": EVENT},
                "timestamp": {"S": "2024-01-15T14:30:00Z"},
                "action": {"S": "limits_set"},
                "principal": {"S": "ada"},
                "details": {"M": {}},
            },
        },
    })
}

#[tokio::test]
async fn an_archived_event_can_be_read_from_s3() {
    let Some(moto) = Moto::start().await else { return };
    let s3 = "import boto3, gzip, json, os; s3 = boto3.client('s3', endpoint_url=os.environ['ENDPOINT']); ";
    moto.python(&format!("{s3}s3.create_bucket(Bucket='archive')")).await;
    let environment = BTreeMap::from([
        ("TABLE_NAME", "prod".to_owned()),
        ("ENABLE_ARCHIVAL", "true".to_owned()),
        ("ARCHIVE_BUCKET_NAME", "archive".to_owned()),
        ("AWS_ENDPOINT_URL", moto.endpoint.clone()),
    ]);
    let aggregator = Function::start(Path::new(env!("CARGO_BIN_EXE_zae-aggregator")), &environment).await;
    for _ in 0..2 {
        let answer = aggregator.invoke(&json!({"Records": [expired()]})).await;
        assert_eq!(answer["body"]["events_archived"], 1, "{answer}");
    }
    let read = "\
objects = s3.list_objects_v2(Bucket='archive')['Contents']
got = [s3.get_object(Bucket='archive', Key=o['Key']) for o in objects]
lines = [json.loads(l) for g in got for l in gzip.decompress(g['Body'].read()).splitlines()]
print(json.dumps([[o['Key'] for o in objects], [[g['ContentType'], g['ContentEncoding']] for g in got], lines]))
";
    let told: Value = serde_json::from_str(&moto.python(&format!("{s3}\n{read}")).await).unwrap();
    let key = told[0][0].as_str().unwrap();
    assert!(key.starts_with("audit/year=2024/month=01/day=15/audit-") && key.ends_with(".jsonl.gz"), "{key}");
    assert_eq!(told[1], json!([["application/x-ndjson", "gzip"]]), "the same batch again replaces its object");
    assert_eq!((&told[2][0]["event_id"], &told[2][0]["principal"]), (&EVENT.into(), &"ada".into()));
}
