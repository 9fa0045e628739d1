//! What it costs to read the usage of a stream of a megabyte while it passes by. The ratio to the plain stream is what
//! counts, as both are measured in one run; `in_memory` has no network that could hide anything.

use bytes::BytesMut;
use divan::{Bencher, counter::BytesCount};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use zae_tower::{llm::UsageReader, settle::End};

mod stream;

fn main() {
    divan::main();
}

async fn receive(server: &stream::Server, mut reader: Option<UsageReader>) -> usize {
    let mut body = server.get().await;
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        bytes += data.len();
        if let Some(reader) = &mut reader {
            reader.push(&data);
        }
    }
    if let Some(reader) = reader {
        assert_eq!(reader.finish(End::Complete), stream::READING);
    }
    bytes
}

fn over_loopback(bencher: Bencher<'_, '_>, reader: fn() -> Option<UsageReader>) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(stream::Server::start());
    bencher.counter(BytesCount::new(stream::BODY.len())).bench(|| runtime.block_on(receive(&server, reader())));
}

#[divan::bench(sample_count = 200)]
fn loopback_plain(bencher: Bencher<'_, '_>) {
    over_loopback(bencher, || None);
}

#[divan::bench(sample_count = 200)]
fn loopback_read(bencher: Bencher<'_, '_>) {
    over_loopback(bencher, || Some(stream::reader()));
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

/// The slow way, for events that are cut in two: every byte is looked at.
#[divan::bench(sample_count = 200)]
fn in_memory_read_in_odd_pieces(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(stream::BODY.len())).bench(|| {
        let mut reader = stream::reader();
        stream::BODY.chunks(97).for_each(|piece| reader.push(piece));
        reader.finish(End::Complete)
    });
}
