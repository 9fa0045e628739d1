//! Voyage AI: embeddings and rerankers. All tokens are input, and the total is the only count.
//!
//! Sources: <https://docs.voyageai.com/reference/embeddings-api>, `/reranker-api`, `/multimodal-embeddings-api`;
//! <https://github.com/voyage-ai/openapi>. Other embedders and rerankers (Jina, Nomic, Pinecone) use the same format;
//! Pinecone's rerankers count units: <https://docs.pinecone.io/reference/api/latest/inference/rerank>.
//!
//! ```json
//! {"object": "list", "data": [], "model": "voyage-4", "usage": {"total_tokens": 8}}
//! ```

use super::table::{EndpointWord, Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("", "usage")],
            signs: &[&["total_tokens"]],
            fields: Fields { input: &["total_tokens"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "usage")],
            signs: &[&["rerank_units"]],
            fields: Fields { search_units: &["rerank_units"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
    ],
    request: RequestWords {
        members: &[Member::new("model", Meaning::Model)],
        settings: &["model", "input_type", "output_dtype", "encoding_format"],
        schemas: &[],
        media: &["image_url", "image_base64", "video_url", "video_base64"],
    },
    endpoints: &[
        EndpointWord::reads("/multimodalembeddings"),
        EndpointWord::reads("/contextualizedembeddings"),
        EndpointWord::reads("/ranking"),
        EndpointWord::reads("/score"),
    ],
    ..Provider::NONE
};
