//! Tests of the readers on every recorded response.

use zae_tower::{
    llm::{ApiFormat, Reading, Unseen, Usage},
    settle::End,
};

use crate::recorded::Recorded;

fn expected(name: &str) -> Reading {
    let chat = Usage::new(1_117, 246).cache_read_within(1_024).reasoning_within(192);
    let claude = Usage::new(95, 503).cache_read_beside(2_048).cache_write_beside(512);
    let gemini = Usage::new(150, 47).cache_read_within(64).reasoning_beside(82);
    let converse = Usage::new(30, 628).cache_read_beside(900);
    match name {
        "openai_chat.json" | "openai_chat.stream" => Reading::Final(chat),
        "openai_chat.stream_without_usage" => Reading::Unseen(Unseen::Absent),
        "groq_chat.stream" => Reading::Final(Usage::new(18, 556)),
        "vllm_chat.stream" => Reading::Final(Usage::new(21, 4)),
        "openai_responses.json" | "openai_responses.stream" => {
            Reading::Final(Usage::new(328, 452).cache_read_within(256).reasoning_within(384))
        }
        "openai_responses.stream_incomplete" => {
            Reading::Final(Usage::new(328, 16).cache_read_within(256).reasoning_within(16))
        }
        "openai_chat.stream_error"
        | "openai_responses.stream_failed"
        | "openai_responses.stream_error"
        | "bedrock_converse.stream_error" => Reading::Unseen(Unseen::ErrorEvent),
        "openai_embeddings.json" => Reading::Final(Usage::new(8, 0)),
        "anthropic_messages.json" | "bedrock_invoke.json" => Reading::Final(claude),
        "anthropic_messages.stream" | "bedrock_invoke.stream" => {
            Reading::Final(Usage::new(25, 115).cache_read_beside(1_000))
        }
        "anthropic_messages.stream_restated" => Reading::Final(Usage::new(10_682, 510)),
        // The provider gave up: what it had counted by then, of which the output is a placeholder.
        "anthropic_messages.stream_error" | "bedrock_invoke.stream_error" => {
            Reading::SoFar(Usage::new(25, 1).cache_read_beside(1_000))
        }
        "gemini.json" | "gemini.stream" | "gemini.stream_array" => Reading::Final(gemini),
        "gemini.stream_error" => Reading::SoFar(Usage::new(120, 0).reasoning_beside(82)),
        "bedrock_converse.json" | "bedrock_converse.stream" => Reading::Final(converse),
        "bedrock_invoke_titan.json" => Reading::Final(Usage::new(17, 88)),
        "bedrock_invoke_llama.stream" => Reading::Final(Usage::new(31, 9)),
        error if error.ends_with(".error") => Reading::Unseen(Unseen::ErrorStatus),
        other => panic!("what is {other} expected to say?"),
    }
}

#[test]
fn every_recorded_response_is_read() {
    let all = Recorded::all();
    assert_eq!(all.len(), 35, "a file without a test, or a test without a file");
    for recorded in all {
        let reading = recorded.read([&*recorded.body], End::Complete);
        assert_eq!(reading, expected(&recorded.name), "{}", recorded.name);
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
                ("bedrock_invoke.stream", ApiFormat::Bedrock) => assert_eq!(reading, expected(name)),
                _ if asked == format => assert_eq!(reading, expected(name), "{name}"),
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
        assert_eq!(recorded.read([&*recorded.body], End::Complete), expected(name), "{name}");
    }
}

#[test]
fn bedrocks_headers_count_even_when_nobody_reads_the_body() {
    let recorded = Recorded::load("bedrock_invoke_titan.json");
    assert_eq!(recorded.read([], End::Dropped), expected(&recorded.name));
    let mut recorded = Recorded::load("bedrock_invoke.json");
    recorded.headers.insert("content-encoding", http::HeaderValue::from_static("gzip"));
    assert_eq!(recorded.read([], End::Complete), Reading::Final(Usage::new(2_655, 503)), "without detail of the cache");
}
