//! The tokens of JSON: how far a string, a number or a literal reaches, and whether it is a valid one; and how far
//! two texts are the same.
//!
//! Plan. A string is searched eight bytes at a time for what may end or spoil it; the first such byte decides.
//! Nothing is decoded. A token costs about a nanosecond for each eight of its bytes.
//!
//! The texts need not be valid UTF-8 here: bytes beyond ASCII are passed over, and are for the caller to judge.
//! Beyond the grammar, orjson's rules hold: an escape is no lone surrogate, a number is within a double.

use memchr::memchr;

use super::document::Invalid;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first byte at or behind a place that is no white space.
#[inline]
pub(super) fn space(text: &[u8], at: usize) -> usize {
    // Most texts have none, or one blank.
    match text.get(at) {
        Some(0..=b' ') => more_space(text, at),
        _ => at,
    }
}

/// The first byte at or behind a place that is no white space, and where it stands.
#[inline]
pub(super) fn token(text: &[u8], at: usize) -> Result<(usize, u8), Invalid> {
    match text.get(at) {
        Some(&byte) if byte > b' ' => Ok((at, byte)),
        _ => {
            let at = more_space(text, at);
            text.get(at).map(|&byte| (at, byte)).ok_or(Invalid)
        }
    }
}

/// Where a byte stands that has to be the first at or behind a place which is no white space.
#[inline]
pub(super) fn expect(text: &[u8], at: usize, byte: u8) -> Result<usize, Invalid> {
    if text.get(at) == Some(&byte) {
        return Ok(at);
    }
    let at = more_space(text, at);
    if text.get(at) == Some(&byte) { Ok(at) } else { Err(Invalid) }
}

#[inline(never)]
fn more_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// What stands between two quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted {
    /// Where the closing quote is.
    pub close: usize,
    /// Whether it has an escape.
    pub escaped: bool,
    /// Whether it is all ASCII.
    pub ascii: bool,
}

/// Reads a string whose content begins at `start`.
#[inline]
pub(crate) fn string(text: &[u8], start: usize) -> Result<Quoted, Invalid> {
    let mut beyond = 0;
    let at = special(text, start, &mut beyond);
    match text.get(at) {
        Some(b'"') => Ok(Quoted { close: at, escaped: false, ascii: beyond == 0 }),
        Some(b'\\') => escaped_string(text, start, at),
        _ => Err(Invalid),
    }
}

/// The same where the first backslash is at `at`.
#[inline(never)]
fn escaped_string(text: &[u8], start: usize, mut at: usize) -> Result<Quoted, Invalid> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(Quoted { close: at, escaped: true, ascii: text[start..at].is_ascii() }),
            Some(b'\\') => at = special(text, escape(text, at + 1)?, &mut 0),
            _ => return Err(Invalid),
        }
    }
}

/// The first quote, backslash or control character at or behind a place; the end of the text if there is none.
/// Bytes beyond ASCII in front of it leave bits in `beyond`.
#[inline]
fn special(text: &[u8], mut at: usize, beyond: &mut u64) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some((&block, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(block);
        // With this bit turned, the quote comes right behind the control characters, and nothing else gets there. In
        // each difference only bits above the first hit may be wrong, and the first hit is what is asked for.
        let turned = word ^ (LOW * 0x02);
        let backslash = word ^ (LOW * u64::from(b'\\'));
        let hits = (turned.wrapping_sub(LOW * 0x21) | backslash.wrapping_sub(LOW)) & !word & HIGH;
        if hits != 0 {
            // Of the bytes in front of the hit.
            *beyond |= word & HIGH & (hits ^ (hits - 1));
            return text.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        *beyond |= word & HIGH;
        rest = behind;
    }
    at = text.len() - rest.len();
    while let Some(&byte) = text.get(at).filter(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        *beyond |= u64::from(byte & 0x80);
        at += 1;
    }
    at
}

/// Behind an escape whose backslash stands right before `at`.
fn escape(text: &[u8], at: usize) -> Result<usize, Invalid> {
    match text.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match unit(text, at + 1)? {
            0xD800..0xDC00 => {
                let low = text.get(at + 5..at + 7) == Some(b"\\u") && is_low(unit(text, at + 7)?);
                if low { Ok(at + 11) } else { Err(Invalid) }
            }
            unit if is_low(unit) => Err(Invalid),
            _ => Ok(at + 5),
        },
        _ => Err(Invalid),
    }
}

