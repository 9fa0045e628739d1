//! The variations in which one response may be transferred: [`Recorded::variations`].

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use http::{
    HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::Recorded;

const EVENTS: &str = "text/event-stream";

impl Recorded {
    /// Returns the response as servers and proxies may send it, each variation with a name: other line endings, a byte
    /// order mark, comments, no final line ending, no content type or a wrong one, and each content coding. All of them
    /// have the reading of the original.
    pub fn variations(&self) -> Vec<Self> {
        let mut all = vec![self.clone()];
        let is_read = !self.reads.starts_with("unseen") || self.reads.ends_with("refused");
        if !is_read {
            return all;
        }
        let frames = self.is("application/vnd.amazon.eventstream");
        if !frames {
            all.push(self.with("a byte order mark", [b"\xEF\xBB\xBF", &*self.body].concat()));
            let end = self.body.trim_ascii_end().len();
            all.push(self.with("no last line ending", self.body[..end].to_vec()));
            all.push(self.with("empty lines before", [b"\n\r\n", &*self.body].concat()));
        }
        if self.is(EVENTS) {
            let text = String::from_utf8(self.body.clone()).unwrap().replace("\r\n", "\n");
            for (name, ending) in [("line feeds", "\n"), ("carriage returns", "\r"), ("both", "\r\n")] {
                all.push(self.with(name, text.replace('\n', ending).into_bytes()));
            }
            let comments = text.replace("\n\n", "\n: keep-alive\n\n: PROCESSING\n\n");
            all.push(self.with("comments", format!(": ok\n\n{comments}").into_bytes()));
        }
        for wrong in ["text/plain", "application/json", EVENTS, "application/octet-stream", ""] {
            // Plain text is not read as frames, which begin with a zero.
            let hides = frames && wrong == "text/plain";
            if !hides && !self.is_lines() {
                all.push(self.with(&format!("the type {wrong:?}"), self.body.clone()).typed(wrong));
            }
        }
        for coding in ["gzip", "deflate", "bare deflate", "br", "zstd", "gzip, br"] {
            let mut coded = self.with(coding, encoded(coding, &self.body));
            let header = if coding == "bare deflate" { "deflate" } else { coding };
            coded.headers.insert(CONTENT_ENCODING, HeaderValue::from_str(header).unwrap());
            all.push(coded);
        }
        all
    }

    /// Returns true for documents in lines, whose number only the content type reveals.
    fn is_lines(&self) -> bool {
        self.is("application/x-ndjson") || self.is("application/stream+json")
    }

    fn with(&self, how: &str, body: Vec<u8>) -> Self {
        Self { name: format!("{} with {how}", self.name), body, ..self.clone() }
    }

    fn typed(mut self, content_type: &str) -> Self {
        match content_type {
            "" => drop(self.headers.remove(CONTENT_TYPE)),
            other => drop(self.headers.insert(CONTENT_TYPE, HeaderValue::from_str(other).unwrap())),
        }
        self
    }
}

/// Encodes `body` in a content coding: gzip, deflate, bare deflate, br, zstd, or gzip and then br.
pub fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "bare deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut coded = Vec::new();
            brotli::CompressorWriter::new(&mut coded, 4096, 5, 20).write_all(body).unwrap();
            coded
        }
        "zstd" => compress_to_vec(body, CompressionLevel::Fastest),
        "gzip, br" => encoded("br", &encoded("gzip", body)),
        other => panic!("{other}"),
    }
}
