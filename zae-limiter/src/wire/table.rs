//! The table's definition.
//!
//! One table with string keys `PK` and `SK`, billed on demand. Four global indexes find items other than by their key.
//! GSI1 lists an entity's children, GSI2 the buckets and usage of a resource, GSI3 the buckets of an entity and the
//! entities with limits of their own, GSI4 everything in a namespace. The five local ones belong to the format and are
//! not used here. A table created by a template or by the Python package has the same shape.

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
        Projection, ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
    },
};

/// Tells if the table publishes its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// As deployed: the aggregator reads it.
    NewAndOldImages,
    /// It has no reader.
    Off,
}

/// The global indexes, and their projections.
const GLOBAL: [(&str, ProjectionType); 4] = [
    ("GSI1", ProjectionType::All),
    ("GSI2", ProjectionType::All),
    ("GSI3", ProjectionType::KeysOnly),
    ("GSI4", ProjectionType::KeysOnly),
];
/// The local indexes of the format.
const LOCAL: [(&str, ProjectionType); 5] = [
    ("LSI1", ProjectionType::All),
    ("LSI2", ProjectionType::KeysOnly),
    ("LSI3", ProjectionType::All),
    ("LSI4", ProjectionType::KeysOnly),
    ("LSI5", ProjectionType::All),
];

/// Returns true if an attribute of this name is a key of the table or of one of its indexes, and therefore must be a
/// string.
pub(crate) fn is_key_attribute(name: &str) -> bool {
    let global = |(index, _): &(&str, _)| name.strip_prefix(index).is_some_and(|rest| matches!(rest, "PK" | "SK"));
    let local = |(index, _): &(&str, _)| name.strip_prefix(index) == Some("SK");
    matches!(name, "PK" | "SK") || GLOBAL.iter().any(global) || LOCAL.iter().any(local)
}

/// Creates one attribute of a key.
fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
}

/// Creates the request that creates the table `name`.
pub(crate) fn create(client: &Client, name: &str, stream: Stream) -> Result<CreateTableFluentBuilder, BuildError> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("PK", KeyType::Hash)?)
        .key_schema(key("SK", KeyType::Range)?);
    let mut attributes = vec!["PK".to_owned(), "SK".to_owned()];
    for (index, projection) in GLOBAL {
        let (partition, sort) = (format!("{index}PK"), format!("{index}SK"));
        let definition = GlobalSecondaryIndex::builder()
            .index_name(index)
            .key_schema(key(&partition, KeyType::Hash)?)
            .key_schema(key(&sort, KeyType::Range)?)
            .projection(Projection::builder().projection_type(projection).build());
        request = request.global_secondary_indexes(definition.build()?);
        attributes.extend([partition, sort]);
    }
    for (index, projection) in LOCAL {
        let sort = format!("{index}SK");
        let definition = LocalSecondaryIndex::builder()
            .index_name(index)
            .key_schema(key("PK", KeyType::Hash)?)
            .key_schema(key(&sort, KeyType::Range)?)
            .projection(Projection::builder().projection_type(projection).build());
        request = request.local_secondary_indexes(definition.build()?);
        attributes.push(sort);
    }
    for attribute in attributes {
        let definition =
            AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        request = request.attribute_definitions(definition.build()?);
    }
    if stream == Stream::NewAndOldImages {
        let images = StreamViewType::NewAndOldImages;
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(images).build()?;
        request = request.stream_specification(stream);
    }
    Ok(request)
}
