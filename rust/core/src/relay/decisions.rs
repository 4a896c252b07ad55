//! The fast way for chunks: what was decided for one holds for those like it.
//!
//! The observer reads most events by what they have in common with an earlier one (`json/template.rs`): its text is
//! a template, in which strings and numbers vary and nothing else. Rules look at keys and kinds of values alone (see
//! `rules`), so all texts of a template are changed in the same places, only moved; where more is looked at, the
//! values are named and have to be what they were. So a decision is kept by the number of the template, and the
//! event is neither read a second time nor compared. For events that the observer does not read so, see `alike`.

use super::alike::Fit;
use super::lines::Splice;
use crate::json::{Alike, MAX_TEMPLATES};

#[derive(Debug)]
struct Decision {
    template: u32,
    /// Values that have to be what they are in the template, by their places among all.
    fixed: Vec<usize>,
    /// In the text of the template; None if its events are dropped.
    splices: Option<Vec<Splice>>,
}

/// What was decided for the templates that are in use.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    known: Vec<Decision>,
    /// The place of the newest.
    newest: usize,
}

impl Decisions {
    /// What was decided for an event like this one.
    pub fn find(&self, alike: &Alike<'_>) -> Option<Fit> {
        let Decision { fixed, splices, .. } = self.of(alike.fit().template)?;
        let is_fixed = |node: usize| fixed.contains(&node);
        let mut gaps = alike.gaps().enumerate().filter(|(_, node)| is_fixed(*node));
        if gaps.any(|(gap, _)| alike.raw(gap) != alike.template_raw(gap)) {
            return None;
        }
        Some(match splices {
            None => Fit::Drop,
            Some(splices) if splices.is_empty() => Fit::Keep,
            Some(_) => Fit::Splice,
        })
    }

    /// Writes the block of an event whose data begins at `start`, with its splices.
    pub fn write(&self, alike: &Alike<'_>, block: &[u8], start: usize, out: &mut Vec<u8>) {
        let decision = self.of(alike.fit().template);
        let splices = decision.and_then(|decision| decision.splices.as_deref()).unwrap_or_default();
        let place = |place: usize| start + alike.moved(place);
        let mut at = 0;
        for splice in splices {
            out.extend_from_slice(&block[at..place(splice.start)]);
            out.extend_from_slice(&splice.with);
            at = place(splice.end);
        }
        out.extend_from_slice(&block[at..]);
    }

    /// Keeps what was decided for the text that became a template.
    pub fn keep(&mut self, template: u32, fixed: Vec<usize>, splices: Option<Vec<Splice>>) {
        let decision = Decision { template, fixed, splices };
        if self.known.len() < MAX_TEMPLATES {
            self.newest = self.known.len();
            self.known.push(decision);
        } else {
            self.newest = (self.newest + 1) % MAX_TEMPLATES;
            self.known[self.newest] = decision;
        }
    }

    /// Whether something was decided for a template.
    pub fn know(&self, template: u32) -> bool {
        self.of(template).is_some()
    }

    fn of(&self, template: u32) -> Option<&Decision> {
        self.known.iter().find(|known| known.template == template)
    }
}
