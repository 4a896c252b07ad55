//! Whether a JSON text that arrives in pieces may be whole by now, at a cost that is constant a byte.
//!
//! It counts brackets outside strings and checks nothing else, so it says "whole" of some texts that are not
//! JSON; whether one is, is for a [`Document`](super::Document) to tell, once. It never says "whole" of a
//! text that is only the beginning of an object or array.

use memchr::memchr2;

/// How far an object or array has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Completeness {
    depth: u32,
    in_string: bool,
    escaped: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Blank,
    Open,
    Whole,
    /// It began with something else than a bracket, or went on after its last one.
    Other,
}

impl Completeness {
    /// Takes the next piece of the text.
    pub fn push(&mut self, piece: &str) {
        let mut rest = piece.as_bytes();
        while let Some(&byte) = rest.first() {
            if self.in_string && !self.escaped {
                let Some(at) = memchr2(b'"', b'\\', rest) else { return };
                self.in_string = rest[at] == b'\\';
                self.escaped = self.in_string;
                rest = &rest[at + 1..];
                continue;
            }
            rest = &rest[1..];
            if self.escaped {
                self.escaped = false;
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                _ if self.state == State::Whole => self.state = State::Other,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.state == State::Blank {
                        self.state = State::Open;
                    }
                }
                b'}' | b']' if self.state == State::Open => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.state = State::Whole;
                    }
                }
                _ => {
                    self.in_string = byte == b'"';
                    if self.state == State::Blank {
                        self.state = State::Other;
                    }
                }
            }
        }
    }

    /// Whether all brackets are closed and nothing came after.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.state == State::Whole
    }
}
