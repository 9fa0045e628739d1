//! Malformed and inconsistent responses.

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use zae_testkit::recorded::Recorded;

use crate::{
    ApiFormat, End, Usage,
    read::{Reading, Unseen, UsageReader, tests::Readable},
};

fn reader(content_type: &'static str) -> UsageReader {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    UsageReader::new(ApiFormat::Auto, StatusCode::OK, &headers)
}

fn read(content_type: &'static str, body: &[u8]) -> Reading {
    let mut reader = reader(content_type);
    reader.push(body);
    reader.finish(End::Complete)
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const FRAMES: &str = "application/vnd.amazon.eventstream";

#[test]
fn bad_documents_have_no_usage() {
    for (body, reason) in [
        ("", Unseen::Absent),
        ("{}", Unseen::Absent),
        ("[]", Unseen::Absent),
        ("nothing", Unseen::Malformed),
        ("{\"usage\":{\"prompt_tokens\":5}", Unseen::Malformed),
        ("{\"usage\":{\"prompt_tokens\":5", Unseen::Malformed),
        ("{\"usage\":{\"prompt_tokens\":5},}}", Unseen::Malformed),
        ("{\"usage\":{prompt_tokens:5}}", Unseen::Absurd),
        ("{\"usage\":{\"prompt_tokens\":-5}}", Unseen::Absurd),
        ("{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":-1}}", Unseen::Absurd),
        ("{\"usage\":{\"prompt_tokens\":99999999999999999999999}}", Unseen::Absurd),
        ("{\"usage\":\"lots\"}", Unseen::Absurd),
        ("{\"usage\":{\"tokens\":5}}", Unseen::Absent),
    ] {
        let reading = read(JSON, body.as_bytes());
        if body.ends_with("},}}") {
            // One brace too many, after a complete document.
            assert_eq!(reading, Reading::SoFar(Usage::new(5, 0)), "{body}");
        } else {
            assert_eq!(reading, Reading::Unseen(reason), "{body}");
        }
    }
}

#[test]
fn bad_usage_in_a_stream_takes_the_good_one_with_it() {
    let start = "data: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    let so_far = Reading::SoFar(Usage::new(25, 1));
    for bad in [
        "data: {\"usage\":{\"output_tokens\":-7}}\n\n",
        "data: {\"usage\":{\"output_tokens\":1e99}}\n\n",
        "data: {\"usage\":{\"output_tok\n\n",
        "data: {\"usage\":{\"output_tokens\":7}\n\n",
        "data: {\"usage\":[]}\n\n",
    ] {
        let text = format!("{start}{bad}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n");
        assert_eq!(read(EVENTS, text.as_bytes()), so_far, "never less than the estimate: {bad}");
    }
}

#[test]
fn a_compressed_response_that_breaks_off_is_usage_so_far_at_most() {
    for coded in Recorded::load("anthropic_messages.stream").variations() {
        if !coded.headers.contains_key("content-encoding") {
            continue;
        }
        for at in 0..coded.body.len() {
            let reading = coded.read([&coded.body[..at]], End::Dropped);
            assert!(!matches!(reading, Reading::Unseen(Unseen::Compressed)), "{} cut at {at}", coded.name);
            if let Reading::Final(_) = reading {
                assert_eq!(reading, coded.expected(), "{} cut at {at}", coded.name);
            }
        }
    }
}

