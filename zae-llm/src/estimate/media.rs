//! The tokens of media, by the rules of the providers or a number for each: [`MediaTally`].

use super::MEDIA_TOKENS;
use crate::{
    providers::{
        table::{MediaRule, PicturePrice},
        tables,
    },
    request::{Detail, Extent, Media, MediaKind},
};

/// The side of a picture that cannot be seen.
const USUAL_SIDE: u32 = 1_024;

/// Counts the tokens of a request's media.
#[derive(Clone, Copy, Debug)]
pub(super) struct MediaTally {
    /// In place of the provider's rule.
    each: Option<u64>,
    /// The rule of the requested model.
    pub(super) rule: &'static MediaRule,
    /// The tokens so far.
    pub(super) tokens: u64,
}

impl MediaTally {
    /// Creates an empty one, which counts `each` in place of what the provider documents.
    pub(super) fn new(model: Option<&str>, each: Option<u64>) -> Self {
        Self { each, rule: tables().media_rule(model), tokens: 0 }
    }

    pub(super) fn add(&mut self, media: &Media<'_>) {
        let tokens = self.each.unwrap_or_else(|| tokens(media, self.rule));
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

/// Returns the tokens of `media`; [`MEDIA_TOKENS`] where nothing of it can be seen.
fn tokens(media: &Media<'_>, rule: &MediaRule) -> u64 {
    match (media.extent(), media.kind) {
        (Extent::Picture { width, height }, _) => picture(rule.picture, width, height, media.detail),
        (Extent::Pages(pages), _) => pages.saturating_mul(rule.page),
        (Extent::Sound { milliseconds }, _) => seconds(milliseconds, rule.second_of_sound),
        (Extent::Video { milliseconds }, _) => seconds(milliseconds, rule.second_of_video),
        (Extent::Unseen, MediaKind::Picture) => picture(rule.picture, USUAL_SIDE, USUAL_SIDE, media.detail),
        (Extent::Unseen, _) => MEDIA_TOKENS,
    }
}

fn seconds(milliseconds: u64, thousandths: u64) -> u64 {
    milliseconds.saturating_mul(thousandths).div_ceil(1_000_000)
}

fn picture(price: PicturePrice, width: u32, height: u32, detail: Detail) -> u64 {
    let (width, height) = (u64::from(width), u64::from(height));
    match (price, detail) {
        (PicturePrice::Tiles { base, .. }, Detail::Low) => base,
        (PicturePrice::Tiles { base, tile }, Detail::Full) => base + tile * tiles(width, height),
        (PicturePrice::Patches(hundredths), _) => {
            let patches = (width.div_ceil(32) * height.div_ceil(32)).min(1_536);
            (patches * hundredths).div_ceil(100)
        }
        (PicturePrice::Area { pixels, least, most }, _) => (width * height).div_ceil(pixels).clamp(least, most),
        (PicturePrice::Squares(square), _) if width.max(height) <= 384 => square,
        (PicturePrice::Squares(square), _) => square * (width.div_ceil(768) * height.div_ceil(768)).min(64),
        (PicturePrice::Fixed(tokens), _) => tokens,
    }
}

/// Squares of 512 pixels of a picture that is scaled into 2 048 by 2 048, and then its shorter side to 768.
fn tiles(width: u64, height: u64) -> u64 {
    let within =
        |side: u64, longest: u64, most: u64| if longest > most { (side * most).div_ceil(longest) } else { side };
    let longest = width.max(height);
    let (width, height) = (within(width, longest, 2_048), within(height, longest, 2_048));
    let shortest = width.min(height);
    within(width, shortest, 768).div_ceil(512) * within(height, shortest, 768).div_ceil(512)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(model: &str) -> &'static MediaRule {
        tables().media_rule(Some(model))
    }

    fn full(model: &str, width: u32, height: u32) -> u64 {
        picture(rule(model).picture, width, height, Detail::Full)
    }

    #[test]
    fn pictures_have_the_tokens_that_providers_document() {
        // OpenAI's guide to images: its own examples.
        assert_eq!(full("gpt-4o-2024-11-20", 1024, 1024), 765);
        assert_eq!(full("gpt-4o", 2048, 4096), 1105);
        assert_eq!(picture(rule("gpt-4o").picture, 4096, 8192, Detail::Low), 85);
        assert_eq!(full("openai/gpt-4o-mini", 1024, 1024), 25_501);
        assert_eq!(full("gpt-4.1-mini-2025-04-14", 1024, 1024), 1_659);
        assert_eq!(full("gpt-5-mini", 4000, 1474), 2_489);
        assert_eq!(full("o4-mini", 128, 64), 14);
        // Anthropic's table of sizes, and the most of it.
        assert_eq!(full("claude-opus-4-5", 1092, 1092), 1_590);
        assert_eq!(full("us.anthropic.claude-sonnet-4-v1:0", 200, 200), 54);
        assert_eq!(full("claude-opus-4-5", 8000, 8000), 1_600);
        // Gemini's: small ones, tiles, and the fixed resolution of version 3.
        assert_eq!(full("gemini-2.5-flash", 384, 384), 258);
        assert_eq!(full("gemini-2.5-flash", 960, 540), 2 * 258);
        assert_eq!(full("models/gemini-3-pro", 4000, 3000), 1_120);
        // Nova's table of approximate counts; smaller ones are scaled up.
        for (width, height, documented) in
            [(900, 450, 800), (900, 900, 1_300), (1_400, 900, 1_800), (1_800, 900, 2_400), (1_300, 1_300, 2_600)]
        {
            let ours = full("amazon.nova-pro-v1:0", width, height);
            assert!(ours.abs_diff(documented) * 10 <= documented, "{ours} for {documented}");
        }
        assert_eq!(full("amazon.nova-lite-v1:0", 400, 200), 800);
        assert_eq!(full("us.amazon.nova-2-lite-v1:0", 1_300, 1_300), 230);
        assert_eq!(full("some-model", 1024, 1024), 765);
    }

    #[test]
    fn huge_pictures_overflow_nothing() {
        for model in ["gpt-4o", "gpt-5-nano", "claude", "gemini-2.5-pro", "gemini-3", "pixtral-12b"] {
            assert!((1..100_000).contains(&full(model, u32::MAX, u32::MAX)), "{model}");
            assert!((1..100_000).contains(&full(model, u32::MAX, 1)), "{model}");
        }
    }
}
