//! A member of a JSON body as a resource: [`JsonField`].

use std::collections::HashSet;

use http::HeaderMap;
use zae_limiter::ResourceName;
use zae_llm::{
    form_field,
    json::{self, Claim, JsonError, Pointer},
};

use super::{
    Extract, ExtractError, Extracted, Extractor, Or, PeekBody, Peeked,
    reading::{BodyRules, Names},
};

/// The location of a text in JSON bodies, for adapters; see [`resource::json_field`](crate::resource::json_field) for
/// the syntax of locations and for the bodies that are read.
///
/// ```
/// use http::{HeaderMap, header::CONTENT_TYPE};
/// use zae_tower::adapter::BodyText;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, "application/json".parse()?);
/// let model = BodyText::at("model").find(&headers, br#"{"model":"gpt-5"}"#).ok().flatten();
/// assert_eq!(model.as_deref(), Some("gpt-5"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug)]
pub struct BodyText {
    pointer: Pointer,
    name: &'static str,
}

impl BodyText {
    /// Creates it for the member `name`, or for the location that a JSON pointer names.
    pub fn at(name: &'static str) -> Self {
        Self { pointer: Pointer::new(name), name }
    }

    /// Returns the text at that location in `body`, or in the field of that name of a multipart form; `None` if there
    /// is none or the body is neither.
    ///
    /// # Errors
    /// [`ExtractError`] (400) if the body is meant to be JSON but is malformed or ambiguous.
    pub fn find(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, ExtractError> {
        self.find_claimed(json::claim(headers, body), body)
    }

    /// As [`find`](Self::find), in a body that claims to be `claim`.
    ///
    /// # Errors
    /// See [`find`](Self::find).
    pub fn find_claimed(&self, claim: Claim, body: &[u8]) -> Result<Option<String>, ExtractError> {
        if body.is_empty() {
            return Ok(None);
        }
        match claim {
            Claim::Other => Ok(form_field(body, self.name)?),
            Claim::Encoded => Err(JsonError::Encoded.into()),
            Claim::Json => Ok(self.pointer.find(body)?),
        }
    }
}

/// Extracts a member of a JSON body. Created by [`resource::json_field`](crate::resource::json_field).
///
/// ```
/// use zae_tower::resource;
/// let model = resource::json_field("model").among(["gpt-5", "gpt-5-mini"]).others_as("other-models");
/// # let _ = model;
/// ```
#[derive(Clone, Debug)]
#[must_use = "an extractor does nothing until a layer uses it"]
pub struct JsonField {
    member: BodyText,
    limit: usize,
    names: Bound,
    others: Otherwise,
    missing: Otherwise,
}

/// The set of names that become resources of their own.
#[derive(Clone, Debug)]
enum Bound {
    /// Names with limits in the table.
    Configured,
    Among(HashSet<ResourceName>),
    /// Any name that a client sends.
    Any,
}

#[derive(Clone, Debug)]
enum Otherwise {
    Refuse,
    Absent,
    Resource(ResourceName),
}

impl JsonField {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            member: BodyText::at(name),
            limit: crate::llm::DEFAULT_BODY_LIMIT,
            names: Bound::Configured,
            others: Otherwise::Refuse,
            missing: Otherwise::Refuse,
        }
    }

    /// Restricts the names that become resources of their own to these, instead of those with limits in the table.
    /// Write them as clients do; [`ResourceName::from_model`] maps them. Case matters.
    pub fn among<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names = Bound::Among(names.into_iter().map(|name| ResourceName::from_model(name.as_ref())).collect());
        self
    }

    /// Makes every name a resource of its own. **Clients then choose their number of buckets**: each name that they
    /// invent has a full one, and so does each parent. Use it only behind a check of the name, or if a limit on another
    /// resource bounds the sum.
    pub fn any_name_a_client_invents(mut self) -> Self {
        self.names = Bound::Any;
        self
    }

    /// Lets all other names share this resource. Without it, they are refused (404).
    pub fn others_as(mut self, resource: impl AsRef<str>) -> Self {
        self.others = Otherwise::Resource(ResourceName::from_model(resource.as_ref()));
        self
    }

    /// Lets requests without the member (no body, a body that is not JSON, `null`) share this resource. Without it,
    /// they are refused (400). A malformed body that is meant to be JSON is always refused.
    pub fn missing_as(mut self, resource: impl AsRef<str>) -> Self {
        self.missing = Otherwise::Resource(ResourceName::from_model(resource.as_ref()));
        self
    }

    /// Uses `other` for requests without the member instead of refusing them; see
    /// [`missing_as`](JsonField::missing_as). It does not apply to names that are not resources of their own.
    pub fn or<X: Extractor<Output = ResourceName>>(mut self, other: X) -> Or<Self, X> {
        self.missing = Otherwise::Absent;
        Or::new(self, other)
    }

    /// Sets the maximum size of a body, in bytes; [`DEFAULT_BODY_LIMIT`](crate::llm::DEFAULT_BODY_LIMIT) by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    async fn known(&self, name: ResourceName, rules: &BodyRules) -> Extracted<ResourceName> {
        let known = match &self.names {
            Bound::Any => true,
            Bound::Among(names) => names.contains(&name),
            Bound::Configured => match rules.configured().await? {
                Names::These(names) => names.contains(&name),
                Names::Unknown => return Err(ExtractError::unknown_resources()),
            },
        };
        if known { Ok(Some(name)) } else { self.others.extracted(|| ExtractError::not_found(NOT_OFFERED)) }
    }
}

const NOT_OFFERED: &str = "the request asks for a model or resource that is not offered here";

impl Otherwise {
    fn extracted(&self, refusal: impl FnOnce() -> ExtractError) -> Extracted<ResourceName> {
        match self {
            Self::Refuse => Err(refusal()),
            Self::Absent => Ok(None),
            Self::Resource(resource) => Ok(Some(resource.clone())),
        }
    }
}

impl Extractor for JsonField {
    type Output = ResourceName;
}

impl<R: PeekBody + Send> Extract<R> for JsonField {
    async fn extract(&self, request: &mut R) -> Extracted<ResourceName> {
        let peeked = Peeked::of(request, self.limit).await?;
        let (claim, text) = peeked.claim(request.headers());
        match self.member.find_claimed(claim, text)? {
            Some(name) => {
                let rules = BodyRules::of(request);
                self.known(ResourceName::from_model(&name), &rules).await
            }
            None => self.missing.extracted(|| {
                ExtractError::bad_request(format!(
                    "the request's body must be JSON with the member {}",
                    self.member.pointer
                ))
            }),
        }
    }
}

impl From<JsonError> for ExtractError {
    fn from(error: JsonError) -> Self {
        Self::bad_request(error.to_string())
    }
}
