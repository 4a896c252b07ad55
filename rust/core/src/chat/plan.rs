//! What to do with a chunk that is like the one before it but for one piece of text.
//!
//! Most chunks of a stream are that. Adding such a chunk again changes nothing but where the piece goes: every
//! other rule keeps the first or the last value of a field, and the values are the same as a chunk ago. So a
//! plan is made from a chunk that was added in full, and says where its only piece of text goes. It holds for the
//! chunks of the same template, as long as no other chunk is added in full.
//!
//! Some providers change another field with every chunk: `created`, running usage, fields of their own such as `p`.
//! Of these the last value counts, so the plan names them too, and each chunk replaces what is held.
//!
//! No plan is made where another field would grow by being added twice: a second text, a list of details,
//! annotations or log probabilities, more than one choice or call. Where any other value is known to change (the
//! index, as one tool call follows another), the plan holds as long as it does not.
//!
//! Some providers repeat the id of a tool call, and its name, with each fragment. By the rules of
//! [`ToolCalls`](crate::chat::ToolCalls) a fragment goes where the one before it with the same id, index and name
//! went; but where a name stands beside whole arguments, it may begin a new call, and the plan does not hold.

use std::borrow::Cow;

use crate::chat::{Accumulator, Choice};
use crate::json::{Alike, Kind, Value};

/// Where the text of a chunk goes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The template's.
    pub serial: u32,
    /// The accumulator's, when the plan was made.
    pub generation: u32,
    text: Text,
    /// What has to stand in other gaps, by their places among all.
    same: Box<[(usize, Box<[u8]>)]>,
    /// The fields that each chunk replaces, as numbers of nodes.
    pub replaced: Box<[(Replaced, usize)]>,
    /// The choice, as a place in the accumulator's list.
    choice: usize,
    target: Target,
}

#[derive(Clone, Debug)]
enum Text {
    /// In a gap, by its place among them.
    Gap(usize),
    /// The same each time.
    Fixed(Box<str>),
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

#[derive(Clone, Copy, Debug)]
enum Target {
    Content,
    Reasoning,
    /// The call, as a place in the choice's list; and whether its name is sent with each fragment.
    Arguments(usize, bool),
}

impl Plan {
    /// A plan from a chunk that has just been added in full.
    pub(super) fn of(alike: &Alike<'_>, chunk: Value<'_>, accumulator: &Accumulator) -> Option<Self> {
        let gap_of = |value: Value<'_>| alike.gaps().position(|node| node == value.node_number());
        let mut choices = chunk.get("choices").filter(|list| list.kind() == Kind::Array)?.items();
        let (choice, None) = (choices.next()?, choices.next()) else { return None };
        let at = accumulator.place_of(choice)?;
        let held = &accumulator.choices[at].1;
        let delta = choice.get("delta").filter(|delta| delta.kind() == Kind::Object)?;
        if choice.get("logprobs").is_some_and(|logprobs| !logprobs.is_null()) {
            return None;
        }
        let mut text = None;
        for (key, value) in delta.members() {
            let target = match &*key {
                _ if value.is_null() => continue,
                "content" => Target::Content,
                "reasoning" | "reasoning_content" => Target::Reasoning,
                "tool_calls" => {
                    if value.items().next().is_none() {
                        continue;
                    }
                    let (value, target) = fragment(value, held)?;
                    set_once(&mut text, value, target)?;
                    continue;
                }
                "refusal" if value.raw() == "\"\"" => continue,
                "refusal" | "reasoning_details" | "function_call" | "audio" | "annotations" => return None,
                _ => continue,
            };
            if value.kind() != Kind::String {
                return None;
            }
            if value.raw() != "\"\"" || gap_of(value).is_some() {
                set_once(&mut text, value, target)?;
            }
        }
        let (value, target) = text?;
        let mut same: Vec<(usize, Box<[u8]>)> = Vec::new();
        let mut replaced: Vec<(Replaced, usize)> = Vec::new();
        for (gap, node) in alike.gaps().enumerate().filter(|&(_, node)| node != value.node_number()) {
            let field = chunk.members().find(|(_, field)| field.holds(node));
            match field.map(|(key, field)| (accumulator.change_of(&key, field, gap_of), field.node_number()))
            {
                Some((Change::Ignored, _)) => {}
                Some((Change::Replaces(what), field)) => {
                    // Several gaps may be in one field.
                    if replaced.last().is_none_or(|&(_, last)| last != field) {
                        replaced.push((what, field));
                    }
                }
                Some((Change::Unknown, _)) | None => same.push((gap, alike.raw(gap).into())),
            }
        }
        let text = match gap_of(value) {
            Some(gap) => Text::Gap(gap),
            None => Text::Fixed((*value.as_str()?).into()),
        };
        let (serial, generation) = (alike.fit().serial, accumulator.generation);
        let (same, replaced) = (same.into(), replaced.into());
        Some(Self { serial, generation, text, same, replaced, choice: at, target })
    }

    /// Adds a chunk of the same template, if the plan holds for it; returns how many more bytes are held.
    #[inline]
    pub(super) fn add(&self, alike: &Alike<'_>, choices: &mut [(u64, Choice)]) -> Option<isize> {
        if self.same.iter().any(|(gap, held)| alike.raw(*gap) != &**held) {
            return None;
        }
        let text = match &self.text {
            Text::Gap(gap) => alike.string(*gap)?,
            Text::Fixed(text) => Cow::Borrowed(&**text),
        };
        let choice = &mut choices.get_mut(self.choice)?.1;
        Some(match self.target {
            Target::Content => {
                choice.content.get_or_insert_default().push_str(&text);
                text.len().cast_signed()
            }
            Target::Reasoning if text.is_empty() => 0,
            Target::Reasoning => choice.reasoning.push(&text),
            Target::Arguments(call, named) => choice.tool_calls.add_arguments(call, named, &text)?,
        })
    }
}

fn set_once<'d>(text: &mut Option<(Value<'d>, Target)>, value: Value<'d>, target: Target) -> Option<()> {
    text.is_none().then(|| *text = Some((value, target)))
}

/// The arguments of the only fragment, and where they went.
fn fragment<'d>(list: Value<'d>, held: &Choice) -> Option<(Value<'d>, Target)> {
    let mut items = list.items();
    let (call, None) = (items.next()?, items.next()) else { return None };
    let function = call.get("function").filter(|function| function.kind() == Kind::Object)?;
    let arguments = function.get("arguments").filter(|arguments| arguments.kind() == Kind::String)?;
    let named = function.get("name").is_some_and(|name| !name.is_null() && name.raw() != "\"\"");
    let at = held.tool_calls.newest_touched().filter(|_| call.get("custom").is_none())?;
    Some((arguments, Target::Arguments(at, named)))
}
