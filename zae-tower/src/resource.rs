//! Extractors of a [`ResourceName`], the resource to limit.
//!
//! There is none for the raw path: clients choose its values, and each would get a bucket of its own.
//!
//! ```
//! use zae_tower::{ResourceName, extract::Extractor, resource};
//! let what = resource::matched_route().or(resource::fixed(ResourceName::new("other")?));
//! # Ok::<(), zae_tower::ValidationError>(())
//! ```

use std::future::Future;

use sha2::{Digest, Sha256};
use zae_limiter::{ResourceName, name::MAX_NAME_LEN};

use crate::{
    extract::{
        Extract, Extracted, Extractor, FromAsyncFn, FromFn, Header, IntoExtracted, JsonField, found, header_name,
    },
    request::{MatchedRoute, RequestHead},
    route_names::RouteNames,
};

/// The resource of requests for which the extractor finds none.
pub const DEFAULT: &str = "default";

/// The extractor used by [`ZaeLimit::new`](crate::ZaeLimit::new): the matched route, if the framework's adapter
/// provides it.
pub type DefaultResource = Route;

/// The route that the framework matched, from [`MatchedRoute`].
///
/// See the [module](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct Route {
    names: RouteNames,
}

/// Uses the route that the framework matched, converted by [`route_name`], if an adapter provides [`MatchedRoute`].
pub fn matched_route() -> Route {
    Route::default()
}

/// Uses the value of header `name` as the resource: for a header that a proxy of yours sets, or if clients may choose
/// the resource. A header that occurs twice, is empty, or is not a [`ResourceName`] is a 400.
///
/// # Panics
/// If `name` is not a valid header name; it is a constant of the program.
pub fn header(name: &'static str) -> Header<ResourceName> {
    Header::new(header_name(name))
}

/// Uses the text in the member `name` of a JSON body: `json_field("model")` for requests to models. A name with a
/// leading `/` is a JSON pointer (RFC 6901). [`ResourceName::from_model`] maps the text to a name, so that every model
/// has one.
///
/// Clients choose the text, so the set of names is bounded: by those that have default limits in the table
/// (`zae-deploy resource set-defaults gpt-5 …`; a change takes effect within a minute), or by a list in the program.
///
/// | the request | | otherwise |
/// |---|---|---|
/// | names another model | 404 | [`others_as`](JsonField::others_as) |
/// | has no body, no JSON, or no such member | 400 | [`missing_as`](JsonField::missing_as), [`or`](JsonField::or) |
/// | is meant to be JSON and cannot be read, or has the member twice | 400 | |
///
/// A body is taken for JSON if its content type or its first bytes say so. The parser accepts what model servers
/// accept: a byte order mark, unpaired surrogates, escapes in names.
///
/// The body is read after the entity was found, and forwarded unchanged. It must not be longer than
/// [`body_limit`](JsonField::body_limit) (otherwise 413), must arrive within
/// [`ZaeLimit::body_timeout`](crate::ZaeLimit::body_timeout) (408), and must fit into
/// [`ZaeLimit::body_budget`](crate::ZaeLimit::body_budget) (503). **While a body arrives, a permit of a concurrency
/// limit inside of the layer is held**: put concurrency limits outside.
///
/// ```
/// use zae_tower::resource;
/// let those_in_the_table = resource::json_field("model");
/// let ours = resource::json_field("model").among(["gpt-5", "@cf/meta/llama-3-8b-instruct"]).others_as("other-models");
/// ```
pub fn json_field(name: &'static str) -> JsonField {
    JsonField::new(name)
}

/// Always returns the same resource.
pub fn fixed(resource: ResourceName) -> ResourceName {
    resource
}

/// Extracts what `function` finds in the head of the request; see [`IntoExtracted`] for what it may return.
///
/// ```
/// use zae_tower::{ResourceName, resource};
/// let what = resource::from_fn(|request| {
///     ResourceName::new(if request.path().starts_with("/v1/") { "v1" } else { "legacy" })
/// });
/// ```
pub fn from_fn<F, O>(function: F) -> FromFn<F, O>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted<Value = ResourceName> + 'static,
{
    FromFn::new(function)
}

