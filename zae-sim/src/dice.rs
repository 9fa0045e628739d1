//! The one source of chance: [`Dice`]. The numbers of a seed are the same for ever, whatever crates are updated.

/// A generator of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// Mixes numbers into one that shows nothing of them.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Dice {
    /// Those of a seed.
    pub fn of(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Dice of a seed for one purpose: throws for other purposes do not depend on how many are thrown here.
    pub fn aside(seed: u64, purpose: u64, number: u64) -> Self {
        Self(mix(mix(seed ^ mix(purpose)).wrapping_add(number)))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// One of `from` to `to`, both included.
    pub fn of_range(&mut self, from: u64, to: u64) -> u64 {
        from + self.bits() % (to - from + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// One of `choices`.
    pub fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.bits() % choices.len() as u64;
        choices[usize::try_from(index).unwrap_or(0)]
    }
}
