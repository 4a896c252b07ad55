//! What to do with a chunk that is like the one before it but for one piece of text.
//!
//! Most chunks of a stream are that. Adding such a chunk changes nothing but where the piece goes: every other rule
//! keeps the first or the last value of a field, and the values are the same as a chunk ago. So while a chunk is
//! added in full, it is noted what it made grow ([`Growth`]). Where that is one text at most, the note is a plan for
//! the chunks of the same template: it says where their text goes. It holds until another chunk is added in full.
//!
//! No plan is made where another field would grow by being added twice: a second text, a list of details,
//! annotations or log probabilities, a name of a tool call, more than one choice or call. An id may repeat: a
//! fragment without a name that comes again, under the same id and index, goes where it went. A value that is no
//! text or padding, but is known to change (the index, as one tool call follows another), has to be what it was.

use std::borrow::Cow;

use crate::chat::Choice;
use crate::chat::choice::append;
use crate::json::{Alike, Value};

/// What a chunk has made grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Growth {
    /// Nothing.
    #[default]
    Nothing,
    /// This text. If there are others, they are empty.
    Text(Grown),
    /// More than one text, or what is no text.
    Other,
}

/// A text of a chunk, and where it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grown {
    /// The text's place among the values of the chunk.
    node: usize,
    /// It is empty, and would be the other one that is.
    gives_way: bool,
    target: Target,
    /// The choice, as a place in the accumulator's list.
    choice: usize,
}

/// What a text is appended to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Content,
    Reasoning,
    /// The call, as a place in the choice's list.
    Arguments(usize),
}

impl Growth {
    /// Notes a text.
    pub(super) fn text(&mut self, text: Value<'_>, target: Target) {
        let is_empty = text.raw().len() == 2;
        if !(is_empty && matches!(self, Self::Text(_))) {
            self.grow(Grown { node: text.node_number(), gives_way: is_empty, target, choice: 0 });
        }
    }

    /// Notes a fragment of a call. Also an empty one does something: it may come too late, or change which call the
    /// next one goes to.
    pub(super) fn fragment(&mut self, arguments: Value<'_>, call: usize) {
        let target = Target::Arguments(call);
        self.grow(Grown { node: arguments.node_number(), gives_way: false, target, choice: 0 });
    }

    fn grow(&mut self, grown: Grown) {
        *self = match *self {
            Self::Nothing | Self::Text(Grown { gives_way: true, .. }) => Self::Text(grown),
            _ => Self::Other,
        };
    }

    /// Notes what is no text.
    pub(super) fn other(&mut self) {
        *self = Self::Other;
    }

    /// What the chunk has made grow with a further choice, which has made this grow.
    pub(super) fn and(&mut self, more: Self, choice: usize) {
        *self = match (*self, more) {
            (Self::Nothing, Self::Text(grown)) => Self::Text(Grown { choice, ..grown }),
            _ => Self::Other,
        };
    }
}

/// Where the text of a chunk goes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The template, by its number, once it is known.
    template: Option<u32>,
    text: Grown,
    /// A value that may change and is nowhere kept.
    padding: Option<usize>,
    /// What the chunk that was added in full had in other gaps.
    others: Box<[(usize, Box<[u8]>)]>,
}

impl Plan {
    /// A plan from what a chunk has made grow. It is not one for any template yet.
    pub(super) fn of(growth: Growth, padding: Option<usize>) -> Option<Self> {
        let Growth::Text(text) = growth else { return None };
        Some(Self { template: None, text, padding, others: Box::default() })
    }

    /// Makes it a plan for the template that the chunk is of. `alike` tells what the chunk has in the gaps; without
    /// it, the template is the chunk itself.
    pub(super) fn set_template(&mut self, template: u32, alike: Option<&Alike<'_>>) {
        self.template = Some(template);
        if let Some(alike) = alike {
            let others = alike.gaps().enumerate();
            let others = others.filter(|&(_, node)| node != self.text.node && Some(node) != self.padding);
            self.others = others.map(|(gap, node)| (node, alike.raw(gap).into())).collect();
        }
    }

    /// Adds a chunk, if the plan is one for it; returns how many more bytes are held.
    #[inline]
    pub(super) fn add(&self, alike: &Alike<'_>, choices: &mut [(u64, Choice)]) -> Option<isize> {
        let Grown { node, target, choice, .. } = self.text;
        if Some(alike.fit().template) != self.template {
            return None;
        }
        let text = if alike.is_only_gap(node) { alike.string(0)? } else { self.find(alike)? };
        let choice = &mut choices.get_mut(choice)?.1;
        Some(match target {
            Target::Content => append(choice.content.get_or_insert_default(), &text),
            Target::Reasoning if text.is_empty() => 0,
            Target::Reasoning => choice.reasoning.push(&text),
            Target::Arguments(call) => choice.tool_calls.add_arguments(call, &text)?,
        })
    }

    /// The text of a chunk that differs elsewhere too, or nowhere.
    #[inline(never)]
    fn find<'a>(&self, alike: &Alike<'a>) -> Option<Cow<'a, str>> {
        let mut text = None;
        for (gap, node) in alike.gaps().enumerate() {
            if node == self.text.node {
                text = Some(gap);
            } else if Some(node) != self.padding {
                // What has become a gap since then was what the template has.
                let held = self.others.iter().find(|(other, _)| *other == node);
                if alike.raw(gap) != held.map_or_else(|| alike.template_raw(gap), |(_, held)| &**held) {
                    return None;
                }
            }
        }
        match text {
            Some(gap) => alike.string(gap),
            None => alike.fixed_string(self.text.node),
        }
    }
}
