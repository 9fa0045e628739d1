//! Keyed hashes of API keys: [`ApiKeyHasher`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zae_limiter::EntityId;

/// Minimum length of the secret of an [`ApiKeyHasher`], in bytes.
pub const MIN_SECRET_BYTES: usize = 32;

/// Number of bytes of the hash that become the entity id: enough to avoid collisions, short enough to read.
const KEPT_BYTES: usize = 16;

/// Turns API keys into entity ids that reveal nothing about the key: `key-` followed by the first 16 bytes of
/// HMAC-SHA256(secret, key) in URL-safe base64.
///
/// Without the secret, a reader of the table can neither tell which key an id belongs to nor test guesses. All
/// processes of a fleet need the same secret; changing it makes every key a new entity with full buckets.
///
/// Only hash keys that have been verified: a client that can invent keys gets a fresh bucket with each of them.
///
/// ```
/// use zae_tower::entity::ApiKeyHasher;
/// let hasher = ApiKeyHasher::new(b"32 bytes or more from `openssl rand`")?;
/// let entity = hasher.entity("sk-live-1234");
/// assert_eq!(entity, hasher.entity("sk-live-1234"));
/// assert!(entity.as_str().starts_with("key-") && !entity.as_str().contains("1234"));
/// # Ok::<(), zae_tower::entity::SecretTooShort>(())
/// ```
#[derive(Clone)]
pub struct ApiKeyHasher {
    keyed: Hmac<Sha256>,
}

/// The secret is too short to be secure.
///
/// ```
/// use zae_tower::entity::ApiKeyHasher;
/// assert_eq!(ApiKeyHasher::new("hunter2").unwrap_err().length, 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret for hashing API keys has {length} bytes, it needs at least {MIN_SECRET_BYTES}: take the output of \
     `openssl rand -hex 32`"
)]
#[non_exhaustive]
pub struct SecretTooShort {
    /// Length of the secret, in bytes.
    pub length: usize,
}

impl ApiKeyHasher {
    /// Creates a hasher with that secret, which needs at least [`MIN_SECRET_BYTES`] bytes of randomness.
    ///
    /// # Errors
    /// [`SecretTooShort`].
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretTooShort> {
        let secret = secret.as_ref();
        let too_short = SecretTooShort { length: secret.len() };
        if secret.len() < MIN_SECRET_BYTES {
            return Err(too_short);
        }
        // HMAC accepts keys of any length; the constructor's error exists for other constructions.
        Ok(Self { keyed: Hmac::new_from_slice(secret).map_err(|_| too_short)? })
    }

    /// Returns the entity that stands for `key`; any string is accepted.
    pub fn entity(&self, key: &str) -> EntityId {
        let hash = self.keyed.clone().chain_update(key).finalize().into_bytes();
        let text = format!("key-{}", URL_SAFE_NO_PAD.encode(&hash[..KEPT_BYTES]));
        // Infallible: only characters that an entity id allows, and far below its maximum length.
        EntityId::new(text).expect("letters, digits, - and _ after a letter")
    }
}

impl fmt::Debug for ApiKeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 6: the key is longer than a block.
    #[test]
    fn is_hmac_sha256() {
        let hasher = ApiKeyHasher::new([0xaa; 131]).unwrap();
        let expected = 0x60e4_3159_1ee0_b67f_0d8a_26aa_cbf5_b77f_u128.to_be_bytes();
        let entity = hasher.entity("Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(entity.as_str(), format!("key-{}", URL_SAFE_NO_PAD.encode(expected)));
    }

    #[test]
    fn any_key_becomes_an_entity_of_its_own() {
        let hasher = ApiKeyHasher::new([7; MIN_SECRET_BYTES]).unwrap();
        let long = "k".repeat(100_000);
        let mut seen = std::collections::HashSet::new();
        for key in ["", "#", "a", "A", "a ", "ключ", "\r\n\0", "key-a", &long] {
            let entity = hasher.entity(key);
            assert_eq!(entity.as_str().len(), 4 + 22, "{key:.20}");
            assert!(seen.insert(entity), "{key:.20} is the same as another");
        }
        assert_ne!(ApiKeyHasher::new([8; MIN_SECRET_BYTES]).unwrap().entity("a"), hasher.entity("a"));
    }

    #[test]
    fn short_secrets_are_refused_without_being_shown() {
        for secret in ["", "hunter2", "0123456789012345678901234567890"] {
            let error = ApiKeyHasher::new(secret).unwrap_err();
            assert_eq!(error.length, secret.len());
            assert!(error.to_string().contains("at least 32"), "{error}");
            assert!(secret.is_empty() || !error.to_string().contains(secret));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let hasher = ApiKeyHasher::new("hunter2hunter2hunter2hunter2hunter2").unwrap();
        assert_eq!(format!("{hasher:?}"), "ApiKeyHasher { .. }");
    }
}