#[test]
fn a_gigantic_line_is_read_in_little_memory() {
    let mut reader = reader(EVENTS);
    reader.push(b"data: {\"type\":\"response.completed\",\"response\":{\"output\":[\"");
    for _ in 0..1_024 {
        reader.push(&[b'x'; 16 * 1_024]);
    }
    reader.push(b"\"],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}}\n\n");
    assert!(format!("{reader:?}").len() < 10_000, "nothing of the line is kept");
    assert_eq!(reader.finish(End::Complete), Reading::Final(Usage::new(3, 4)));

    let huge = format!("{{\"usage\":{{\"prompt_tokens\":1,\"x\":\"{}\"}}}}", "x".repeat(1 << 20));
    assert_eq!(read(JSON, huge.as_bytes()), Reading::Unseen(Unseen::Malformed), "no usage is so long");
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    assert_eq!(read(JSON, deep.as_bytes()), Reading::Unseen(Unseen::Malformed));
    let deep = format!("{{\"usage\":{}", "[".repeat(10_000));
    assert_eq!(read(JSON, deep.as_bytes()), Reading::Unseen(Unseen::Malformed));
    let key = format!("{{\"{}\":1,\"usage\":{{\"prompt_tokens\":1}}}}", "usage".repeat(1 << 16));
    assert_eq!(read(JSON, key.as_bytes()), Reading::Final(Usage::new(1, 0)));
}

#[test]
fn frames_that_are_none_are_given_up() {
    for body in [
        &[0; 64][..],
        &[0xFF; 64],
        &[0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 32, 0, 0, 0, 17, 0, 0, 0, 0],
        b"<html>",
    ] {
        assert_eq!(read(FRAMES, body), Reading::Unseen(Unseen::Malformed), "{body:?}");
    }
    let recorded = Recorded::load("bedrock_converse.stream");
    let mut body = recorded.body.clone();
    body.splice(0..4, [0x7F, 0xFF, 0xFF, 0xFF]);
    assert_eq!(recorded.read([&*body], End::Complete), Reading::Unseen(Unseen::Malformed));
}

