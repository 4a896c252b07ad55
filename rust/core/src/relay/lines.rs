//! The lines of a whole block: where its data stands, and how a change of the data is written back.
//!
//! A change is made in the data, which is the values of the `data` lines joined by LF, decoded with U+FFFD for
//! what is no UTF-8. It is carried over to the bytes of the block: a span inside one line is replaced in place;
//! if one reaches over a line end, the data is written anew on one line, with a space for each line end, which
//! is white space in JSON too. All other lines of the block stay as they are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memchr2;

/// A change of a text: what replaces a span of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub start: usize,
    pub end: usize,
    pub with: Vec<u8>,
}

impl Splice {
    pub fn cut(start: usize, end: usize) -> Self {
        Self { start, end, with: Vec::new() }
    }
}

/// What is to be done with the block of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    Keep,
    Drop,
    /// To be written with its splices.
    Splice,
}

impl Treatment {
    /// By the splices of its data; None if it is dropped.
    pub fn of(splices: Option<&[Splice]>) -> Self {
        match splices {
            None => Self::Drop,
            Some([]) => Self::Keep,
            Some(_) => Self::Splice,
        }
    }
}

/// A line of a block.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// With its end.
    pub all: Range<usize>,
    /// The value, if it is a `data` line.
    pub data: Option<Range<usize>>,
    pub is_comment: bool,
}

/// Takes a block apart. The last line may lack its end.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = Line> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = block.get(start..).filter(|rest| !rest.is_empty())?;
        let len = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let crlf = rest[len..].starts_with(b"\r\n");
        let line = start..start + len;
        start += rest.len().min(len + 1 + usize::from(crlf));
        let text = &block[line.clone()];
        let data = match text.strip_prefix(b"data") {
            Some([]) => Some(line.end..line.end),
            Some([b':', b' ', ..]) => Some(line.start + 6..line.end),
            Some([b':', ..]) => Some(line.start + 5..line.end),
            _ => None,
        };
        Some(Line { all: line.start..start, data, is_comment: text.first() == Some(&b':') })
    })
}

/// Where the data begins of a block that is nothing but one line `data:`.
pub(super) fn data_start(block: &[u8]) -> usize {
    if block.starts_with(b"data: ") { 6 } else { 5 }
}

/// Whether the last line is a blank one, behind another: then what follows is no part of the event.
#[must_use]
pub fn ends_with_blank_line(bytes: &[u8]) -> bool {
    let line = bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .or_else(|| bytes.strip_suffix(b"\r"));
    line.is_some_and(|line| line.ends_with(b"\n") || line.ends_with(b"\r"))
}

/// What some bytes lack of a blank line at their end.
pub(super) fn missing_end(bytes: &[u8]) -> &'static [u8] {
    match bytes {
        _ if ends_with_blank_line(bytes) => b"",
        [.., b'\n'] => b"\n",
        // Behind a CR, the first of them belongs to it.
        _ => b"\n\n",
    }
}

/// The data of a block.
#[derive(Debug)]
pub(super) struct Data<'b> {
    block: &'b [u8],
    /// Where the values of the `data` lines stand.
    values: Vec<Range<usize>>,
    /// The values joined by LF, as text.
    text: Cow<'b, str>,
    /// The same as bytes, if they are no UTF-8.
    broken: Option<Cow<'b, [u8]>>,
}

impl<'b> Data<'b> {
    /// The data of all `data` lines; None if there is none.
    pub fn of(block: &'b [u8]) -> Option<Self> {
        let values: Vec<_> = lines(block).filter_map(|line| line.data).collect();
        (!values.is_empty()).then(|| Self::of_lines(block, values))
    }

    fn of_lines(block: &'b [u8], values: Vec<Range<usize>>) -> Self {
        let (text, broken) = match &*values {
            [value] => {
                let bytes = &block[value.clone()];
                match std::str::from_utf8(bytes) {
                    Ok(text) => (Cow::Borrowed(text), None),
                    Err(_) => (String::from_utf8_lossy(bytes), Some(Cow::Borrowed(bytes))),
                }
            }
            values => {
                let values: Vec<_> = values.iter().map(|value| &block[value.clone()]).collect();
                match String::from_utf8(values.join(&b'\n')) {
                    Ok(text) => (text.into(), None),
                    Err(error) => {
                        let bytes = error.into_bytes();
                        (String::from_utf8_lossy(&bytes).into_owned().into(), Some(bytes.into()))
                    }
                }
            }
        };
        Self { block, values, text, broken }
    }

    /// The data of each line by itself, for data that is broken as a whole.
    pub fn of_each_line(&self) -> Vec<Self> {
        let of = |value: &Range<usize>| Self::of_lines(self.block, vec![value.clone()]);
        if self.values.len() > 1 { self.values.iter().map(of).collect() } else { Vec::new() }
    }

    /// As text; what is no UTF-8 is U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the data begins in its block, if it stands in one line and is valid UTF-8: then a place of the
    /// text is that of the block, but for this.
    pub fn place(&self) -> Option<usize> {
        let [value] = &*self.values else { return None };
        self.broken.is_none().then_some(value.start)
    }

