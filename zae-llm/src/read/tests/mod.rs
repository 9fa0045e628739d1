//! Tests of the reader on recorded and on made-up responses.

mod bad_input;
mod corpus;
mod generated;
mod splits;

use zae_testkit::recorded::Recorded;

use super::{Reading, Unseen, UsageReader};
use crate::{ApiFormat, End, Usage};

/// Reads a recorded response.
trait Readable {
    fn expected(&self) -> Reading;
    fn reader(&self, format: ApiFormat) -> UsageReader;
    /// Returns the reading when the body arrives in `chunks` and ends in `end`.
    fn read<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>, end: End) -> Reading;
}

impl Readable for Recorded {
    fn expected(&self) -> Reading {
        reading(&self.reads)
    }

    fn reader(&self, format: ApiFormat) -> UsageReader {
        UsageReader::new(format, self.status, &self.headers)
    }

    fn read<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>, end: End) -> Reading {
        let mut reader = self.reader(ApiFormat::Auto);
        for chunk in chunks {
            reader.push(chunk);
        }
        reader.finish(end)
    }
}

/// A reading as the files write it.
fn reading(text: &str) -> Reading {
    let (kind, rest) = text.split_once(' ').unwrap();
    let mut usage = Usage::default();
    for (name, count) in rest.split(' ').filter_map(|part| part.split_once('=')) {
        let count = count.parse().unwrap();
        match name {
            "input" => usage.input_uncached = count,
            "cache_read" => usage.cache_read = count,
            "cache_write" => usage.cache_write = count,
            "output" => usage.output = count,
            "reasoning" => usage.reasoning = count,
            other => panic!("{other}: {text}"),
        }
    }
    match (kind, rest) {
        ("final", _) => Reading::Final(usage),
        ("so_far", _) => Reading::SoFar(usage),
        (_, "absent") => Reading::Unseen(Unseen::Absent),
        (_, "error_event") => Reading::Unseen(Unseen::ErrorEvent),
        (_, "error_status") => Reading::Unseen(Unseen::ErrorStatus),
        _ => panic!("{text}"),
    }
}
