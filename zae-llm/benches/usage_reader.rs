//! Measures the cost of reading usage from a stream of a megabyte as it passes through. The ratio to the plain stream
//! matters, because both are measured in one run: through a gateway that writes event by event, as models generate
//! them, or in blocks, as a buffering proxy does. `in_memory` has no network, and the copy it is compared with is
//! faster than any inspection of bytes can be.
//!
//! `estimated_text` and `estimated_request` measure estimates. Allocations are counted for all of them.

use bytes::{Bytes, BytesMut};
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use tokio::runtime::Runtime;
use zae_llm::{
    End, LlmRequest, UsageReader,
    estimate::{self, Estimator, tokens_of},
};

mod stream;

use stream::{Gateway, Passing, Writes};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Texts that are repeated to a megabyte.
const TEXTS: [&str; 3] = [
    "The ferry left the harbour an hour late because of the storm. ",
    "渡轮晚了一个小时才离开港口，因为有风暴。",
    "for (index, value) in values.iter().enumerate() { total += value * 31; }\n",
];

fn main() {
    divan::main();
}

#[divan::bench(args = TEXTS, sample_count = 50)]
fn estimated_text(bencher: Bencher<'_, '_>, text: &str) {
    let text = text.repeat(1_000_000 / text.len());
    bencher.counter(BytesCount::new(text.len())).bench(|| tokens_of(black_box(&text)));
}

/// A chat of twenty messages, from its bytes to its estimate.
#[divan::bench(sample_count = 200)]
fn estimated_request(bencher: Bencher<'_, '_>) {
    let message = format!(r#"{{"role":"user","content":"{}"}}"#, TEXTS[0].repeat(10));
    let messages = vec![message; 20].join(",");
    let body = Bytes::from(format!(r#"{{"model":"gpt-5","max_completion_tokens":500,"messages":[{messages}]}}"#));
    let estimator = estimate::learned();
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| estimator.estimate(&LlmRequest::from(black_box(body.clone())).at("/v1/chat/completions")));
}

fn through_gateway(bencher: Bencher<'_, '_>, writes: Writes, passing: Passing) {
    let runtime = Runtime::new().unwrap();
    let gateway = runtime.block_on(Gateway::start(writes));
    bencher.counter(BytesCount::new(stream::BODY.len())).bench(|| runtime.block_on(gateway.receive(passing)));
}

#[divan::bench(sample_count = 100)]
fn gateway_events_plain(bencher: Bencher<'_, '_>) {
    through_gateway(bencher, Writes::Events, Passing::Plain);
}

#[divan::bench(sample_count = 100)]
fn gateway_events_read(bencher: Bencher<'_, '_>) {
    through_gateway(bencher, Writes::Events, Passing::Read);
}

#[divan::bench(sample_count = 200)]
fn gateway_blocks_plain(bencher: Bencher<'_, '_>) {
    through_gateway(bencher, Writes::Blocks, Passing::Plain);
}

#[divan::bench(sample_count = 200)]
fn gateway_blocks_read(bencher: Bencher<'_, '_>) {
    through_gateway(bencher, Writes::Blocks, Passing::Read);
}

fn in_memory(bencher: Bencher<'_, '_>, reader: fn() -> Option<UsageReader>) {
    bencher.counter(BytesCount::new(stream::BODY.len())).bench(|| {
        let mut reader = reader();
        let mut all = BytesMut::new();
        for event in stream::EVENTS.iter() {
            if let Some(reader) = &mut reader {
                reader.push(event);
            }
            all.extend_from_slice(event);
        }
        (all, reader.map(|reader| reader.finish(End::Complete)))
    });
}

#[divan::bench(sample_count = 200)]
fn in_memory_copied(bencher: Bencher<'_, '_>) {
    in_memory(bencher, || None);
}

#[divan::bench(sample_count = 200)]
fn in_memory_copied_and_read(bencher: Bencher<'_, '_>) {
    in_memory(bencher, || Some(stream::reader()));
}

/// Events that are split into two or more pieces.
#[divan::bench(sample_count = 200)]
fn in_memory_read_in_odd_pieces(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(stream::BODY.len())).bench(|| {
        let mut reader = stream::reader();
        stream::BODY.chunks(97).for_each(|piece| reader.push(piece));
        reader.finish(End::Complete)
    });
}
