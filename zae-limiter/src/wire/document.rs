//! Documents as items: a record of our own, which other clients neither read nor count.
//!
//! It stands among the namespace's own records, which other clients read by their full keys, so that none of them meets
//! it; and in the index of the namespace, so that a purge finds it, whoever purges.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::{
    Item, keys,
    values::{get_n, item, n, s},
};
use crate::{
    model::document::SharedDocument,
    wire::expression::{Expression, Key},
};

/// The beginning of a document's sort key.
const SORT_KEY: &str = "#Z_DOCUMENT#";

/// Returns the key of the document `name`.
pub(crate) fn key(ns: &str, name: &str) -> Key {
    Key::new(keys::pk_system(ns), format!("{SORT_KEY}{name}"))
}

/// Decodes a document; `None` if the item is not ours.
pub(crate) fn decode(item: &Item) -> Option<SharedDocument> {
    let version = u64::try_from(get_n(item, "z_version")?).ok().filter(|version| *version > SharedDocument::ABSENT)?;
    let body = item.get("z_body")?.as_b().ok()?.as_ref().to_vec();
    Some(SharedDocument { version, written_ms: get_n(item, "z_written")?, body })
}

/// Encodes a document.
pub(crate) fn encode(ns: &str, name: &str, document: SharedDocument) -> Item {
    let Key { pk, sk } = key(ns, name);
    item([
        ("PK", s(&pk)),
        ("SK", s(sk)),
        ("z_version", n(document.version)),
        ("z_written", n(document.written_ms)),
        ("z_body", AttributeValue::B(Blob::new(document.body))),
        ("GSI4PK", s(ns)),
        ("GSI4SK", s(pk)),
    ])
}

/// Returns the condition that the document is still of this version.
pub(crate) fn unchanged(version: u64) -> Expression {
    let known = (version > SharedDocument::ABSENT).then(|| n(version));
    Expression::of(|e| e.expect("z_version", known))
}
