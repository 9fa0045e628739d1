//! Header values as text, from possibly malicious senders.

use std::{future::Future, marker::PhantomData, str::FromStr};

use http::{HeaderMap, HeaderName};

use super::{Extract, ExtractError, Extracted, Extractor, found};
use crate::request::RequestHead;

/// Maximum length of a header value that is inspected, in bytes. Names and ids are at most 256 characters.
const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Parses a header name, in any case.
///
/// # Panics
/// If it is not a valid header name. Callers pass constants of the program only, so this happens at start-up or never.
pub(crate) fn header_name(name: &'static str) -> HeaderName {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("{name:?} is not a header name"),
    }
}

/// Returns the single value of header `name` as text; `None` if the header is absent.
///
/// # Errors
/// [`ExtractError`] if the header occurs more than once (the sender would choose which one counts), or if it is empty,
/// too long, or not printable ASCII. The value is never part of the error.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ExtractError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |problem: &str| Err(ExtractError::bad_request(format!("header {name} {problem}")));
    if values.next().is_some() {
        return bad("must be given once");
    }
    if value.is_empty() {
        return bad("must not be empty");
    }
    if value.len() > MAX_VALUE_BYTES {
        return bad("is too long");
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => bad("must be printable ASCII"),
    }
}

/// A header's parsed value. Created by [`entity::header`](crate::entity::header) and its siblings.
///
/// See [`Extractor`](super::Extractor) for an example.
pub struct Header<T> {
    name: HeaderName,
    output: PhantomData<fn() -> T>,
}

impl<T> Header<T> {
    pub(crate) fn new(name: HeaderName) -> Self {
        Self { name, output: PhantomData }
    }
}

impl<T> Clone for Header<T> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
    }
}

impl<T> std::fmt::Debug for Header<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Header").field(&self.name).finish()
    }
}

impl<T: Send + 'static> Extractor for Header<T> {
    type Output = T;
}

impl<R, T> Extract<R> for Header<T>
where
    R: RequestHead,
    T: FromStr<Err = zae_limiter::ValidationError> + Send + 'static,
{
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<T>> + Send {
        let text = header_text(request.headers(), &self.name);
        let value = text.and_then(|text| match text.map(T::from_str).transpose() {
            Ok(value) => Ok(value),
            Err(error) => Err(ExtractError::bad_request(format!("header {}: {error}", self.name))),
        });
        found(value)
    }
}
