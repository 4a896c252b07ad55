//! What was sent on, as far as who puts a comment in between has to know it.
//!
//! A comment may stand between two events, or behind other comments, at the beginning of a line. That takes what was
//! sent since the last blank line, which is mostly nothing; of more than `KEPT` bytes it is enough that they are inside
//! an event. A CR at the end of a line counts for none here, but as a part of CR and LF: then there is no comment.
//!
//! Where a comment is the first to be sent, what may be a byte order mark waits, and is left out: behind the comment it
//! would not stand at the beginning any more.

use std::borrow::Cow;

/// Comments are shorter.
const KEPT: usize = 512;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What was sent on.
#[derive(Debug, Default)]
pub struct Sent {
    /// What was sent since the last blank line, with LF for CR and LF.
    tail: Vec<u8>,
    /// That is not all.
    cut: bool,
    /// Behind a comment that was the first to be sent: what may be a byte order mark.
    head: Option<Vec<u8>>,
    count: u64,
}

impl Sent {
    /// Takes bytes that are to be sent on, and gives those to send now.
    pub fn send<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let now = match self.head.take() {
            None => Cow::Borrowed(bytes),
            Some(mut head) => {
                head.extend_from_slice(bytes);
                if head.len() < BOM.len() && BOM.starts_with(&head) {
                    self.head = Some(head);
                    return Cow::default();
                }
                Cow::Owned(head.strip_prefix(BOM).unwrap_or(&head).to_vec())
            }
        };
        self.note(&now);
        now
    }

    /// The same for the last bytes.
    pub fn close<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let last = match self.head.take() {
            None => Cow::Borrowed(bytes),
            Some(head) => Cow::Owned([&head, bytes].concat()),
        };
        self.note(&last);
        last
    }

    /// Whether a comment may be sent now; if so, it counts as sent.
    pub fn interrupt(&mut self) -> bool {
        let between = match self.tail.split_last() {
            None => true,
            Some((b'\n', lines)) => lines.split(|&byte| byte == b'\n').all(is_comment),
            Some(_) => false,
        };
        if self.cut || !between {
            return false;
        }
        if self.count == 0 {
            self.head = Some(Vec::new());
        }
        self.count += 1;
        true
    }

    /// How often there was something to send.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    fn note(&mut self, bytes: &[u8]) {
        self.count += u64::from(!bytes.is_empty());
        if bytes.ends_with(b"\n\n") {
            self.begin();
            return;
        }
        let passed = bytes.len().saturating_sub(KEPT);
        if passed > 0 {
            self.tail.clear();
            self.cut = true;
        }
        for &byte in &bytes[passed..] {
            if byte == b'\n' && self.tail.last() == Some(&b'\r') {
                self.tail.pop();
            }
            self.tail.push(byte);
            if self.tail.ends_with(b"\n\n") {
                self.begin();
            }
        }
        if self.tail.len() > KEPT {
            self.tail.clear();
            self.cut = true;
        }
    }

    /// A blank line was sent: what comes next is no part of what was.
    fn begin(&mut self) {
        self.tail.clear();
        self.cut = false;
    }
}

/// Whether a line is a comment, or blank.
fn is_comment(line: &[u8]) -> bool {
    matches!(line, [] | [b':', ..]) && !line.contains(&b'\r')
}
