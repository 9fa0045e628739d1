//! Baidu's Qianfan, where it differs from OpenAI: its own API reports errors in successful responses.
//!
//! Source: <https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh>.
//!
//! ```json
//! {"error_code": 18, "error_msg": "Open api qps request limit reached"}
//! ```

use super::table::{EndpointWord, LimitWords, Place, Provider};

pub(super) const PROVIDER: Provider = Provider {
    places: &[Place::error("", "error_code")],
    // Limits of requests: of the cluster, of a day, of a second, of all; then of requests and of tokens in a minute.
    limits: LimitWords { refused: &["4", "17", "18", "19", "336501", "336502"], ..LimitWords::NONE },
    endpoints: &[
        EndpointWord::reads("/embeddings/embedding-v1"),
        EndpointWord::reads("/embeddings/bge_large_zh"),
        EndpointWord::reads("/embeddings/tao_8k"),
    ],
    ..Provider::NONE
};
