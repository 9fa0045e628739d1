//! Tests of the readers on every recorded response.

use zae_testkit::recorded::Recorded;

use crate::{
    ApiFormat, End, Usage,
    read::{Reading, Unseen, tests::Readable},
};

#[test]
fn every_recorded_response_is_read() {
    let all = Recorded::all();
    assert!(all.len() >= 35, "a file was lost");
    for recorded in all {
        let reading = recorded.read([&*recorded.body], End::Complete);
        assert_eq!(reading, recorded.expected(), "{}", recorded.name);
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
fn servers_that_name_no_content_type_are_understood() {
    for name in ["openai_chat.json", "openai_chat.stream", "anthropic_messages.stream", "gemini.stream_array"] {
        let mut recorded = Recorded::load(name);
        recorded.headers.remove("content-type");
        assert_eq!(recorded.read([&*recorded.body], End::Complete), recorded.expected(), "{name}");
    }
}

#[test]
fn bedrocks_headers_count_even_when_nobody_reads_the_body() {
    let recorded = Recorded::load("bedrock_invoke_titan.json");
    assert_eq!(recorded.read([], End::Dropped), recorded.expected());
    let mut recorded = Recorded::load("bedrock_invoke.json");
    recorded.headers.insert("content-encoding", http::HeaderValue::from_static("gzip"));
    assert_eq!(recorded.read([], End::Complete), Reading::Final(Usage::new(2_655, 503)), "without detail of the cache");
}
