//! The numbers of the tables: the same on every machine.

/// A stream of numbers: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, OOPSLA 2014).
pub struct Numbers(u64);

impl Numbers {
    /// The stream of this name.
    pub fn of(words: &[u64]) -> Self {
        let mut stream = Self(0);
        for &word in words {
            stream.0 ^= word;
            stream.0 = stream.word();
        }
        stream
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `end`, which is above 0.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.word() % u64::from(end)) as u32
    }

    /// A number in [low, high).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.word() >> 40) as f32 / (1 << 24) as f32;
        low + (high - low) * unit
    }

    /// So many numbers in [-scale, scale).
    pub fn symmetric(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.between(-scale, scale)).collect()
    }

    /// So many numbers in [low, high).
    pub fn list(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.between(low, high)).collect()
    }
}
