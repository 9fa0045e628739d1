//! The only source of randomness: [`Dice`]. The numbers for a seed never change, whatever crates are updated.

/// A random number generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// Mixes bits so that the result is unrelated to the input.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Dice {
    /// Creates the generator of a seed.
    pub fn of(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Dice of a seed for one purpose: throws for other purposes do not depend on how many are thrown here.
    pub fn aside(seed: u64, purpose: u64, number: u64) -> Self {
        Self(mix(mix(seed ^ mix(purpose)).wrapping_add(number)))
    }

    /// Returns 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number from `from` to `to`, both included.
    pub fn of_range(&mut self, from: u64, to: u64) -> u64 {
        from + self.bits() % (to - from + 1)
    }

    /// Returns true in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// Returns one of `choices`.
    pub fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.bits() % choices.len() as u64;
        choices[usize::try_from(index).unwrap_or(0)]
    }
}
