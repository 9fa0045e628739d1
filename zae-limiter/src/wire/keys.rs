//! Keys and attribute names. Everything is put together here and nowhere else.
//!
//! The builders take plain text, because a sort key may name things that are no valid name (`_default_`, `$SYSTEM`);
//! their callers hold validated types.
//!
//! | prefix | of | example |
//! |---|---|---|
//! | `b_` | fields of a limit in a bucket | `b_rpm_tk` is the balance of `rpm` |
//! | `l_` | fields of a limit in a configuration | `l_rpm_cp` is its capacity |
//! | `z_` | our own | `z_rpm_fr`, `z_inc`, `z_ahead` |
//!
//! A limit's name may contain underscores, so the field is what follows the last one. Ids never contain `#`, which
//! separates the parts of keys.

/// The scope of a version record and of the namespace registry.
pub(crate) const RESERVED: &str = "_";
/// The prefix of an entity's usage snapshots.
pub(crate) const USAGE_PREFIX: &str = "#USAGE#";
/// The prefix of an entity's configurations.
pub(crate) const CONFIG_PREFIX: &str = "#CONFIG#";
/// The prefix of audit events.
pub(crate) const AUDIT_PREFIX: &str = "#AUDIT#";
/// The prefix of namespace records by name.
pub(crate) const NAMESPACE_PREFIX: &str = "#NAMESPACE#";
/// The prefix of namespace records by id.
pub(crate) const NSID_PREFIX: &str = "#NSID#";

/// The partition of a namespace's own records.
pub(crate) fn pk_system(ns: &str) -> String {
    format!("{ns}/SYSTEM#")
}

/// The partition of an entity: its record, its limits, its usage.
pub(crate) fn pk_entity(ns: &str, entity: &str) -> String {
    format!("{ns}/ENTITY#{entity}")
}

/// The partition of one shard of a bucket. One item each, so that a hot bucket has a partition's whole throughput.
pub(crate) fn pk_bucket(ns: &str, entity: &str, resource: &str, shard: u32) -> String {
    let mut number = itoa::Buffer::new();
    concat(&[ns, "/BUCKET#", entity, "#", resource, "#", number.format(shard)])
}

/// The partition of a resource's default limits.
pub(crate) fn pk_resource(ns: &str, resource: &str) -> String {
    format!("{ns}/RESOURCE#{resource}")
}

/// The partition of a target's audit trail.
pub(crate) fn pk_audit(ns: &str, entity: &str) -> String {
    format!("{ns}/AUDIT#{entity}")
}

/// The record of an entity.
pub(crate) fn sk_meta() -> &'static str {
    "#META"
}

/// The content of a bucket.
pub(crate) fn sk_state() -> &'static str {
    "#STATE"
}

/// The limits of a resource or of the system.
pub(crate) fn sk_config() -> &'static str {
    "#CONFIG"
}

/// The limits of an entity for a resource, or `_default_`.
pub(crate) fn sk_entity_config(resource: &str) -> String {
    format!("{CONFIG_PREFIX}{resource}")
}

/// The table's version record.
pub(crate) fn sk_version() -> &'static str {
    "#VERSION"
}

/// The list of resources that have default limits.
pub(crate) fn sk_resources() -> &'static str {
    "#RESOURCES"
}

/// The number of entities that have limits of their own, by resource.
pub(crate) fn sk_entity_config_resources() -> &'static str {
    "#ENTITY_CONFIG_RESOURCES"
}

/// The state of declarative configuration.
pub(crate) fn sk_provisioner() -> &'static str {
    "#PROVISIONER"
}

/// A usage snapshot, by resource and then by time.
pub(crate) fn sk_usage(resource: &str, window_start: &str) -> String {
    format!("{USAGE_PREFIX}{resource}#{window_start}")
}

/// An audit event, by its ULID, and so by time.
pub(crate) fn sk_audit(event: &str) -> String {
    format!("{AUDIT_PREFIX}{event}")
}

/// A namespace's record by name.
pub(crate) fn sk_namespace(name: &str) -> String {
    format!("{NAMESPACE_PREFIX}{name}")
}

