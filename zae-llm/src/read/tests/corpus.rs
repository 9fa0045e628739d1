//! Tests of the readers on every recorded response.

use zae_testkit::recorded::Recorded;

use crate::{
    ApiFormat, End, Usage,
    read::{Reading, Unseen, tests::Readable},
};

#[test]
fn every_recorded_response_is_read_however_it_travels() {
    let all = Recorded::all();
    assert!(all.len() >= 400, "a file was lost: {}", all.len());
    let mut wrong = Vec::new();
    for recorded in all.iter().flat_map(Recorded::variations) {
        let body = &*recorded.body;
        for reading in [
            recorded.read([body], End::Complete),
            recorded.read(recorded.events(), End::Complete),
            recorded.read(body.chunks(1), End::Complete),
        ] {
            if reading != recorded.expected() {
                wrong.push(format!("{}: {reading:?} for {}", recorded.name, recorded.reads));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_file_names_its_source() {
    for recorded in Recorded::all() {
        assert!(recorded.source.starts_with("https://"), "{}", recorded.name);
        assert!(recorded.from.iter().all(|part| !part.is_empty()), "{}", recorded.name);
    }
}

#[test]
fn a_format_that_is_named_is_the_only_one_read() {
    for (name, format) in [
        ("openai_chat.stream", ApiFormat::OpenAi),
        ("openai_responses.stream", ApiFormat::OpenAi),
        ("anthropic_messages.stream", ApiFormat::Anthropic),
        ("gemini.stream_array", ApiFormat::Gemini),
        ("bedrock_converse.stream", ApiFormat::Bedrock),
        ("bedrock_invoke.stream", ApiFormat::Anthropic),
    ] {
        let recorded = Recorded::load(name);
        for asked in [ApiFormat::OpenAi, ApiFormat::Anthropic, ApiFormat::Gemini, ApiFormat::Bedrock] {
            let mut reader = recorded.reader(asked);
            reader.push(&recorded.body);
            let reading = reader.finish(End::Complete);
            match (name, asked) {
                // Bedrock's own count of a call to Claude.
                ("bedrock_invoke.stream", ApiFormat::Bedrock) => assert_eq!(reading, recorded.expected()),
                _ if asked == format => assert_eq!(reading, recorded.expected(), "{name}"),
                _ => assert_eq!(reading, Reading::Unseen(Unseen::Absent), "{name} as {asked:?}"),
            }
        }
    }
}

#[test]
fn bedrocks_headers_count_even_when_nobody_reads_the_body() {
    let recorded = Recorded::load("bedrock_invoke_titan.json");
    assert_eq!(recorded.read([], End::Dropped), recorded.expected());
    let mut recorded = Recorded::load("bedrock_invoke.json");
    recorded.headers.insert("content-encoding", http::HeaderValue::from_static("compress"));
    assert_eq!(recorded.read([], End::Complete), Reading::Final(Usage::new(2_655, 503)), "without detail of the cache");
}
