//! The tables for media in requests: [`MediaRule`].
//!
//! A provider documents the tokens of a picture by its size, of a document by its pages, of sound and video by its
//! seconds. Models of one provider differ, so that a rule names the models that it is for.

/// The tokens of media, for models whose names contain one of these words. Of several rules the longest word decides.
#[derive(Debug)]
pub(crate) struct MediaRule {
    pub(crate) models: &'static [&'static str],
    pub(crate) picture: PicturePrice,
    /// Of a page of a document, its text included.
    pub(crate) page: u64,
    /// Of a second of sound, in thousandths.
    pub(crate) second_of_sound: u64,
    /// Of a second of video, its sound included, in thousandths.
    pub(crate) second_of_video: u64,
    /// Tokens of the provider's own instructions for tools, if the request has some.
    pub(crate) tools: u64,
}

/// The tokens of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PicturePrice {
    /// Scaled into 2 048 by 2 048 pixels, the shorter side to 768: so many, and so many for each square of 512 pixels.
    /// Of low detail the first alone.
    Tiles { base: u64, tile: u64 },
    /// For each square of 32 pixels so many hundredths, for at most 1 536 of them.
    Patches(u64),
    /// One for so many pixels, at least and at most so many.
    Area { pixels: u64, least: u64, most: u64 },
    /// For each square of 768 pixels so many.
    Squares(u64),
    /// The same for every size.
    Fixed(u64),
}

impl MediaRule {
    /// The rule for models that are not known, and for what is not documented.
    pub(crate) const USUAL: Self = Self {
        models: &[],
        picture: PicturePrice::Tiles { base: 85, tile: 170 },
        page: 1_500,
        second_of_sound: 25_000,
        second_of_video: 263_000,
        tools: 0,
    };
}