    /// Carries splices of the text over to the block. They are in order and do not overlap.
    pub fn to_block(&self, splices: Vec<Splice>) -> Vec<Splice> {
        if let Some(start) = self.place() {
            let moved = |it: Splice| Splice { start: it.start + start, end: it.end + start, with: it.with };
            return splices.into_iter().map(moved).collect();
        }
        let places = self.places(splices.iter().flat_map(|splice| [splice.start, splice.end]));
        let mut found = Vec::with_capacity(splices.len());
        let mut joined = BTreeSet::new();
        for (splice, places) in splices.into_iter().zip(places.chunks(2)) {
            let [(first, start), (last, end)] = [places[0], places[1]];
            joined.extend(first..last);
            found.push(Splice { start, end, with: splice.with });
        }
        if !joined.is_empty() {
            self.join_lines(&joined, &mut found);
        }
        found
    }

    /// The places in the block of some places in the text, which are in order: which line, and where.
    fn places(&self, wanted: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
        let starts = self.values.iter().scan(0, |end, value| {
            let start = *end;
            *end += value.len() + 1;
            Some(start)
        });
        let starts: Vec<usize> = starts.collect();
        let bytes = self.broken.as_deref().unwrap_or(self.text.as_bytes());
        let mut chunks = bytes.utf8_chunks().map(|chunk| (chunk.valid().len(), chunk.invalid().len()));
        // Where the chunk at hand begins, in the text and in the bytes.
        let (mut in_text, mut in_bytes) = (0, 0);
        let (mut valid, mut invalid) = chunks.next().unwrap_or_default();
        let place_of = |place: usize| {
            while place > in_text + valid {
                in_text += valid + if invalid > 0 { char::REPLACEMENT_CHARACTER.len_utf8() } else { 0 };
                in_bytes += valid + invalid;
                let Some(next) = chunks.next() else { break };
                (valid, invalid) = next;
            }
            let place = in_bytes + (place - in_text);
            let line = starts.partition_point(|&start| start <= place) - 1;
            (line, self.values[line].start + place - starts[line])
        };
        wanted.map(place_of).collect()
    }

    /// Puts all data on one line. The line ends in `joined`, told by the line before them, are in splices that
    /// are there. What other lines stand between goes ahead of the data.
    fn join_lines(&self, joined: &BTreeSet<usize>, splices: &mut Vec<Splice>) {
        for (line, pair) in self.values.windows(2).enumerate() {
            if !joined.contains(&line) {
                splices.push(Splice { start: pair[0].end, end: pair[1].start, with: b" ".to_vec() });
            }
        }
        let mut data = lines(self.block).filter(|line| line.data.is_some());
        let (Some(first), Some(last)) = (data.next(), data.last()) else { return };
        let between = lines(self.block)
            .filter(|line| line.data.is_none() && first.all.start < line.all.start)
            .take_while(|line| line.all.start < last.all.start);
        let between: Vec<_> = between.map(|line| &self.block[line.all]).collect();
        splices.push(Splice { start: first.all.start, end: first.all.start, with: between.concat() });
        splices.sort_by_key(|splice| splice.start);
    }
}

/// A block with its splices.
pub(super) fn spliced(block: &[u8], splices: &[Splice], out: &mut Vec<u8>) {
    let mut at = 0;
    for splice in splices {
        out.extend_from_slice(&block[at..splice.start]);
        out.extend_from_slice(&splice.with);
        at = splice.end;
    }
    out.extend_from_slice(&block[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(block: &[u8], old: &str, new: &str) -> String {
        let data = Data::of(block).into_iter().find(|data| data.text().contains(old));
        let Some(data) = data else { return "no data".into() };
        let start = data.text().find(old).unwrap_or_default();
        let splice = Splice { start, end: start + old.len(), with: new.into() };
        let mut out = Vec::new();
        spliced(block, &data.to_block(vec![splice]), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_span_inside_a_line_is_replaced_in_its_place() {
        assert_eq!(replace(b"id: 1\r\ndata:ab\r\n\r\n", "b", "xyz"), "id: 1\r\ndata:axyz\r\n\r\n");
        assert_eq!(
            replace(b"data: a\ndata\ndata: \xFFbc\n\n", "b", ""),
            "data: a\ndata\ndata: \u{fffd}c\n\n"
        );
        assert_eq!(replace(b"data: \xE2\x82a\xFF\xFFb", "b", "c"), "data: \u{fffd}a\u{fffd}\u{fffd}c");
    }

    #[test]
    fn a_span_over_a_line_end_puts_the_data_on_one_line() {
        let block = b"data: a\nevent: e\ndata: b\r: c\rdata: c\ndata:d\nid: 1\n\n";
        assert_eq!(replace(block, "b\nc", "x"), "event: e\n: c\rdata: a x d\nid: 1\n\n");
        assert_eq!(replace(block, "\n", "-"), "event: e\n: c\rdata: a-b c d\nid: 1\n\n");
    }

    #[test]
    fn what_is_missing_of_a_blank_line_is_told_for_each_line_end() {
        for ended in ["a\n\n", "a\r\r", "a\r\n\r\n", "a\n\r", "a\r\n\n", "a\r\r\n"] {
            assert!(ends_with_blank_line(ended.as_bytes()), "{ended:?}");
            assert_eq!(missing_end(ended.as_bytes()), b"", "{ended:?}");
        }
        for (unended, missing) in [("a", "\n\n"), ("a\r", "\n\n"), ("a\n", "\n"), ("a\r\n", "\n")] {
            assert!(!ends_with_blank_line(unended.as_bytes()), "{unended:?}");
            assert_eq!(missing_end(unended.as_bytes()), missing.as_bytes(), "{unended:?}");
        }
    }
}
