//! Resource names of language models: [`ResourceName::from_model`].
//!
//! Providers' names of models are not always resource names: they begin with `@` or a digit, contain spaces or `+`, or
//! are ARNs of 150 characters. Refusing them would leave such calls unlimited; truncating them would let two models
//! share a bucket. Such a text therefore becomes its readable end and a digest of the whole.
//!
//! 80 bits of SHA-256 are enough: with a million different names, the probability that any two collide is below 10⁻¹².
//! The digest covers the original text, so two texts that become equal after replacing characters still differ.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{MAX_NAME_LEN, ResourceName};

/// Number of bytes of the digest in a name.
const DIGEST_BYTES: usize = 10;
/// Characters left for the readable part: the digest takes two for each byte, and a hyphen separates them.
const READABLE: usize = MAX_NAME_LEN - 1 - 2 * DIGEST_BYTES;
/// Prefix of a name whose readable part does not begin with a letter.
const PREFIX: &str = "model/";

impl ResourceName {
    /// Returns the resource that stands for a model, whatever its provider calls it.
    ///
    /// A text that is a valid resource name is kept. Any other text (`@cf/meta/llama-3-8b-instruct`,
    /// `01-ai/Yi-34B-Chat`, a long Bedrock ARN) becomes a readable part and the first 80 bits of its SHA-256 as 20
    /// hexadecimal digits:
    ///
    /// - the readable part is the text with `-` for each character that a resource name does not allow;
    /// - of a long text it is the end, starting at a `/`, `:` or `.` if possible;
    /// - it begins with `model/` if it would not begin with a letter.
    ///
    /// The name depends on the text alone, so every process, `zae-deploy` and manifests agree on it, and different
    /// texts have different names. A name created here is valid and therefore maps to itself: names printed by a
    /// listing can be typed. Case matters.
    ///
    /// ```
    /// use zae_limiter::ResourceName;
    /// assert_eq!(ResourceName::from_model("gpt-5").as_str(), "gpt-5");
    /// let llama = ResourceName::from_model("@cf/meta/llama-3-8b-instruct");
    /// assert_eq!(llama.as_str(), "cf/meta/llama-3-8b-instruct-a4e892fb14f757d2ef94");
    /// assert_eq!(ResourceName::from_model(llama.as_str()), llama);
    /// ```
    pub fn from_model(model: &str) -> Self {
        Self::new(model).unwrap_or_else(|_| Self(mapped(model).into()))
    }
}

/// Returns the readable part, a hyphen and the digest.
fn mapped(model: &str) -> String {
    let mut name = readable(model);
    name.push('-');
    for byte in &Sha256::digest(model.as_bytes())[..DIGEST_BYTES] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Returns the end of the text, in allowed characters and beginning with a letter.
fn readable(model: &str) -> String {
    let mut end: Vec<char> = model.chars().rev().take(READABLE + 1).map(plain).collect();
    end.reverse();
    let end: String = end.into_iter().collect();
    let kept = if end.len() > READABLE {
        let end = &end[1..];
        end.find(['/', ':', '.']).map_or(end, |separator| &end[separator + 1..])
    } else {
        &end
    };
    let kept = kept.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
    if kept.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return kept.to_owned();
    }
    format!("{PREFIX}{}", &kept[kept.len().saturating_sub(READABLE - PREFIX.len())..])
}

/// Returns the character, or `-` if a name does not allow it.
fn plain(character: char) -> char {
    if character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | ':' | '-') { character } else { '-' }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ARN: &str =
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0";

    #[test]
    fn every_model_has_a_valid_name_of_its_own() {
        let long = "a".repeat(200);
        let models = [
            "gpt-5",
            "GPT-5",
            "@cf/meta/llama-3-8b-instruct",
            "cf/meta/llama-3-8b-instruct",
            "-cf/meta/llama-3-8b-instruct",
            "01-ai/Yi-34B-Chat",
            "02-ai/Yi-34B-Chat",
            "claude-opus-4-6@20260101",
            "claude-opus-4-6-20260101",
            "claude-opus-4-6#20260101",
            ARN,
            "arn:aws:bedrock:us-east-2:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            &long,
            &long[1..],
            "",
            " ",
            "0",
            "@",
            "_default_",
            "模型",
            "模形",
            "a\nb",
            "\u{0}",
            "12345678901234567890123456789012345678901234567890",
        ];
        let names: HashSet<String> = models.iter().map(|model| ResourceName::from_model(model).to_string()).collect();
        assert_eq!(names.len(), models.len(), "{names:?}");
        for name in &names {
            assert_eq!(ResourceName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_stay_what_they_are() {
        // Stored in tables: these must never change.
        for (model, name) in [
            ("01-ai/Yi-34B-Chat", "model/01-ai/Yi-34B-Chat-"),
            ("claude-opus-4-6@20260101", "claude-opus-4-6-20260101-"),
            (ARN, "us.anthropic.claude-sonnet-4-20250514-v1:0-"),
        ] {
            let digest = Sha256::digest(model.as_bytes());
            let digest: String = digest[..10].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(ResourceName::from_model(model).as_str(), format!("{name}{digest}"));
        }
    }
}
