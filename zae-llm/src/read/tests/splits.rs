//! Chunks that begin and end anywhere, and responses that end anywhere.

use zae_testkit::recorded::Recorded;

use crate::{
    ApiFormat, End, Usage,
    read::{Reading, tests::Readable},
};

/// Returns the recorded responses, and streams with other line endings.
fn all() -> Vec<Recorded> {
    let mut all = Recorded::all();
    for (name, ending) in [("openai_chat.stream", "\r\n"), ("anthropic_messages.stream", "\r"), ("gemini.stream", "\n")]
    {
        let mut recorded = Recorded::load(name);
        let text = String::from_utf8(recorded.body).unwrap().replace("\r\n", "\n").replace('\n', ending);
        recorded.body = text.into_bytes();
        recorded.name = format!("{name} with {ending:?}");
        all.push(recorded);
    }
    for name in ["anthropic_messages.stream", "gemini.stream"] {
        let mut recorded = Recorded::load(name);
        // Comments between lines, and data over several lines, as the standard allows.
        let text = String::from_utf8(recorded.body).unwrap().replace("\r\n", "\n");
        let text = text.replace("\n\n", "\n: keep-alive\n\n").replace(", \"", ",\ndata: \"");
        recorded.body = text.into_bytes();
        recorded.name = format!("{name} with comments and lines");
        all.push(recorded);
    }
    all
}

#[test]
fn a_response_split_at_any_byte_reads_the_same() {
    for recorded in all() {
        let body = &*recorded.body;
        let whole = recorded.read([body], End::Complete);
        let mut first = recorded.reader(ApiFormat::Auto);
        for at in 0..=body.len() {
            // Byte by byte up to there, and the rest at once.
            let mut both = first.clone();
            both.push(&body[at..]);
            assert_eq!(both.finish(End::Complete), whole, "{} split at {at}", recorded.name);
            first.push(&body[at..body.len().min(at + 1)]);
        }
        for size in [2, 3, 7, 64, 1_000] {
            assert_eq!(recorded.read(body.chunks(size), End::Complete), whole, "{} by {size}", recorded.name);
        }
        for at in [body.len() / 3, body.len() / 2, body.len() - body.len().min(20)] {
            let (first, second) = body.split_at(at);
            assert_eq!(recorded.read([first, second], End::Complete), whole, "{} in two at {at}", recorded.name);
        }
    }
}

#[test]
fn a_response_cut_at_any_byte_never_passes_for_a_cheaper_one() {
    for recorded in all() {
        let body = &*recorded.body;
        let whole = recorded.read([body], End::Complete);
        let mut reader = recorded.reader(ApiFormat::Auto);
        let mut seen_so_far = false;
        for (at, byte) in body.iter().enumerate() {
            for end in [End::Dropped, End::BodyFailed] {
                let reading = reader.clone().finish(end);
                if let Reading::Final(usage) = reading {
                    // Headers have the same counts, in less detail.
                    let total = whole.usage().map(Usage::total);
                    assert_eq!(Some(usage.total()), total, "{} cut at {at}", recorded.name);
                }
                seen_so_far |= matches!(reading, Reading::SoFar(_));
            }
            reader.push(std::slice::from_ref(byte));
        }
        if ["anthropic_messages.stream", "anthropic_messages.stream_restated"].contains(&&*recorded.name) {
            assert!(seen_so_far, "{} says its input first", recorded.name);
        }
    }
}
