//! What to do with a chunk that is like the one before it but for one piece of text.
//!
//! Most chunks of a stream are that. Adding such a chunk changes nothing but where the piece goes: every other rule
//! keeps the first or the last value of a field, and the values are the same as a chunk ago. So while a chunk is
//! added in full, it is noted what it made grow ([`Growth`]). Where that is one text at most, the note is a plan for
//! the chunks of the same template: it says where their text goes. It holds until another chunk is added in full.
//!
//! Some providers change another field with every chunk: `created`, running usage, fields of their own such as `p`.
//! Of these the last value counts, so the plan names them too, and each chunk replaces what is held.
//!
//! No plan is made where another field would grow by being added twice: a second text, a list of details,
//! annotations or log probabilities, more than one choice or call. Any other value that is known to change (the
//! index, as one tool call follows another) has to be what it was.
//!
//! Some providers repeat the id of a tool call, and its name, with each fragment. By the rules of
//! [`ToolCalls`](crate::chat::ToolCalls) a fragment goes where the one before it with the same id, index and name
//! went; but where a name stands beside whole arguments, it may begin a new call, and the plan does not hold. None is
//! made where the id, without an index, leads back to an earlier call than the one that the fragment has begun.

use std::borrow::Cow;

use crate::chat::{Accumulator, Choice, Text};
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
    /// The text is empty: any other text of the chunk takes its place in this note.
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
    /// The call, as a place in the choice's list; and whether its name is sent with each fragment.
    Arguments(usize, bool),
}

/// What it means that a field of a chunk changes.
pub(super) enum Change {
    /// Nothing.
    Ignored,
    Replaces(Replaced),
    /// The chunk has to be added in full.
    Unknown,
}

/// A field of which the last value counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Replaced {
    Created,
    Usage,
    /// A field that nobody interprets, by its place among these.
    Extra(usize),
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
    pub(super) fn fragment(&mut self, arguments: Value<'_>, call: usize, named: bool) {
        let target = Target::Arguments(call, named);
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

/// What has to stand in a gap; None where that does not matter.
type Needed = Option<Box<[u8]>>;

/// Where the text of a chunk goes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The template, by its number, once it is known.
    template: Option<u32>,
    text: Grown,
    /// A value that may change and is nowhere kept.
    padding: Option<usize>,
    /// What has to stand in other gaps, by their values.
    others: Box<[(usize, Needed)]>,
    /// The fields that each chunk replaces, by their values.
    pub replaced: Box<[(Replaced, usize)]>,
}

impl Plan {
    /// A plan from what a chunk has made grow. It is not one for any template yet.
    pub(super) fn of(growth: Growth, padding: Option<usize>) -> Option<Self> {
        let Growth::Text(text) = growth else { return None };
        Some(Self { template: None, text, padding, others: Box::default(), replaced: Box::default() })
    }

    /// Makes it a plan for the template that the chunk is of, which the accumulator has just added in full. `alike`
    /// tells what the chunk has in the gaps; without it, the template is the chunk itself.
    pub(super) fn set_template(
        &mut self,
        accumulator: &Accumulator,
        chunk: Value<'_>,
        template: u32,
        alike: Option<&Alike<'_>>,
    ) {
        self.template = Some(template);
        let Some(alike) = alike else { return };
        let is_gap = |value: Value<'_>| alike.gaps().any(|node| node == value.node_number());
        let (mut others, mut replaced): (Vec<_>, Vec<(Replaced, usize)>) = Default::default();
        let gaps = alike.gaps().enumerate();
        for (gap, node) in gaps.filter(|&(_, node)| node != self.text.node && Some(node) != self.padding) {
            let field = chunk.member_holding(node);
            let change =
                field.map(|(key, field)| (accumulator.change_of(key, field, is_gap), field.node_number()));
            let needed = match change {
                Some((Change::Ignored, _)) => None,
                Some((Change::Replaces(what), field)) => {
                    // Several gaps may be in one field.
                    if replaced.last().is_none_or(|&(_, last)| last != field) {
                        replaced.push((what, field));
                    }
                    None
                }
                Some((Change::Unknown, _)) | None => Some(alike.raw(gap).into()),
            };
            others.push((node, needed));
        }
        (self.others, self.replaced) = (others.into(), replaced.into());
    }

    /// The text that grows, and the string that it grows by, given by its template and its place among the values. None
    /// if that is no more than text, or none has come.
    pub(super) fn growing<'a>(
        &self,
        choices: &'a mut [(u64, Choice)],
    ) -> Option<(&'a mut Text, (u32, usize))> {
        let Grown { node, target, choice, .. } = self.text;
        let choice = &mut choices.get_mut(choice)?.1;
        let text = match target {
            Target::Content => choice.content.as_mut(),
            Target::Reasoning => choice.reasoning.text.as_mut(),
            Target::Arguments(..) => None,
        };
        Some((text?, (self.template?, node)))
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
            Target::Content => choice.content.get_or_insert_default().push(&text),
            Target::Reasoning if text.is_empty() => 0,
            Target::Reasoning => choice.reasoning.push(&text),
            Target::Arguments(call, named) => {
                choice.tool_calls.add_arguments(call, named, str::from_utf8(&text).ok()?)?
            }
        })
    }

    /// The text of a chunk that differs elsewhere too, or nowhere.
    #[inline(never)]
    fn find<'a>(&self, alike: &Alike<'a>) -> Option<Cow<'a, [u8]>> {
        let mut text = None;
        for (gap, node) in alike.gaps().enumerate() {
            if node == self.text.node {
                text = Some(gap);
            } else if Some(node) != self.padding {
                let needed = match self.others.iter().find(|(other, _)| *other == node) {
                    Some((_, None)) => continue,
                    Some((_, Some(needed))) => needed,
                    // What has become a gap since then was what the template has.
                    None => alike.template_raw(gap),
                };
                if alike.raw(gap) != needed {
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
