//! A member of a JSON body as a resource: [`JsonField`].

use std::borrow::Cow;

use zae_limiter::ResourceName;

use super::{Extract, Extracted, Extractor, PeekBody, Peeked};

/// A member of a JSON body. Made by [`resource::json_field`](crate::resource::json_field).
#[derive(Clone, Debug)]
#[must_use = "an extractor does nothing until a layer uses it"]
pub struct JsonField {
    pointer: Cow<'static, str>,
    limit: usize,
    among: Option<Vec<ResourceName>>,
}

impl JsonField {
    pub(crate) fn new(name: &'static str) -> Self {
        let pointer = if name.starts_with('/') {
            name.into()
        } else {
            // RFC 6901, section 3.
            format!("/{}", name.replace('~', "~0").replace('/', "~1")).into()
        };
        Self { pointer, limit: crate::llm::DEFAULT_BODY_LIMIT, among: None }
    }

    /// Only these names are resources of their own; with all others nothing is found, so that they share the layer's
    /// `default`. Without it, clients can have as many buckets as they can think of names.
    pub fn among(mut self, names: impl IntoIterator<Item = ResourceName>) -> Self {
        self.among = Some(names.into_iter().collect());
        self
    }

    /// The largest body that is read, in bytes; [`DEFAULT_BODY_LIMIT`](crate::llm::DEFAULT_BODY_LIMIT) if it is not set.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl Extractor for JsonField {
    type Output = ResourceName;
}

impl<R: PeekBody + Send> Extract<R> for JsonField {
    async fn extract(&self, request: &mut R) -> Extracted<ResourceName> {
        let peeked = Peeked::of(request, self.limit).await?;
        let value = peeked.request().json().and_then(|json| json.pointer(&self.pointer)?.as_str());
        match (value, &self.among) {
            (None, _) => Ok(None),
            (Some(name), None) => Ok(Some(ResourceName::new(name)?)),
            (Some(name), Some(among)) => Ok(among.iter().find(|known| known.as_str() == name).cloned()),
        }
    }
}
