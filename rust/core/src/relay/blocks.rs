//! Cuts a stream into what a relay sends on as a whole: the block of an event, a comment, a blank line.
//!
//! Plan. Lines are found by `memchr2`, each byte once; a block inside a chunk is a slice of it, a split one is
//! collected once. So the cost is linear in the bytes fed, whatever the cut. What a block means is left to
//! others; an event here is a block with any line that is no comment, known field or not.
//!
//! A comment ahead of a block goes by itself, as soon as its line ends: it may be there to keep the connection
//! alive, and must not wait for the event behind it.
//!
//! A block larger than the limit is given out in pieces, as it comes. Its size is counted up to the first byte
//! of its blank line's end, which is known at the same place whatever the cut.

use std::mem;

use memchr::memchr2;

const LF: u8 = b'\n';
const CR: u8 = b'\r';
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Up to this size the memory for a split block is kept for the next one.
const KEPT_CAPACITY: usize = 1024;

/// What a relay sends on as a whole, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The byte order mark at the beginning of the stream.
    Bom,
    /// The LF of a line end whose CR was the last byte of what came before.
    LineEnd,
    /// A blank line that ends no event.
    Blank,
    /// A line with a comment, ahead of a block.
    Comment,
    /// The lines of an event, with its blank line.
    Event,
}

/// Some bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub kind: Kind,
    pub bytes: &'a [u8],
    /// All of it is there. Else it is a piece of a block that is over the limit, which may be its last one.
    pub whole: bool,
    /// The bytes are those of the chunk. Else some of them came in a chunk before.
    pub in_chunk: bool,
}

/// Cuts a stream that is pushed into it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent and has its sentence")]
pub(super) struct Blocks {
    limit: usize,
    /// What has come of the block at hand in earlier chunks.
    held: Vec<u8>,
    /// `held` has been given out; it is forgotten when the next block is asked for.
    given: bool,
    /// No byte has come that is not part of a BOM.
    first: bool,
    /// The block at hand; None between two of them.
    kind: Option<Kind>,
    /// In the block at hand, the next byte begins a line.
    at_line_start: bool,
    /// The last line ended with CR: an LF that follows belongs to it.
    skip_lf: bool,
    /// The block at hand is over the limit, and given out in pieces.
    passing: bool,
}

