//! The registry of namespaces: a record by name while one is active, and a record by id as long as it has data.
//!
//! | record | key | there |
//! |---|---|---|
//! | by name | `_/SYSTEM#`, `#NAMESPACE#{name}` | while the name leads to a namespace in use |
//! | by id | `_/SYSTEM#`, `#NSID#{id}` | from the registration to the end of a purge |
//!
//! Both hold `namespace_id`, `namespace_name`, `status` (`active`, `deleted`, `purging`) and `created_at`; the record
//! by id has `deleted_at` while it is deleted. An id is eight random bytes in URL-safe base64, and never begins with a
//! hyphen, which a command line would take for an option.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    keys,
    values::{get_s, item, s},
};
use crate::{
    error::{NamespaceState, RepositoryError},
    model::{
        name::{NamespaceId, NamespaceName},
        namespace::NamespaceInfo,
    },
    wire::{Item, expression::Key},
};

/// Random bytes in an id: 11 characters of base64.
const ID_BYTES: usize = 8;

/// Returns the key of the record that maps a name to a namespace.
pub(crate) fn by_name(name: &NamespaceName) -> Key {
    Key::new(keys::pk_system(keys::RESERVED), keys::sk_namespace(name.as_str()))
}

/// Returns the key of the record with the state of a namespace.
pub(crate) fn by_id(id: &NamespaceId) -> Key {
    Key::new(keys::pk_system(keys::RESERVED), keys::sk_nsid(id.as_str()))
}

/// Returns a new id. It never begins with a hyphen, which a command line would take for an option.
pub(crate) fn new_id() -> NamespaceId {
    id_from(rand::random::<[u8; ID_BYTES]>)
}

/// Draws until the text is a valid id.
fn id_from(mut random: impl FnMut() -> [u8; ID_BYTES]) -> NamespaceId {
    loop {
        let text = URL_SAFE_NO_PAD.encode(random());
        if let Some(id) = NamespaceId::new(&text).ok().filter(|_| !text.starts_with('-')) {
            return id;
        }
    }
}

/// Encodes the record of an active namespace at `key`.
pub(crate) fn encode(key: &Key, name: &NamespaceName, id: &NamespaceId, created_at: &str) -> Item {
    item([
        ("PK", s(&key.pk)),
        ("SK", s(&key.sk)),
        ("namespace_id", s(id.as_str())),
        ("namespace_name", s(name.as_str())),
        ("status", s(NamespaceState::Active.as_str())),
        ("created_at", s(created_at)),
        ("GSI4PK", s(keys::RESERVED)),
        ("GSI4SK", s(keys::pk_system(keys::RESERVED))),
    ])
}

/// Decodes either record.
///
/// # Errors
/// `Malformed` if name or id are missing or invalid, or the state is unknown; `Invalid` if the name is the reserved
/// one.
pub(crate) fn decode(item: &Item) -> Result<NamespaceInfo, RepositoryError> {
    let sk = get_s(item, "SK").unwrap_or_default();
    let malformed = |problem: String| RepositoryError::Malformed {
        key: format!("{}, {sk}", keys::pk_system(keys::RESERVED)),
        problem,
    };
    // Each record has one of the two in its key; the Python package reads a record without the attributes.
    let id = get_s(item, "namespace_id").or_else(|| sk.strip_prefix(keys::NSID_PREFIX)).unwrap_or_default();
    let name = get_s(item, "namespace_name").or_else(|| sk.strip_prefix(keys::NAMESPACE_PREFIX)).unwrap_or_default();
    let id = NamespaceId::new(id).map_err(|error| malformed(error.to_string()))?;
    if name == keys::RESERVED {
        return Err(NamespaceName::new(name).err().map_or_else(|| malformed(String::new()), Into::into));
    }
    let name = NamespaceName::new(name).map_err(|error| malformed(error.to_string()))?;
    let state = match get_s(item, "status") {
        None | Some("active") => NamespaceState::Active,
        Some("deleted") => NamespaceState::Deleted,
        Some("purging") => NamespaceState::Purging,
        Some(other) => return Err(malformed(format!("its status '{other}' is unknown"))),
    };
    let text = |name| get_s(item, name).map(str::to_owned);
    Ok(NamespaceInfo { name, id, state, created_at: text("created_at"), deleted_at: text("deleted_at") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_begins_with_a_hyphen() {
        // 0xF8 first encodes to `-`, zeros to `A`.
        let mut draws = [[0xF8, 0, 0, 0, 0, 0, 0, 0], [0; ID_BYTES]].into_iter();
        let id = id_from(|| draws.next().unwrap());
        assert_eq!(id.as_str(), "AAAAAAAAAAA");
        assert!(draws.next().is_none(), "the first draw was taken");
    }

    #[test]
    fn an_id_has_eleven_characters() {
        assert_eq!(new_id().as_str().len(), 11);
        assert_ne!(new_id(), new_id());
    }
}
