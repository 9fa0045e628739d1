//! Recorded responses of providers, one file each: the expected reading, the API, the documentation that it follows,
//! status line, headers, an empty line, and the body byte for byte.
//!
//! No file was taken from a provider.

mod variations;

pub use self::variations::encoded;
use std::{fs, path::PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The folder of the files.
const CORPUS: [&str; 2] = [env!("CARGO_MANIFEST_DIR"), "../zae-llm/tests/corpus"];

/// Kinds of tokens that tests charge to limits of these names.
pub const KINDS: [&str; 5] = ["input", "cache_read", "cache_write", "answer", "reasoning"];

/// The expected usage of a file, by [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Final([i64; 5]),
    SoFar([i64; 5]),
    /// It reports none, so that the estimate stands.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Recorded {
    pub name: String,
    /// The expected reading of the whole response: `final input=93 cache_read=1024 output=246`, `unseen absent`.
    pub reads: String,
    /// Provider, endpoint and form of the response.
    pub from: [String; 3],
    /// Address of the documentation.
    pub source: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Recorded {
    pub fn load(name: &str) -> Self {
        let path = CORPUS.iter().collect::<PathBuf>().join(format!("{name}.http"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let reads = lines.next().unwrap().strip_prefix("reads: ").expect(name).to_owned();
        let from = lines.next().unwrap().strip_prefix("from: ").expect(name).split(" | ").map(str::to_owned);
        let from = from.collect::<Vec<_>>().try_into().expect(name);
        let source = lines.next().unwrap().strip_prefix("source: ").expect(name).to_owned();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        Self { name: name.to_owned(), reads, from, source, status, headers, body: bytes[end + 2..].to_vec() }
    }

    /// Returns all of them, by name.
    pub fn all() -> Vec<Self> {
        let folder: PathBuf = CORPUS.iter().collect();
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".http").unwrap().to_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// Parses the expected usage.
    pub fn truth(&self) -> Truth {
        let (how, kinds) = self.reads.split_once(' ').unwrap();
        let count = |name: &str| {
            let mut counts = kinds.split(' ').filter_map(|part| part.split_once('='));
            counts.find(|(kind, _)| *kind == name).map_or(0, |(_, count)| count.parse().unwrap())
        };
        let (output, reasoning) = (count("output"), count("reasoning"));
        let usage = [count("input"), count("cache_read"), count("cache_write"), output - reasoning, reasoning];
        match how {
            "final" => Truth::Final(usage),
            "so_far" => Truth::SoFar(usage),
            _ if kinds == "refused" => Truth::Final([0; 5]),
            _ => Truth::Unknown,
        }
    }

    /// Returns true if the content type contains it.
    pub fn is(&self, content_type: &str) -> bool {
        let header = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        header.is_some_and(|header| header.starts_with(content_type))
    }

    /// Returns the events of the body: AWS's frames, blocks that end in an empty line, or lines.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.is("application/vnd.amazon.eventstream");
        let lines = self.is("application/x-ndjson") || self.is("application/stream+json");
        let mut rest = &*self.body;
        std::iter::from_fn(move || {
            let length = match rest {
                [] => return None,
                [a, b, c, d, ..] if frames => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
                text => (1..=text.len())
                    .find(|end| {
                        let text = &text[..*end];
                        text.ends_with(b"\n\n") || text.ends_with(b"\r\n\r\n") || lines && text.ends_with(b"\n")
                    })
                    .unwrap_or(text.len()),
            };
            let (event, others) = rest.split_at(length.min(rest.len()));
            rest = others;
            Some(event)
        })
    }
}
