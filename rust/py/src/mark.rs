//! Short names and ids as numbers, which are quicker to compare than bytes: nearly all that is asked of them in a chunk is
//! which of a few known ones they are, and a call for each comparison takes longer than the comparison.

/// A byte string by its length and its ends. Up to `WHOLE` bytes it is the only one with this mark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    first: u64,
    last: u64,
    len: usize,
}

/// The longest that the ends are all of.
const WHOLE: usize = 16;

/// Odd, with its bits well mixed (Fibonacci hashing).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Mark {
    pub const NONE: Self = Self { first: 0, last: 0, len: usize::MAX };

    #[inline]
    pub const fn of(bytes: &[u8]) -> Self {
        let len = bytes.len();
        // Shorter than two words, some bytes are in both ends.
        let (first, last) =
            if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
            } else if let [first, .., last] = bytes {
                (*first as u64, (bytes[len / 2] as u64) << 8 | *last as u64)
            } else if let [only] = bytes {
                (*only as u64, 0)
            } else {
                (0, 0)
            };
        Self { first, last, len }
    }

    /// A number whose upper bits depend on all of the mark. Another `salt` gives another one.
    #[inline]
    pub const fn hash(self, salt: u64) -> u64 {
        let mixed = self.first.wrapping_mul(MULTIPLIER) ^ self.last ^ (self.len as u64) << 56;
        mixed.wrapping_mul(MULTIPLIER.wrapping_add(salt << 1))
    }

    /// Whether the bytes of this mark are the others, of which `other` is the mark.
    #[inline]
    pub fn is_of(self, bytes: &[u8], other: Self, others: &[u8]) -> bool {
        self == other && (self.len <= WHOLE || bytes == others)
    }
}
