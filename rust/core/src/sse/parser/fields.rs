//! Lines that are not known to be whole, piece by piece: the name of the field, its value, and what it sets once the
//! line has ended.
//!
//! Only these lines can set a type, an ID or a reconnection time. A name longer than any field's is no
//! field; of an ignored line and a comment nothing is kept.

use std::mem;

use memchr::memchr;

use super::{EventParser, LF, MAX_STRAY, clear};
use crate::LimitExceeded;
use crate::sse::line::{Digits, ERROR, Field, Line, Name};

impl EventParser {
    /// Takes the next piece of the current line, which is not known to be a whole one.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), LimitExceeded> {
        if matches!(self.line, Line::Start) && self.begins_stray(piece) {
            self.line = Line::Stray;
            self.stray = Some(Box::default());
        }
        if matches!(self.line, Line::Stray) {
            self.push_stray(piece);
            return Ok(());
        }
        if matches!(self.line, Line::Start | Line::Name(_)) {
            let Some(value) = self.push_name(piece)? else {
                return Ok(());
            };
            piece = value;
        }
        if let Line::Colon(field) = self.line {
            let Some(&first) = piece.first() else {
                return Ok(());
            };
            self.line = Line::Value(field);
            if first == b' ' {
                piece = &piece[1..];
            }
        }
        if let Line::Value(field) = self.line { self.push_value(field, piece) } else { Ok(()) }
    }

    fn begins_stray(&self, piece: &[u8]) -> bool {
        // The first one stays until it is taken.
        piece.first().is_some_and(|first| self.stray_begins == Some(*first)) && self.stray.is_none()
    }

    fn push_stray(&mut self, piece: &[u8]) {
        if let Some(stray) = &mut self.stray
            && stray.0.len() + piece.len() <= MAX_STRAY
        {
            stray.0.extend_from_slice(piece);
        } else {
            self.stray = None;
            self.line = Line::Ignored;
        }
    }

    /// Reads on in the field's name; Some(what stands behind the colon) once it is complete.
    fn push_name<'c>(&mut self, piece: &'c [u8]) -> Result<Option<&'c [u8]>, LimitExceeded> {
        let mut name = if let Line::Name(name) = self.line { name } else { Name::default() };
        for (i, &byte) in piece.iter().enumerate() {
            if byte == b':' {
                self.line = match self.field(name.as_bytes()) {
                    Some(field) => Line::Colon(field),
                    None if name.as_bytes().is_empty() => Line::Comment,
                    None => Line::Ignored,
                };
                self.recognised |= !matches!(self.line, Line::Ignored);
                if matches!(self.line, Line::Colon(Field::Data)) {
                    self.begin_data_line()?;
                }
                return Ok(Some(&piece[i + 1..]));
            }
            if !name.push(byte) {
                self.line = Line::Ignored;
                return Ok(None);
            }
        }
        self.line = Line::Name(name);
        Ok(None)
    }

    fn field(&mut self, name: &[u8]) -> Option<Field> {
        if self.error_field && name == ERROR {
            self.event = ERROR.to_vec();
            return Some(Field::Data);
        }
        Field::named(name)
    }

    fn push_value(&mut self, field: Field, piece: &[u8]) -> Result<(), LimitExceeded> {
        match field {
            Field::Data => {
                self.check_size(piece.len())?;
                self.data.extend_from_slice(piece);
            }
            Field::Event => {
                self.check_size(piece.len())?;
                self.value.extend_from_slice(piece);
            }
            Field::Id => {
                let nul = memchr(0, piece);
                let piece = &piece[..nul.unwrap_or(piece.len())];
                self.check_size(piece.len())?;
                if nul.is_some() {
                    // "If the field value does not contain U+0000 NULL": else the line is void.
                    clear(&mut self.value);
                    self.line = Line::Ignored;
                } else {
                    self.value.extend_from_slice(piece);
                }
            }
            Field::Retry => {
                if !self.digits.push(piece) {
                    self.digits = Digits::default();
                    self.line = Line::Ignored;
                }
            }
        }
        Ok(())
    }

    /// Processes the field of the line that has ended.
    pub(super) fn end_line(&mut self) -> Result<(), LimitExceeded> {
        match mem::take(&mut self.line) {
            Line::Name(name) => {
                // "Otherwise, the string is not empty but does not contain a colon": the value is empty.
                if let Some(field) = self.field(name.as_bytes()) {
                    self.recognised = true;
                    if field == Field::Data {
                        self.begin_data_line()?;
                    }
                    self.end_field(field);
                }
            }
            Line::Value(field) | Line::Colon(field) => self.end_field(field),
            Line::Comment => self.comments += 1,
            Line::Stray => {
                if let Some(stray) = &mut self.stray {
                    stray.1 = true;
                }
            }
            Line::Start | Line::Ignored => {}
        }
        Ok(())
    }

    fn end_field(&mut self, field: Field) {
        match field {
            Field::Data => {}
            Field::Event => {
                mem::swap(&mut self.event, &mut self.value);
                clear(&mut self.value);
            }
            Field::Id => self.block_id = Some(mem::take(&mut self.value)),
            Field::Retry => {
                if let Digits(Some(milliseconds)) = mem::take(&mut self.digits) {
                    self.retry = Some(milliseconds);
                    self.block_retry = Some(milliseconds);
                }
            }
        }
    }

    fn begin_data_line(&mut self) -> Result<(), LimitExceeded> {
        if self.has_data {
            self.check_size(1)?;
            self.data.push(LF);
        }
        self.has_data = true;
        Ok(())
    }
}
