//! What to do with a chunk that is like the one before it but for one piece of text.
//!
//! Most chunks of a stream are that. Adding such a chunk again changes nothing but where the piece goes: every
//! other rule keeps the first or the last value of a field, and the values are the same as a chunk ago. So a
//! plan is made from a chunk that was added in full, and says where its only piece of text goes. It holds until
//! a chunk comes that is different in anything else.
//!
//! No plan is made where another field would grow by being added twice: a second text, a list of details,
//! annotations or log probabilities, an id or name of a tool call, more than one choice or call.

use crate::chat::{Accumulator, Choice};
use crate::json::{Kind, Value};

/// Where the text of a chunk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The value with the text.
    node: usize,
    /// Padding, which says nothing.
    padding: Option<usize>,
    /// The choice, as a place in the accumulator's list.
    choice: usize,
    target: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Content,
    Reasoning,
    /// The call, as a place in the choice's list.
    Arguments(usize),
}

impl Plan {
    /// A plan from a chunk that has just been added in full.
    pub(super) fn of(chunk: Value<'_>, accumulator: &Accumulator) -> Option<Self> {
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
                    let (value, call) = fragment(value, held)?;
                    set_once(&mut text, value.node_number(), Target::Arguments(call))?;
                    continue;
                }
                "refusal" if value.raw() == "\"\"" => continue,
                "refusal" | "reasoning_details" | "function_call" | "audio" | "annotations" => return None,
                _ => continue,
            };
            if value.kind() != Kind::String {
                return None;
            }
            if value.raw() != "\"\"" {
                set_once(&mut text, value.node_number(), target)?;
            }
        }
        let (node, target) = text?;
        let padding = chunk.get("obfuscation").map(Value::node_number);
        Some(Self { node, padding, choice: at, target })
    }

    /// Adds a chunk that differs from the one before it in the values `changed`, if those are the text alone;
    /// returns how many more bytes are held.
    pub(super) fn add(
        &self,
        chunk: Value<'_>,
        changed: &[u32],
        choices: &mut [(u64, Choice)],
    ) -> Option<isize> {
        let known = |node: &u32| *node as usize == self.node || Some(*node as usize) == self.padding;
        if !changed.iter().all(known) {
            return None;
        }
        let text = chunk.sibling(self.node).as_str()?;
        let choice = &mut choices.get_mut(self.choice)?.1;
        Some(match self.target {
            Target::Content => {
                choice.content.get_or_insert_default().push_str(&text);
                text.len().cast_signed()
            }
            Target::Reasoning => choice.reasoning.push(&text),
            Target::Arguments(call) => choice.tool_calls.add_arguments(call, &text)?,
        })
    }
}

fn set_once(text: &mut Option<(usize, Target)>, node: usize, target: Target) -> Option<()> {
    text.is_none().then(|| *text = Some((node, target)))
}

/// The arguments of a fragment that has no more than these, and the call to which they went.
fn fragment<'d>(list: Value<'d>, held: &Choice) -> Option<(Value<'d>, usize)> {
    let mut items = list.items();
    let (call, None) = (items.next()?, items.next()) else { return None };
    let blank = |value: Option<Value<'_>>| value.is_none_or(|value| value.is_null() || value.raw() == "\"\"");
    let function = call.get("function").filter(|function| function.kind() == Kind::Object)?;
    let arguments = function.get("arguments").filter(|arguments| arguments.kind() == Kind::String)?;
    let plain = blank(call.get("id")) && blank(function.get("name")) && call.get("custom").is_none();
    plain.then(|| Some((arguments, held.tool_calls.newest_touched()?)))?
}
