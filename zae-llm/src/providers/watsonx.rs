//! IBM watsonx.ai: its own text generation and embeddings. Its chat follows OpenAI's.
//!
//! Source: <https://cloud.ibm.com/apidocs/watsonx-ai#text-generation>, `#text-generation-stream`, `#text-embeddings`.
//!
//! A stream counts the output so far in each event, and the input in the first:
//!
//! ```json
//! {"model_id": "", "results": [{"generated_text": "", "generated_token_count": 20, "input_token_count": 7}]}
//! {"model_id": "", "results": [{"embedding": []}], "input_token_count": 10}
//! ```

use super::table::{EndpointWord, Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[
            Place::count("results", "input_token_count"),
            Place::count("results", "generated_token_count"),
            Place::count("", "input_token_count"),
        ],
        signs: &[&["input_token_count"], &["generated_token_count"]],
        fields: Fields { input: &["input_token_count"], output: &["generated_token_count"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    places: &[Place::error("", "errors")],
    request: RequestWords {
        members: &[
            Member::new("model_id", Meaning::ModelId),
            Member::within("parameters", "max_new_tokens", Meaning::Bound),
        ],
        settings: &["model_id", "project_id", "space_id", "parameters"],
        schemas: &[],
        media: &[],
    },
    endpoints: &[EndpointWord::reads("/text/embeddings"), EndpointWord::free("/text/tokenization")],
    ..Provider::NONE
};
