//! Tables that describe one shape of usage: [`UsageShape`].
//!
//! A provider documents an object; its shape describes the same in five parts:
//!
//! ```json
//! {"usage": {"prompt_tokens": 1117, "completion_tokens": 246, "total_tokens": 1363,
//!            "prompt_tokens_details": {"cached_tokens": 1024}}}
//! ```
//!
//! | part | here |
//! |---|---|
//! | `places` | `usage` of the document |
//! | `signs` | `prompt_tokens` is there, which tells it from Anthropic's |
//! | `fields` | `input` is `prompt_tokens`, `cache_read` is `prompt_tokens_details.cached_tokens`, … |
//! | `cached`, `reasoning`, `rest` | within the input; within the output; what only the total counts is reasoning |
//! | `role` | in a stream each object repeats the ones before |

use super::table::Place;

/// One shape in which providers report usage. The first shape that fits an object reads it.
#[derive(Debug)]
pub(crate) struct UsageShape {
    /// The locations of such an object in a document or an event.
    pub(crate) places: &'static [Place],
    /// Sets of members, of which one must be present completely and not `null`; without sets, any object fits.
    pub(crate) signs: &'static [&'static [&'static str]],
    /// The members of the object, by count.
    pub(crate) fields: Fields,
    /// The relation of cached tokens to the input.
    pub(crate) cached: Counted,
    /// The relation of reasoning tokens to the output.
    pub(crate) reasoning: Counted,
    /// The kind of tokens that only the total counts.
    pub(crate) rest: Remainder,
    /// The role of the object among others of the same response.
    pub(crate) role: Role,
}

impl UsageShape {
    /// A shape without fields, in which every part is within its whole and each object repeats the previous ones.
    pub(crate) const PLAIN: Self = Self {
        places: &[],
        signs: &[],
        fields: Fields::NONE,
        cached: Counted::Within,
        reasoning: Counted::Within,
        rest: Remainder::Reasoning,
        role: Role::Repeats,
    };
}

/// Members of a usage object, as paths: `parent.name` is a member of a member, and `list[key=value].name` a member of
/// those objects of a list that have such a member. Of several paths, the first existing one counts.
#[derive(Debug)]
pub(crate) struct Fields {
    /// All input that the shape counts as input; cached tokens are within or beside it according to
    /// [`UsageShape::cached`].
    pub(crate) input: Paths,
    /// Further input beside `input`.
    pub(crate) more_input: Paths,
    /// All output; reasoning is within or beside it according to [`UsageShape::reasoning`].
    pub(crate) output: Paths,
    /// Input from a cache.
    pub(crate) cache_read: Paths,
    /// Input into a cache.
    pub(crate) cache_write: Paths,
    /// The part of `cache_write` that lives for an hour.
    pub(crate) cache_write_1h: Paths,
    /// Reasoning output.
    pub(crate) reasoning: Paths,
    /// Audio input; within the uncached input.
    pub(crate) audio_input: Paths,
    /// Audio output; within the output.
    pub(crate) audio_output: Paths,
    /// Image input; within the uncached input.
    pub(crate) image_input: Paths,
    /// Image output; within the output.
    pub(crate) image_output: Paths,
    /// Predicted tokens that the response does not contain, and that are billed as output.
    pub(crate) rejected: Paths,
    /// The total. It reveals tokens that no other member counts, see [`UsageShape::rest`].
    pub(crate) total: Paths,
    /// Calls of tools that the provider runs; all existing ones are added up.
    pub(crate) tool_calls: Paths,
    /// Seconds of audio or of computing.
    pub(crate) seconds: Paths,
    /// Images that are billed individually.
    pub(crate) images: Paths,
    /// Search units of rerankers.
    pub(crate) search_units: Paths,
    /// The tier of service, as text.
    pub(crate) tier: Paths,
    /// The region, as text.
    pub(crate) region: Paths,
    /// Steps of the call that its own counts omit.
    pub(crate) steps: Option<Steps>,
}

/// Paths to a value.
pub(crate) type Paths = &'static [&'static str];

/// A list of a call's steps, each with counts of the same names, and the types of those to add.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// Path of the list.
    pub(crate) list: &'static str,
    /// Values of `type` of the steps whose counts have to be added; all others are included in the object's own.
    pub(crate) left_out: &'static [&'static str],
}

impl Fields {
    /// No members.
    pub(crate) const NONE: Self = Self {
        input: &[],
        more_input: &[],
        output: &[],
        cache_read: &[],
        cache_write: &[],
        cache_write_1h: &[],
        reasoning: &[],
        audio_input: &[],
        audio_output: &[],
        image_input: &[],
        image_output: &[],
        rejected: &[],
        total: &[],
        tool_calls: &[],
        seconds: &[],
        images: &[],
        search_units: &[],
        tier: &[],
        region: &[],
        steps: None,
    };
}

/// The counts in [`Fields`], in the reader's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    Rejected,
    Total,
    ToolCalls,
    Seconds,
    Images,
    SearchUnits,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 16] = [
        Self::Input,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageOutput,
        Self::Rejected,
        Self::Total,
        Self::ToolCalls,
        Self::Seconds,
        Self::Images,
        Self::SearchUnits,
    ];
}

impl Fields {
    /// Returns the paths of a count.
    pub(crate) const fn paths(&self, kind: Kind) -> Paths {
        match kind {
            Kind::Input => self.input,
            Kind::Output => self.output,
            Kind::CacheRead => self.cache_read,
            Kind::CacheWrite => self.cache_write,
            Kind::CacheWrite1h => self.cache_write_1h,
            Kind::Reasoning => self.reasoning,
            Kind::AudioInput => self.audio_input,
            Kind::AudioOutput => self.audio_output,
            Kind::ImageInput => self.image_input,
            Kind::ImageOutput => self.image_output,
            Kind::Rejected => self.rejected,
            Kind::Total => self.total,
            Kind::ToolCalls => self.tool_calls,
            Kind::Seconds => self.seconds,
            Kind::Images => self.images,
            Kind::SearchUnits => self.search_units,
        }
    }
}

/// The kind of tokens that a total counts but no part names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Reasoning, as for nearly all providers.
    Reasoning,
    /// Audio input.
    AudioInput,
}

/// The relation of a part to its whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The whole counts the part too.
    Within,
    /// The part is in addition to the whole.
    Beside,
}

/// The role of a usage object among those of the same response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Repeats the previous ones: the last one counts.
    Repeats,
    /// Opens the response; others complete it, and its output is a placeholder.
    Opens,
    /// Completes the previous ones: omitted counts stay.
    Completes,
    /// Occurs once, at the end.
    Ends,
    /// As [`Ends`](Role::Ends), but counts only if there is no other.
    StandsIn,
    /// As [`Repeats`](Role::Repeats), in documents that stand alone and of which each may be the last: only the end of
    /// the body tells.
    Grows,
    /// Counts one of several calls to models that the response took: all are added up.
    Adds,
}
