//! JSON of requests, read without building a document: memory does not grow with the body.
//!
//! Accepts what the JSON parsers of model servers accept (Python, Go, Node, protobuf): unpaired surrogates, a byte
//! order mark, `NaN`, invalid UTF-8 within strings. Anything unreadable is an error and never an empty result.
//!
//! ```
//! use zae_llm::json::{JsonError, Pointer};
//! let model = Pointer::new("/request/model");
//! assert_eq!(model.find(br#"{"request":{"model":"gpt-5"}}"#), Ok(Some("gpt-5".to_owned())));
//! assert_eq!(model.find(b"[]"), Ok(None));
//! let twice = br#"{"request":{"model":"gpt-5","model":"gpt-5-mini"}}"#;
//! assert_eq!(model.find(twice), Err(JsonError::Ambiguous { name: "model".to_owned() }));
//! ```

mod claim;
mod find;
mod number;
mod scan;
mod text;

pub use claim::{Claim, claim, claim_decoded};
pub use find::Pointer;
pub(crate) use number::whole;
pub(crate) use scan::{Scanner, Token};
pub(crate) use text::Text;

/// The reason why a JSON body is not usable; the [module](self) has an example. Its text is sent to clients and never
/// contains a value of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It violates the grammar.
    #[error("the request's body is not valid JSON, from byte {at} on")]
    Malformed {
        /// Position of the first invalid byte.
        at: usize,
    },
    /// It is nested too deeply.
    #[error("the request's body nests deeper than {} levels", scan::MAX_DEPTH)]
    TooDeep,
    /// A name occurs several times, and parsers disagree on which one counts.
    #[error("the request's body has the member `{name}` more than once")]
    Ambiguous {
        /// The name.
        name: String,
    },
    /// A member that must be text is not, or is too long.
    #[error("the member `{name}` of the request's body must be text of at most {} bytes", find::MAX_TEXT)]
    NotText {
        /// The name.
        name: String,
    },
    /// It has another encoding than UTF-8, or is compressed in a way that cannot be read.
    #[error(
        "the request's body must be JSON in UTF-8, without a content-encoding other than gzip, deflate, br or zstd"
    )]
    Encoded,
}
