//! Tests of the counts of usage objects.

use super::*;

fn read(place: Place, text: &str) -> Option<Result<Usage, Absurd>> {
    parse(place, text.as_bytes()).map(|read| read.map(|stated| stated.usage()))
}

#[test]
fn each_provider_counts_its_own_way() {
    let top = |text: &str| read(Place::usage("", "usage"), text).unwrap().unwrap();
    let expected = Usage::new(100, 50).cache_read_within(80).reasoning_within(30);
    assert_eq!(
        top(r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":30}}"#),
        expected
    );
    assert_eq!(
        top(r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
            "input_tokens_details":{"cached_tokens":80},"output_tokens_details":{"reasoning_tokens":30}}"#),
        expected
    );
    assert_eq!(
        top(r#"{"input_tokens":20,"output_tokens":50,"cache_read_input_tokens":80,"cache_creation_input_tokens":5}"#),
        Usage::new(20, 50).cache_read_beside(80).cache_write_beside(5)
    );
    assert_eq!(
        top(r#"{"inputTokens":20,"outputTokens":50,"totalTokens":70,"cacheReadInputTokens":80}"#),
        Usage::new(20, 50).cache_read_beside(80)
    );
    assert_eq!(
        read(
            Place::usage("", "usageMetadata"),
            r#"{"promptTokenCount":90,"toolUsePromptTokenCount":10,"candidatesTokenCount":20,
                "thoughtsTokenCount":30,"cachedContentTokenCount":80,"totalTokenCount":150}"#
        ),
        Some(Ok(expected))
    );
    assert_eq!(
        read(
            Place::usage("", "amazon-bedrock-invocationMetrics"),
            r#"{"inputTokenCount":7,"outputTokenCount":8,"invocationLatency":1,"firstByteLatency":1}"#
        ),
        Some(Ok(Usage::new(7, 8)))
    );
    assert_eq!(
        top(r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
            "completion_tokens_details":{"reasoning_tokens":94}}"#),
        Usage::new(32, 9).reasoning_beside(94),
        "the total tells that reasoning is beside"
    );
    assert_eq!(
        top(r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#),
        Usage::new(203_000, 4_500),
        "steps that the top level leaves out"
    );
    let beside = Usage::new(20, 5).cache_read_beside(80).cache_write_beside(30);
    for counts in [
        r#""total_tokens":135,"cache_read_input_tokens":80,"cache_creation_input_tokens":30"#,
        r#""cache_read_input_tokens":80,"prompt_tokens_details":{"cache_creation_input_tokens":30}"#,
    ] {
        let text = format!(r#"{{"prompt_tokens":20,"completion_tokens":5,{counts}}}"#);
        assert_eq!(top(&text), beside, "the numbers tell that cached tokens are beside: {text}");
    }
    assert_eq!(
        top(r#"{"prompt_tokens":120,"completion_tokens":5,"total_tokens":125,"cache_read_input_tokens":80}"#),
        Usage::new(120, 5).cache_read_within(80)
    );
    assert_eq!(
        top(
            r#"{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25,"completion_tokens_details":{"reasoning_tokens":6},
            "prompt_tokens_details":{"cached_tokens":18,"cache_write_tokens":18}}"#
        ),
        Usage::new(20, 5).cache_read_within(18).cache_write_within(2).reasoning_within(5),
        "the total tells that all parts are within"
    );
    assert_eq!(top(r#"{"prompt_tokens":8,"total_tokens":8}"#), Usage::new(8, 0), "embeddings");
    assert_eq!(
        top(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#),
        Usage::new(10, 30).reasoning_within(25),
        "what only the total counts is counted"
    );
}

#[test]
fn what_is_no_usage_is_not_taken_for_it() {
    for nothing in ["null", "{}", r#"{"seats":3}"#, r#"{"input_tokens":null}"#] {
        assert_eq!(read(Place::usage("", "usage"), nothing), None, "{nothing}");
    }
    for absurd in [
        "3",
        "[]",
        "\"x\"",
        "{",
        r#"{"prompt_tokens":-1}"#,
        r#"{"prompt_tokens":1.5}"#,
        r#"{"prompt_tokens":1e300}"#,
        r#"{"prompt_tokens":"twelve"}"#,
        r#"{"prompt_tokens":"-12"}"#,
        r#"{"prompt_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1000000001}"#,
        r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-5}}"#,
    ] {
        assert_eq!(read(Place::usage("", "usage"), absurd), Some(Err(Absurd)), "{absurd}");
    }
    for number in ["12.0", "\"12\""] {
        let text = format!(r#"{{"prompt_tokens":{number}}}"#);
        assert_eq!(read(Place::usage("", "usage"), &text), Some(Ok(Usage::new(12, 0))), "{text}");
    }
    assert_eq!(read(Place::usage("metadata", "usage"), "\"x\""), None, "what a caller may have written");
}
