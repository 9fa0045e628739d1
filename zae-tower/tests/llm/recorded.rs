//! Responses of providers, one file each: the reading that is expected of it, status line, headers, an empty line, and
//! the body byte for byte.
//!
//! They are written after the providers' documentation; no file was taken from a provider.

use std::{fs, path::PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use zae_tower::{
    llm::{ApiFormat, Reading, Unseen, Usage, UsageReader},
    settle::End,
};

#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    /// The reading of the whole response.
    pub(crate) expected: Reading,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Recorded {
    pub(crate) fn load(name: &str) -> Self {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/llm/corpus", &format!("{name}.http")].iter().collect();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let expected = reading(lines.next().unwrap().strip_prefix("reads: ").expect(name));
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        Self { name: name.to_owned(), expected, status, headers, body: bytes[end + 2..].to_vec() }
    }

    /// All of them, by name.
    pub(crate) fn all() -> Vec<Self> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/llm/corpus"].iter().collect();
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".http").unwrap().to_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// The events of the body: of AWS its frames, of others what ends in an empty line.
    pub(crate) fn events(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.headers["content-type"] == "application/vnd.amazon.eventstream";
        let mut rest = &*self.body;
        std::iter::from_fn(move || {
            let length = match rest {
                [] => return None,
                [a, b, c, d, ..] if frames => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
                text => (1..=text.len())
                    .find(|end| text[..*end].ends_with(b"\n\n") || text[..*end].ends_with(b"\r\n\r\n"))
                    .unwrap_or(text.len()),
            };
            let (event, others) = rest.split_at(length);
            rest = others;
            Some(event)
        })
    }

    pub(crate) fn reader(&self, format: ApiFormat) -> UsageReader {
        UsageReader::new(format, self.status, &self.headers)
    }

    /// Returns the reading when the body arrives in `chunks` and ends in `end`.
    pub(crate) fn read<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>, end: End) -> Reading {
        let mut reader = self.reader(ApiFormat::Auto);
        for chunk in chunks {
            reader.push(chunk);
        }
        reader.finish(end)
    }
}

/// A reading as the files write it: `final input=93 cache_read=1024 output=246`, `unseen absent`.
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