/// Extracts what the future returned by `function` finds; works like
/// [`entity::from_async_fn`](crate::entity::from_async_fn).
pub fn from_async_fn<F, W>(function: F) -> FromAsyncFn<F, W>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = ResourceName>> + Send + 'static,
{
    FromAsyncFn::new(function)
}

impl Extractor for Route {
    type Output = ResourceName;
}

impl<R: RequestHead> Extract<R> for Route {
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<ResourceName>> + Send {
        let route = request.extensions().get::<MatchedRoute>();
        found(route.map(|route| self.names.name(route.as_str())).transpose().map_err(Into::into))
    }
}

/// Returns the resource name of a route: the route without its first `/`, parameters as `:name`, and `root` for `/`.
///
/// Characters that a resource name cannot express become `-` or are cut off; such a name ends in a short hash of the
/// route, so that two routes never share a name.
///
/// ```
/// use zae_tower::resource::route_name;
/// assert_eq!(route_name("/v1/users/{id}")?.as_str(), "v1/users/:id");
/// assert_eq!(route_name("/")?.as_str(), "root");
/// # Ok::<(), zae_tower::ValidationError>(())
/// ```
///
/// # Errors
/// None in practice: every route has a name.
pub fn route_name(route: &str) -> Result<ResourceName, zae_limiter::ValidationError> {
    if route == "/" {
        return ResourceName::new("root");
    }
    let plain = route.strip_prefix('/').unwrap_or(route);
    let mut exact = route.starts_with('/') && plain != "root" && !plain.contains(':');
    let mut name = String::with_capacity(plain.len());
    if !plain.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.push_str("route/");
        exact = false;
    }
    for segment in plain.split_inclusive('/') {
        let (segment, slash) = segment.strip_suffix('/').map_or((segment, ""), |segment| (segment, "/"));
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(parameter) => {
                name.push(':');
                push_plain(&mut name, parameter, &mut exact);
            }
            None => push_plain(&mut name, segment, &mut exact),
        }
        name.push_str(slash);
    }
    if !exact || name.len() > MAX_NAME_LEN {
        let digest = Sha256::digest(route.as_bytes());
        let hash = format!("-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        name.truncate(MAX_NAME_LEN - hash.len());
        name.push_str(&hash);
    }
    ResourceName::new(name)
}

/// Appends `text` with `-` for each character that a resource name does not allow; the result is ASCII.
fn push_plain(name: &mut String, text: &str, exact: &mut bool) {
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-' | ':') {
            name.push(character);
        } else {
            name.push('-');
            *exact = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_routes_keep_their_text() {
        for (route, name) in [
            ("/", "root"),
            ("/v1/chat/completions", "v1/chat/completions"),
            ("/users/{id}", "users/:id"),
            ("/users/", "users/"),
            ("/pkg.Service/Method", "pkg.Service/Method"),
        ] {
            assert_eq!(route_name(route).unwrap().as_str(), name, "{route}");
        }
    }

    #[test]
    fn all_other_routes_get_names_of_their_own() {
        let long = format!("/{}", "a".repeat(100));
        let longer = format!("{long}b");
        let routes = [
            "/root",
            "root",
            "",
            "//",
            "/{id}",
            "/:id",
            "/users/:id",
            "/users/{*rest}",
            "/users/-rest",
            "/ü",
            "/ä",
            "/1",
            &long,
            &longer,
            "*",
        ];
        let mut names: Vec<String> = routes.iter().map(|route| route_name(route).unwrap().to_string()).collect();
        assert!(names.iter().all(|name| name.len() <= MAX_NAME_LEN));
        names.extend(["/", "/users/{id}", "/a"].map(|route| route_name(route).unwrap().to_string()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
