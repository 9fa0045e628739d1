//! What reading costs, as a share of what it costs to stream at all.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;

#[path = "../../benches/stream/mod.rs"]
mod stream;

/// Generous, as test builds are not optimized and machines are busy; `benches/usage_reader.rs` has the true ratio.
const LEAST: f64 = if cfg!(debug_assertions) { 0.2 } else { 0.8 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_read_arrives_nearly_as_fast() {
    let server = stream::Server::start().await;
    let mut best = [Duration::MAX; 2];
    for _ in 0..5 {
        for (read, best) in [false, true].into_iter().zip(&mut best) {
            let started = Instant::now();
            let mut reader = read.then(stream::reader);
            let mut body = server.get().await;
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                bytes += data.len();
                if let Some(reader) = &mut reader {
                    reader.push(&data);
                }
            }
            assert_eq!(bytes, stream::BODY.len());
            if let Some(reader) = reader {
                assert_eq!(reader.finish(zae_tower::settle::End::Complete), stream::READING);
            }
            *best = started.elapsed().min(*best);
        }
    }
    let ratio = best[0].as_secs_f64() / best[1].as_secs_f64();
    assert!(ratio >= LEAST, "{ratio:.2}: {best:?}");
}