fn is_low(unit: u16) -> bool {
    (0xDC00..0xE000).contains(&unit)
}

/// The four hexadecimal digits of a UTF-16 unit.
fn unit(text: &[u8], at: usize) -> Result<u16, Invalid> {
    let digits = text.get(at..at + 4).ok_or(Invalid)?;
    digits.iter().try_fold(0, |unit, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(Invalid)?;
        u16::try_from(digit).map(|digit| unit << 4 | digit).map_err(|_| Invalid)
    })
}

/// Behind a number that begins at `at`.
pub(crate) fn number(text: &[u8], start: usize) -> Result<usize, Invalid> {
    let digits = |mut at: usize| {
        let first = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > first { Ok(at) } else { Err(Invalid) }
    };
    let mut at = start + usize::from(text.get(start) == Some(&b'-'));
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    let has_exponent = matches!(text.get(at), Some(b'e' | b'E'));
    if has_exponent {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    // Most numbers are short integers; only these can be beyond a double.
    if has_exponent || at - start > 300 {
        let number = std::str::from_utf8(&text[start..at]).ok().and_then(|text| text.parse::<f64>().ok());
        number.filter(|number| number.is_finite()).ok_or(Invalid)?;
    }
    Ok(at)
}

/// Behind `true`, `false` or `null`.
#[inline]
pub(super) fn literal(text: &[u8], at: usize) -> Result<usize, Invalid> {
    let rest = &text[at..];
    match rest.first_chunk() {
        Some(b"null" | b"true") => Ok(at + 4),
        Some(b"fals") if rest.get(4) == Some(&b'e') => Ok(at + 5),
        _ => Err(Invalid),
    }
}

/// Decodes the escapes of what stands between the quotes of a valid string.
pub(super) fn unescape(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    // A UTF-16 unit that waits for its second half.
    let mut high = None;
    while let Some((before, behind)) = memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        decoded.push_str(before);
        let letter = behind.as_bytes().get(1).copied().unwrap_or_default();
        rest = behind.get(2..).unwrap_or_default();
        decoded.push(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = unit(rest.as_bytes(), 0).unwrap_or_default();
                rest = rest.get(4..).unwrap_or_default();
                if (0xD800..0xDC00).contains(&unit) {
                    high = Some(unit);
                    continue;
                }
                let units = high.take().into_iter().chain([unit]);
                char::decode_utf16(units).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            same => char::from(same),
        });
    }
    decoded.push_str(rest);
    decoded
}

/// How many bytes two texts have in common at the beginning.
#[inline]
pub(crate) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_chunks::<32>().0.iter().zip(other.as_chunks::<32>().0);
    let mut equal = blocks.take_while(|(one, other)| one == other).count() * 32;
    let word = |text: &[u8], at: usize| text.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
    while let (Some(of_one), Some(of_other)) = (word(one, equal), word(other, equal)) {
        let differing = of_one ^ of_other;
        if differing != 0 {
            return equal + (differing.trailing_zeros() / 8) as usize;
        }
        equal += 8;
    }
    equal + one[equal..].iter().zip(&other[equal..]).take_while(|(one, other)| one == other).count()
}

/// How many bytes two texts have in common at the end.
pub(super) fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let word =
        |text: &[u8], equal: usize| text[..text.len() - equal].last_chunk().copied().map(u64::from_le_bytes);
    let mut equal = 0;
    while let (Some(of_one), Some(of_other)) = (word(one, equal), word(other, equal)) {
        let differing = of_one ^ of_other;
        if differing != 0 {
            return equal + (differing.leading_zeros() / 8) as usize;
        }
        equal += 8;
    }
    let rest = one.iter().rev().zip(other.iter().rev()).skip(equal);
    equal + rest.take_while(|(one, other)| one == other).count()
}
