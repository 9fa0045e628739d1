//! Measures the cost of reading usage from a stream of a megabyte as it passes through. The ratio to the plain stream
//! matters, because both are measured in one run: through a gateway that writes event by event, as models generate
//! them, or in blocks, as a buffering proxy does. `in_memory` has no network, and the copy it is compared with is
//! faster than any inspection of bytes can be.

use bytes::BytesMut;
use divan::{Bencher, counter::BytesCount};
use tokio::runtime::Runtime;
use zae_llm::{End, UsageReader};

mod stream;

use stream::{Gateway, Passing, Writes};

fn main() {
    divan::main();
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