#[test]
fn absurd_headers_are_no_usage() {
    for (input, output) in [("-5", "3"), ("1", "99999999999999999999"), ("1", "many"), ("", "1"), ("1e3", "1")] {
        let mut recorded = Recorded::load("bedrock_invoke_titan.json");
        recorded.headers.insert("x-amzn-bedrock-input-token-count", HeaderValue::from_static(input));
        recorded.headers.insert("x-amzn-bedrock-output-token-count", HeaderValue::from_static(output));
        let reading = recorded.read([&*recorded.body], End::Complete);
        // The body has it too, but something is wrong with this response.
        assert_eq!(reading, Reading::SoFar(Usage::new(17, 88)), "{input:?} {output:?}");
        let nothing = recorded.read([&b"{}"[..]], End::Complete);
        assert_eq!(nothing, Reading::Unseen(Unseen::Absurd), "{input:?} {output:?}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let mut recorded = Recorded::load("openai_chat.json");
    for coding in ["br", "gzip", "zstd", "compress", "gzip, gzip, gzip, gzip"] {
        recorded.headers.insert("content-encoding", HeaderValue::from_str(coding).unwrap());
        let reading = recorded.read([&*recorded.body], End::Complete);
        assert_eq!(reading, Reading::Unseen(Unseen::Compressed), "it is not {coding}");
    }
    recorded.headers.insert("content-encoding", HeaderValue::from_static("Identity"));
    assert!(matches!(recorded.read([&*recorded.body], End::Complete), Reading::Final(_)));
    recorded.headers.remove("content-encoding");
    for other in ["text/html", "audio/mpeg", "application/grpc", "application/vnd.custom"] {
        recorded.headers.insert("content-type", HeaderValue::from_static(other));
        let reading = recorded.read([&*recorded.body], End::Complete);
        assert_eq!(reading, recorded.expected(), "the first byte tells, whatever {other} says");
        let reading = recorded.read([&b"<html>"[..]], End::Complete);
        assert_eq!(reading, Reading::Unseen(Unseen::UnknownFormat), "{other}");
    }
    assert_eq!(Recorded::load("openai_chat.stream").read([], End::Dropped), Reading::Unseen(Unseen::BrokeOff));
}

#[test]
fn after_an_error_event_no_usage_is_final() {
    for (whole, failed) in [
        ("openai_chat.stream", "openai_chat.stream_error"),
        ("groq_chat.stream", "openai_chat.stream_error"),
        ("vllm_chat.stream", "gemini.stream_error"),
        ("openai_responses.stream", "openai_responses.stream_error"),
        ("openai_responses.stream", "openai_responses.stream_failed"),
        ("anthropic_messages.stream", "anthropic_messages.stream_error"),
        ("gemini.stream", "gemini.stream_error"),
        ("bedrock_converse.stream", "bedrock_converse.stream_error"),
        ("bedrock_invoke.stream", "bedrock_invoke.stream_error"),
        ("bedrock_invoke_llama.stream", "bedrock_invoke.stream_error"),
    ] {
        let (whole, failed) = (Recorded::load(whole), Recorded::load(failed));
        let Reading::Final(usage) = whole.read([&*whole.body], End::Complete) else { panic!("{}", whole.name) };
        let error = failed.events().last().unwrap();
        for end in [End::Complete, End::Dropped] {
            assert_eq!(whole.read([&*whole.body, error], end), Reading::SoFar(usage), "{} {end:?}", whole.name);
        }
        assert_eq!(whole.read([error, &*whole.body], End::Complete), Reading::SoFar(usage), "{} before", whole.name);
        let by_byte = whole.body.chunks(1).chain(error.chunks(1));
        assert_eq!(whole.read(by_byte, End::Complete), Reading::SoFar(usage), "{} by byte", whole.name);
    }

    let used = "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}";
    let so_far = Reading::SoFar(Usage::new(1, 2));
    for error in [
        "data: {\"error\":{\"code\":502}}\n\n",
        "data: {\"error\" : \"overloaded\"}\n\n",
        "data: {\"type\":\"error\"}\n\n",
        "data: {\"type\":\"error\"}",
        "event: error\ndata: overloaded\n\n",
        "event: error\ndata: overloaded",
    ] {
        let text = format!("data: {{{used}}}\n\n{error}");
        assert_eq!(read(EVENTS, text.as_bytes()), so_far, "{error}");
    }
    assert_eq!(read(JSON, format!("{{{used},\"error\":{{}}}}").as_bytes()), so_far);
    let list = "[{\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":2}},{\"error\":{\"code\":503}}]";
    assert_eq!(read(JSON, list.as_bytes()), so_far);
    let long = format!("{{{used},\"error\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(read(JSON, long.as_bytes()), so_far);

    for none in ["\"error\":null,", "\"error\": false,", "\"error\":\"\",", "\"x\":{\"error\":1},"] {
        let read = [read(JSON, format!("{{{none}{used}}}").as_bytes()), {
            read(EVENTS, format!("data: {{{none}{used}}}\n\n").as_bytes())
        }];
        assert_eq!(read, [Reading::Final(Usage::new(1, 2)); 2], "{none}");
    }
}

#[test]
fn an_error_makes_less_of_bedrocks_headers() {
    let mut recorded = Recorded::load("bedrock_invoke_titan.json");
    recorded.body = b"{\"error\":{}}".to_vec();
    assert_eq!(recorded.read([&*recorded.body], End::Complete), Reading::SoFar(Usage::new(17, 88)));
}

proptest! {
    #[test]
    fn nothing_makes_a_reader_panic(
        body in proptest::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
        content_type in prop::sample::select(vec![JSON, EVENTS, FRAMES, ""]),
    ) {
        let mut reader = reader(content_type);
        let (first, second) = body.split_at(at.index(body.len() + 1));
        reader.push(first);
        reader.push(second);
        reader.finish(End::Complete);
    }

    #[test]
    fn a_damaged_response_neither_panics_nor_reads_differently_in_pieces(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(b"\"{}[]:,\\\n\rdn-0 ".to_vec())),
            1..6,
        ),
        at in any::<prop::sample::Index>(),
    ) {
        let all = Recorded::all();
        let recorded = which.get(&all);
        let mut body = recorded.body.clone();
        if body.is_empty() {
            return Ok(());
        }
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let whole = recorded.read([&*body], End::Complete);
        let (first, second) = body.split_at(at.index(body.len() + 1));
        prop_assert_eq!(recorded.read([first, second], End::Complete), whole);
    }
}