/// A namespace's record by id.
pub(crate) fn sk_nsid(id: &str) -> String {
    format!("{NSID_PREFIX}{id}")
}

/// The children of an entity.
pub(crate) fn gsi1_pk_parent(ns: &str, parent: &str) -> String {
    format!("{ns}/PARENT#{parent}")
}

/// One child.
pub(crate) fn gsi1_sk_child(entity: &str) -> String {
    format!("CHILD#{entity}")
}

/// The buckets and the usage of a resource.
pub(crate) fn gsi2_pk_resource(ns: &str, resource: &str) -> String {
    pk_resource(ns, resource)
}

/// A bucket among them, by entity.
pub(crate) fn gsi2_sk_bucket(entity: &str, shard: u32) -> String {
    format!("BUCKET#{entity}#{shard}")
}

/// A snapshot among them, by time and then by entity.
pub(crate) fn gsi2_sk_usage(window_start: &str, entity: &str) -> String {
    format!("USAGE#{window_start}#{entity}")
}

/// The start of the window in such a key.
pub(crate) fn parse_gsi2_sk_usage(sk: &str) -> Option<&str> {
    Some(sk.strip_prefix("USAGE#")?.split_once('#')?.0)
}

/// The buckets of an entity.
pub(crate) fn gsi3_pk_entity(ns: &str, entity: &str) -> String {
    pk_entity(ns, entity)
}

/// A bucket among them, by resource.
pub(crate) fn gsi3_sk_bucket(resource: &str, shard: u32) -> String {
    format!("BUCKET#{resource}#{shard}")
}

/// The entities that have limits of their own for a resource.
pub(crate) fn gsi3_pk_entity_config(ns: &str, resource: &str) -> String {
    format!("{ns}/ENTITY_CONFIG#{resource}")
}

/// The one GSI4 sort key without a namespace.
pub(crate) fn gsi4_sk_bucket(entity: &str, resource: &str, shard: u32) -> String {
    format!("BUCKET#{entity}#{resource}#{shard}")
}

/// Without the formatter: a dozen of them are made for every write and its answer.
fn concat(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| text.push_str(part));
    text
}

/// A field of a limit in a bucket.
pub(crate) fn bucket_attr(limit: &str, field: &str) -> String {
    concat(&["b_", limit, "_", field])
}

/// A field of a limit in a configuration: of a session quota under the prefix `w_`, else under `l_`.
pub(crate) fn limit_attr(prefix: &str, limit: &str, field: &str) -> String {
    concat(&[prefix, limit, "_", field])
}

/// Limit and field of a bucket attribute: the field is what follows the last underscore.
pub(crate) fn parse_bucket_attr(name: &str) -> Option<(&str, &str)> {
    parse_attr(name, "b_")
}

/// Limit and field of a configuration attribute under the prefix `l_` or `w_`.
pub(crate) fn parse_limit_attr<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    parse_attr(name, prefix)
}

/// Splits a name at its last underscore.
fn parse_attr<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (limit, field) = name.strip_prefix(prefix)?.rsplit_once('_')?;
    (!limit.is_empty()).then_some((limit, field))
}

/// The namespace and the rest of a partition key.
pub(crate) fn parse_namespace(key: &str) -> Option<(&str, &str)> {
    key.split_once('/')
}

/// The names in a bucket's partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BucketPk<'a> {
    /// The namespace's id.
    pub(crate) namespace: &'a str,
    /// The entity's id.
    pub(crate) entity: &'a str,
    /// The resource's name.
    pub(crate) resource: &'a str,
    /// The shard.
    pub(crate) shard: u32,
}

/// Takes a bucket's partition key apart.
pub(crate) fn parse_bucket_pk(key: &str) -> Option<BucketPk<'_>> {
    let (namespace, rest) = parse_namespace(key)?;
    let (rest, shard) = rest.strip_prefix("BUCKET#")?.rsplit_once('#')?;
    let (entity, resource) = rest.split_once('#')?;
    Some(BucketPk { namespace, entity, resource, shard: shard.parse().ok()? })
}
