//! The only source of chance in the simulated site: SplitMix64, one stream for every purpose.
//!
//! Bit-identical to `spec/control/scenario.py` (control.md 5.1). Never reads a clock and never asks the operating system.

/// A stream of numbers that follows from a number and a tag alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rng(u64);

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over bytes, 64 bits.
pub fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The output function of SplitMix64: a good hash of one number, for noise that follows from time alone.
pub fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream `tag` of the site with this number.
    pub fn new(number: u64, tag: &str) -> Rng {
        Rng(number ^ fnv1a64(tag.as_bytes()))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included; `low` when the range is empty or wider than 32 bits.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        let width = high.checked_sub(low).and_then(|w| w.checked_add(1)).and_then(|w| u32::try_from(w).ok());
        low + i64::from(self.below(width.unwrap_or(0)))
    }

    /// True `permille` times in a thousand.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// About normal around 0 with this standard deviation: the sum of twelve uniform 16-bit numbers, never beyond 6 deviations.
    pub fn gauss(&mut self, deviation: i64) -> i64 {
        let sum: i64 = (0..3).map(|_| sum_of_quarters(self.next_u64())).sum();
        scale(sum, deviation)
    }
}

/// About normal like [`Rng::gauss`], but following from `number` alone.
pub fn gauss_of(number: u64, deviation: i64) -> i64 {
    let sum: i64 = (1..4).map(|k| sum_of_quarters(mix(number.wrapping_add(k)))).sum();
    scale(sum, deviation)
}

fn sum_of_quarters(bits: u64) -> i64 {
    (0..4).map(|k| ((bits >> (16 * k)) & 0xffff) as i64).sum()
}

fn scale(sum: i64, deviation: i64) -> i64 {
    // The mean of twelve such numbers is 6 x 65535, their deviation 65536.
    (sum - 6 * 65535).saturating_mul(deviation) / 65536
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_those_of_the_reference() {
        let mut rng = Rng::new(7, "gauss");
        let said: Vec<_> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(said, [0x3d63_a1d4_dc13_a5ae, 0xb394_a763_7007_1038, 0x1a5a_f3a7_aad4_19c7]);
        assert_eq!(fnv1a64(b""), OFFSET);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn ranges_are_inclusive_and_survive_nonsense() {
        let mut rng = Rng::new(1, "range");
        let said: Vec<_> = (0..200).map(|_| rng.range(-1, 1)).collect();
        assert!([-1, 0, 1].iter().all(|v| said.contains(v)) && said.iter().all(|v| (-1..=1).contains(v)));
        assert_eq!(rng.range(5, -5), 5);
        assert_eq!(rng.range(0, i64::MAX), 0);
        assert!((0..100).all(|_| !rng.chance(0) && rng.chance(1000)));
    }

    #[test]
    fn gauss_has_the_mean_and_the_deviation_asked_for() {
        let mut rng = Rng::new(1, "gauss");
        let drawn: Vec<i64> = (0..20_000).map(|_| rng.gauss(1000)).collect();
        let mean = drawn.iter().sum::<i64>() / 20_000;
        let variance = drawn.iter().map(|v| v * v).sum::<i64>() / 20_000;
        assert!(mean.abs() < 25, "mean {mean}");
        assert!((950_000..1_050_000).contains(&variance), "variance {variance}");
        assert_eq!(gauss_of(9, 100), gauss_of(9, 100));
    }
}
