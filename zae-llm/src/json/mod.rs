//! JSON of requests, read without building a document of it: memory does not grow with the body.
//!
//! Accepts what the JSON readers of model servers accept (Python, Go, Node, protobuf): half surrogate pairs, a byte
//! order mark, `NaN`, bytes that are no UTF-8 within strings. Whatever it cannot read is an error and never an empty
//! answer.
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

pub use claim::{Claim, claim};
pub use find::Pointer;
pub(crate) use number::whole;
pub(crate) use scan::{Scanner, Token};
pub(crate) use text::Text;

/// Why a JSON body cannot be used; the [module](self) has an example. Its text goes to clients and never holds a
/// value of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It breaks the grammar.
    #[error("the request's body is not valid JSON, from byte {at} on")]
    Malformed {
        /// Position of the first byte that does not fit.
        at: usize,
    },
    /// It nests deeper than is read.
    #[error("the request's body nests deeper than {} levels", scan::MAX_DEPTH)]
    TooDeep,
    /// Readers disagree on which of several members of one name counts.
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
    /// It is compressed, or in another encoding than UTF-8.
    #[error("the request's body must be JSON in UTF-8, without a content-encoding")]
    Encoded,
}
