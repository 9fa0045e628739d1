//! Responses of providers, one file each: the reading that is expected of it, status line, headers, an empty line, and
//! the body byte for byte.
//!
//! They are written after the providers' documentation; no file was taken from a provider.

use std::{fs, path::PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The folder of the files.
const CORPUS: [&str; 2] = [env!("CARGO_MANIFEST_DIR"), "../zae-llm/tests/corpus"];

#[derive(Clone, Debug)]
pub struct Recorded {
    pub name: String,
    /// The reading of the whole response, in words: `final input=93 cache_read=1024 output=246`, `unseen absent`.
    pub reads: String,
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
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        Self { name: name.to_owned(), reads, status, headers, body: bytes[end + 2..].to_vec() }
    }

    /// All of them, by name.
    pub fn all() -> Vec<Self> {
        let folder: PathBuf = CORPUS.iter().collect();
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".http").unwrap().to_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// The events of the body: of AWS its frames, of others what ends in an empty line.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
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
}