impl Blocks {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            given: false,
            first: true,
            kind: None,
            at_line_start: true,
            skip_lf: false,
            passing: false,
        }
    }

    /// Whether a block begins with these bytes, so that the caller may take a whole one off by itself.
    pub fn begins_at(&mut self, rest: &[u8]) -> bool {
        if self.first && self.held.is_empty() {
            self.first = rest.first().is_none_or(|first| *first == BOM[0]);
        }
        self.kind.is_none() && !self.skip_lf && !self.first
    }

    /// How many bytes of a block that has not ended are held.
    pub fn pending(&self) -> usize {
        if self.given { 0 } else { self.held.len() }
    }

    /// Whether a block has begun of which some has been given out already.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// Takes bytes off `rest` until there is a block to give out. None when `rest` is used up.
    pub fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Option<Block<'a>> {
        if mem::take(&mut self.given) {
            if self.held.capacity() > KEPT_CAPACITY {
                self.held = Vec::new();
            }
            self.held.clear();
        }
        let first = *rest.first()?;
        if self.kind.is_none() {
            if mem::take(&mut self.skip_lf) && first == LF {
                return Some(self.give(rest, 1, Kind::LineEnd, true));
            }
            if self.first {
                let missing = &BOM[self.held.len()..];
                let common = missing.iter().zip(*rest).take_while(|(one, other)| one == other).count();
                self.first = common == rest.len() && common < missing.len();
                if common == missing.len() {
                    return Some(self.give(rest, common, Kind::Bom, true));
                }
                if self.first {
                    self.hold(rest);
                    return None;
                }
            }
            // A part of a BOM is the beginning of a line that is no comment.
            self.at_line_start = self.held.is_empty();
            self.kind = Some(match first {
                _ if !self.held.is_empty() => Kind::Event,
                LF | CR => Kind::Blank,
                b':' => Kind::Comment,
                _ => Kind::Event,
            });
        }
        let kind = self.kind?;
        if let Some((end, size)) = self.end_in(rest, kind) {
            let whole = !self.passing && size <= self.limit;
            self.kind = None;
            self.passing = false;
            return Some(self.give(rest, end, kind, whole));
        }
        if self.passing || self.held.len() + rest.len() > self.limit {
            self.passing = true;
            let count = rest.len();
            return Some(self.give(rest, count, kind, false));
        }
        self.hold(rest);
        None
    }

    /// At the end of the stream: the beginning of a block that never ended.
    pub fn take_rest(&mut self) -> Option<(Kind, Vec<u8>)> {
        let held = mem::take(&mut self.held);
        let kind = self.kind.take().unwrap_or(Kind::Event);
        (!mem::take(&mut self.given) && !held.is_empty()).then_some((kind, held))
    }

    /// Where in the chunk the block at hand ends, and its size; None if it goes on behind the chunk.
    fn end_in(&mut self, chunk: &[u8], kind: Kind) -> Option<(usize, usize)> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if mem::take(&mut self.skip_lf) && byte == LF {
                at += 1;
                continue;
            }
            let blank = mem::take(&mut self.at_line_start) && (byte == LF || byte == CR);
            let end = at + memchr2(LF, CR, &chunk[at..])?;
            at = end + 1;
            self.skip_lf = chunk[end] == CR;
            self.at_line_start = true;
            if blank || kind == Kind::Comment {
                let size = self.held.len() + at;
                if self.skip_lf && chunk.get(at) == Some(&LF) {
                    self.skip_lf = false;
                    at += 1;
                }
                return Some((at, size));
            }
        }
        None
    }

    fn hold(&mut self, rest: &mut &[u8]) {
        self.held.extend_from_slice(rest);
        *rest = &[];
    }

    fn give<'a, 'c: 'a>(
        &'a mut self,
        rest: &mut &'c [u8],
        count: usize,
        kind: Kind,
        whole: bool,
    ) -> Block<'a> {
        let (bytes, behind) = rest.split_at(count);
        *rest = behind;
        if self.held.is_empty() {
            return Block { kind, bytes, whole, in_chunk: true };
        }
        self.held.extend_from_slice(bytes);
        self.given = true;
        Block { kind, bytes: &self.held, whole, in_chunk: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<(Kind, Vec<u8>, bool)> {
        let mut blocks = Blocks::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            let mut rest = chunk;
            while let Some(block) = blocks.next(&mut rest) {
                found.push((block.kind, block.bytes.to_vec(), block.whole));
            }
        }
        found.extend(blocks.take_rest().map(|(kind, held)| (kind, held, false)));
        found
    }

    #[test]
    fn a_stream_is_cut_at_line_ends_of_any_kind() {
        let body = b"\xEF\xBB\xBF: a\n\ndata: 1\r\n: in\r\n\r\n\r\ndata: 2\r\r:b\rx";
        let found = cut([&body[..]], 100);
        let expected: [(Kind, &[u8], bool); 8] = [
            (Kind::Bom, b"\xEF\xBB\xBF", true),
            (Kind::Comment, b": a\n", true),
            (Kind::Blank, b"\n", true),
            (Kind::Event, b"data: 1\r\n: in\r\n\r\n", true),
            (Kind::Blank, b"\r\n", true),
            (Kind::Event, b"data: 2\r\r", true),
            (Kind::Comment, b":b\r", true),
            (Kind::Event, b"x", false),
        ];
        assert_eq!(found, expected.map(|(kind, bytes, whole)| (kind, bytes.to_vec(), whole)));
        let drip: Vec<_> = cut(body.chunks(1), 100);
        assert_eq!(drip.iter().flat_map(|it| it.1.clone()).collect::<Vec<_>>(), body);
        let events = |found: &[(Kind, Vec<u8>, bool)]| {
            let of = found.iter().filter(|it| it.0 == Kind::Event);
            of.map(|it| it.1.trim_ascii().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(events(&found), events(&drip));
    }

    #[test]
    fn a_block_over_the_limit_comes_in_pieces_and_the_next_one_is_whole() {
        let body = b"data: 12345\n\ndata: 1\n\n";
        for chunks in [vec![&body[..]], body.chunks(3).collect()] {
            let found = cut(chunks, 10);
            assert!(found.len() >= 2 && found[..found.len() - 1].iter().all(|it| !it.2));
            assert_eq!(found.last(), Some(&(Kind::Event, b"data: 1\n\n".to_vec(), true)));
        }
        assert!(cut([&body[..]], 13).iter().all(|it| it.2), "the limit itself is not over it");
    }
}
