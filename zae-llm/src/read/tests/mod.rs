//! Tests of the reader on recorded and on constructed responses.

mod bad_input;
mod corpus;
mod generated;
mod guide;
mod splits;

use zae_testkit::recorded::Recorded;

use super::{Reading, Unseen, UsageReader};
use crate::{ApiFormat, End, Region, ServiceTier, Usage};

/// Reads a recorded response.
trait Readable {
    fn expected(&self) -> Reading;
    fn reader(&self, format: ApiFormat) -> UsageReader;
    /// Returns the reading if the body arrives in `chunks` and ends in `end`.
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

/// Parses a reading in the files' notation.
fn reading(text: &str) -> Reading {
    let (kind, rest) = text.split_once(' ').unwrap();
    let mut usage = Usage::default();
    for (name, count) in rest.split(' ').filter_map(|part| part.split_once('=')) {
        match name {
            "tier" => usage.tier = ServiceTier::named(count),
            "region" => usage.region = Region::named(count),
            _ => *place(&mut usage, name) = count.parse::<u64>().unwrap() * if name == "seconds" { 1_000 } else { 1 },
        }
    }
    let reasons = [
        Unseen::Absent,
        Unseen::ErrorEvent,
        Unseen::ErrorStatus,
        Unseen::Refused,
        Unseen::Absurd,
        Unseen::UnknownFormat,
    ];
    match kind {
        "final" => Reading::Final(usage),
        "so_far" => Reading::SoFar(usage),
        _ => Reading::Unseen(reasons.into_iter().find(|reason| reason.as_str() == rest).expect(text)),
    }
}

fn place<'u>(usage: &'u mut Usage, name: &str) -> &'u mut u64 {
    match name {
        "input" => &mut usage.input_uncached,
        "cache_read" => &mut usage.cache_read,
        "cache_write" => &mut usage.cache_write,
        "cache_write_1h" => &mut usage.cache_write_1h,
        "output" => &mut usage.output,
        "reasoning" => &mut usage.reasoning,
        "audio_input" => &mut usage.audio_input,
        "audio_output" => &mut usage.audio_output,
        "image_input" => &mut usage.image_input,
        "image_output" => &mut usage.image_output,
        "rejected" => &mut usage.rejected,
        "tool_calls" => &mut usage.tool_calls,
        "seconds" => &mut usage.milliseconds,
        "images" => &mut usage.images,
        "search_units" => &mut usage.search_units,
        other => panic!("{other}"),
    }
}
