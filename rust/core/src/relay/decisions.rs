//! The fast way for chunks: what was decided for one holds for those like it.
//!
//! The observer reads most events by what they have in common with an earlier one (`json/template.rs`): its text is
//! a template, in which strings and numbers vary and nothing else. Rules look at keys and kinds of values alone (see
//! `rules`), so all texts of a template are changed in the same places, only moved; where more is looked at, the
//! values are named and have to be what they were. So a decision is kept by the number of the template, and the
//! event is neither read a second time nor compared. For events that the observer does not read so, see `alike`.

use std::ops::Range;

use super::lines::{Splice, Treatment};
use crate::json::{Alike, MAX_TEMPLATES};

/// What was decided for the events of a template.
#[derive(Debug)]
pub(super) struct Decision {
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

impl Decision {
    /// What becomes of an event, if it is among those for which this was decided.
    pub fn of(&self, alike: &Alike<'_>) -> Option<Treatment> {
        let is_fixed = |node: usize| self.fixed.contains(&node);
        let mut gaps = alike.gaps().enumerate().filter(|(_, node)| is_fixed(*node));
        let differs = gaps.any(|(gap, _)| alike.raw(gap) != alike.template_raw(gap));
        (!differs).then(|| Treatment::of(self.splices.as_deref()))
    }

    /// What becomes of all events of the template; None if that depends on what is in them.
    pub fn of_all(&self) -> Option<Treatment> {
        self.fixed.is_empty().then(|| Treatment::of(self.splices.as_deref()))
    }

    /// What is to be replaced in the block of an event, and by what: one span after the other. `place` tells where a
    /// place of the template's text is in the block.
    #[inline]
    pub fn splices(&self, place: impl Fn(usize) -> usize) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        let splices = self.splices.as_deref().unwrap_or_default();
        splices.iter().map(move |splice| (place(splice.start)..place(splice.end), &*splice.with))
    }
}

impl Decisions {
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

    /// What was decided for a template.
    pub fn of(&self, template: u32) -> Option<&Decision> {
        self.known.iter().find(|known| known.template == template)
    }
}
