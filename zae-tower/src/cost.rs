//! Extractors of a [`Cost`], the tokens that a request takes. A [`Cost`] is an extractor itself.
//!
//! ```
//! use zae_tower::{Cost, cost, extract::Extractor};
//! let one_request_and_an_estimate = Cost::of("rpm", 1).and("tpm", 500);
//!
//! let by_method = cost::from_fn(|request| {
//!     Cost::of("rpm", if request.method() == http::Method::GET { 1 } else { 5 })
//! });
//!
//! let as_the_gateway_says = cost::header("x-tokens", |tokens| Cost::of("rpm", 1).and("tpm", tokens));
//! ```

use std::{any::type_name, fmt, future::Future};

use http::HeaderName;
use zae_limiter::{Cost, MAX_TOKENS};

use crate::{
    extract::{
        Extract, ExtractError, Extracted, Extractor, FromAsyncFn, FromFn, IntoExtracted, found, header_name,
        header_text,
    },
    request::RequestHead,
};

/// Always returns the same cost.
pub fn fixed(cost: Cost) -> Cost {
    cost
}

/// Passes the whole number of tokens in header `name` to `of`, which returns the cost.
///
/// Only for headers that a proxy of yours sets. A header that occurs twice, or is not a whole number from 1 to
/// [`MAX_TOKENS`], is a 400.
///
/// # Panics
/// If `name` is not a valid header name; it is a constant of the program.
pub fn header<F>(name: &'static str, of: F) -> HeaderCost<F>
where
    F: Fn(u64) -> Cost + Send + Sync + 'static,
{
    HeaderCost { name: header_name(name), of }
}

/// Extracts what `function` finds in the head of the request; see [`IntoExtracted`] for what it may return.
pub fn from_fn<F, O>(function: F) -> FromFn<F, O>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = Cost> + 'static,
{
    FromFn::new(function)
}

/// Extracts what the future returned by `function` finds; works like
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> FromAsyncFn<F, W>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = Cost>> + Send + 'static,
{
    FromAsyncFn::new(function)
}

/// A cost read from a header. Created by [`header`].
///
/// See the [module](self) for an example.
#[derive(Clone)]
pub struct HeaderCost<F> {
    name: HeaderName,
    of: F,
}

impl<F> fmt::Debug for HeaderCost<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderCost").field("name", &self.name).field("of", &type_name::<F>()).finish()
    }
}

impl<F: Fn(u64) -> Cost + Send + Sync + 'static> Extractor for HeaderCost<F> {
    type Output = Cost;
}

impl<R: RequestHead, F: Fn(u64) -> Cost + Send + Sync + 'static> Extract<R> for HeaderCost<F> {
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<Cost>> + Send {
        let tokens =
            header_text(request.headers(), &self.name).and_then(|text| text.map(|t| self.parse(t)).transpose());
        found(tokens.map(|tokens| tokens.map(&self.of)))
    }
}

impl<F> HeaderCost<F> {
    fn parse(&self, text: &str) -> Result<u64, ExtractError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(tokens) if digits && (1..=MAX_TOKENS).contains(&tokens) => Ok(tokens),
            _ => Err(ExtractError::bad_request(format!(
                "header {} must be a whole number from 1 to {MAX_TOKENS}",
                self.name
            ))),
        }
    }
}
