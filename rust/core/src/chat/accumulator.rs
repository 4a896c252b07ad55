//! The accumulator: what the chunks so far add up to, and the limits on it.
//!
//! A chunk is taken whole or, where it is no JSON, not at all; the caller reads it first. Each byte of text is
//! copied once into the string it belongs to, so the cost of a response is linear in its length, however many
//! chunks it came in. A field that says the same as before costs a comparison.
//!
//! Rules for the response as a whole. `id`: the first that is not blank. `model`: the last, which is the one
//! that served; the first is kept beside it. `created`, `system_fingerprint`, `service_tier`: the last that
//! says anything. `usage`: the last that says anything, wherever it stands (top level, a choice, `x_groq`);
//! null and all zeros never replace a real one, and nothing is added up, since providers send running totals.
//! Other fields: see [`Extras`].

use std::borrow::Cow;

use crate::chat::choice::Fields;
use crate::chat::plan::{Change, Growth, Plan, Replaced};
use crate::chat::{Choice, Extras, ProviderError, Text};
use crate::json::{Alike, Kind, Shared, Value, is_zero};

/// What an accumulator may hold. What a call or a choice takes beside its text is not in the size of a message, so
/// there is a limit on how many there are, too.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In bytes, over all choices.
    pub max_message_size: usize,
    /// In each choice.
    pub max_tool_calls: usize,
    /// How many choices.
    pub max_choices: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A few images. The longest answers of text take a few hundred KiB.
            max_message_size: 64 * 1024 * 1024,
            // Models send a handful; many more are a model in a loop, or an attack.
            max_tool_calls: 1024,
            // As many as `OpenAI`'s API lets a request ask for.
            max_choices: 128,
        }
    }
}

/// The limit that a message went over, by the name that users know, and what it is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// The name.
    pub limit: &'static str,
    /// What it is set to.
    pub value: usize,
}

/// A text that each chunk makes grow.
#[derive(Debug)]
pub struct Growing<'a> {
    /// The string of a chunk that it grows by: the template, by its number, and the string's place among the values.
    pub by: (u32, usize),
    text: &'a mut Text,
    size: &'a mut isize,
    room: usize,
}

impl Growing<'_> {
    /// Adds a chunk by its string, which is UTF-8; false, and nothing has changed, if there is no room for it: then it
    /// has to be added by other means, to tell so.
    #[inline]
    pub fn push(&mut self, string: &[u8]) -> bool {
        let Some(room) = self.room.checked_sub(string.len()) else { return false };
        self.room = room;
        *self.size += self.text.push(string);
        true
    }
}

/// A response as far as it has come.
#[derive(Clone, Debug)]
pub struct Accumulator {
    limits: Limits,
    /// All choices are one: the request asked for one, and the provider misuses the index.
    merge_choices: bool,

    /// The first that is not blank.
    pub id: Option<Box<str>>,
    /// The first model named, if another one was named after it.
    first_model: Option<Box<str>>,
    /// The last model named.
    pub model: Option<Box<str>>,
    /// As raw JSON.
    pub created: Option<Box<str>>,
    /// The last one sent.
    pub system_fingerprint: Option<Box<str>>,
    /// The last one sent.
    pub service_tier: Option<Box<str>>,
    /// As raw JSON.
    pub usage: Option<Box<str>>,
    /// The first error that the provider reported.
    pub error: Option<Box<ProviderError>>,
    /// Top-level fields that nobody interprets.
    pub extras: Extras,
    /// By index, in ascending order.
    pub(super) choices: Vec<(u64, Choice)>,
    real_usage: bool,
    size: isize,
    /// The template that the last chunk was of, by its number, if that is known.
    template: Option<u32>,
    /// Where in that chunk the first value begins that is read again even where its bytes are the same: that of `choices`,
    /// `usage` or `x_groq`. The chunk's end if it has none of them.
    telling: usize,
    /// For chunks like the one that was added in full last.
    plan: Option<Plan>,
}

impl Accumulator {
    /// An accumulator of a new response.
    #[must_use]
    pub fn new(limits: Limits, merge_choices: bool) -> Self {
        Self {
            limits,
            merge_choices,
            id: None,
            first_model: None,
            model: None,
            created: None,
            system_fingerprint: None,
            service_tier: None,
            usage: None,
            error: None,
            extras: Extras::default(),
            choices: Vec::new(),
            real_usage: false,
            size: 0,
            template: None,
            telling: 0,
            plan: None,
        }
    }

    /// An accumulator of a new response, with the same limits.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.limits, self.merge_choices)
    }

    /// Takes one chunk. `event` is the type of the event that it came in. Anything but an object is passed
    /// over, unless it is an error.
    ///
    /// # Errors
    ///
    /// The message went over a limit. What came before is kept.
    pub fn add(&mut self, event: &str, chunk: Value<'_>) -> Result<(), OverLimit> {
        self.add_from(event, chunk, 0)
    }

    /// The same for a chunk of which it is known how far it is the same as every chunk of a template.
    ///
    /// # Errors
    ///
    /// As for `add`.
    pub fn add_sharing(&mut self, chunk: Value<'_>, shared: Option<Shared>) -> Result<(), OverLimit> {
        let shared = shared.filter(|shared| self.template == Some(shared.template));
        self.add_from("", chunk, shared.map_or(0, |shared| shared.len))
    }

    /// Takes a chunk that has its first `same` bytes in common with the one right before it.
    fn add_from(&mut self, event: &str, chunk: Value<'_>, same: usize) -> Result<(), OverLimit> {
        (self.template, self.plan) = (None, None);
        let (mut growth, mut padding) = (Growth::default(), None);
        let (mut choices, mut usage, mut groq_usage) = (None, None, None);
        // Looking for an error takes a second pass, so only where there may be one.
        let mut suspicious = event == "error" || chunk.kind() == Kind::Array;
        // A field that says what it said a chunk ago changes nothing: of each the first or the last value counts, and an
        // error would have been found. What may be said in several places has to be told apart again.
        let unchanged = same.min(self.telling);
        self.telling = chunk.end();
        for (key, value) in chunk.members_behind(unchanged) {
            if matches!(key, "choices" | "usage" | "x_groq") {
                self.telling = self.telling.min(value.start());
            } else if value.end() < same {
                continue;
            }
            match key {
                "object" => suspicious |= value.as_str().as_deref() == Some("error"),
                "error" => suspicious |= value.is_truthy(),
                "id" => {
                    if self.id.is_none() {
                        self.id = value.as_nonblank().map(|id| (*id).into());
                    }
                }
                "model" => {
                    if let Some(model) = other_text(self.model.as_deref(), value) {
                        let before = self.model.replace((*model).into());
                        self.first_model = self.first_model.take().or(before);
                    }
                }
                "system_fingerprint" => set_text(&mut self.system_fingerprint, value),
                "service_tier" => set_text(&mut self.service_tier, value),
                "created" => {
                    let new = self.created.as_deref() != Some(value.raw());
                    if new && value.kind() == Kind::Number && value.is_truthy() {
                        self.created = Some(value.raw().into());
                    }
                }
                "choices" => choices = Some(value),
                "usage" => usage = Some(value),
                "obfuscation" => padding = Some(value.node_number()),
                _ => {
                    match key {
                        "x_groq" => {
                            groq_usage = value.get("usage");
                            suspicious |= value.get("error").is_some();
                        }
                        "type" => suspicious = true,
                        _ => {}
                    }
                    self.size += self.extras.set(key, value);
                }
            }
        }
        if let Some(choices) = choices {
            for choice in choices.items().filter(|choice| choice.kind() == Kind::Object) {
                let choice = Fields::of(choice);
                suspicious |= choice.error.is_some_and(Value::is_truthy);
                self.add_choice(&choice, &mut growth)?;
                if let Some(usage) = choice.usage {
                    self.add_usage(usage);
                }
            }
        }
        if suspicious && self.error.is_none() {
            self.error = ProviderError::find(event, chunk).map(Box::new);
        }
        for usage in groq_usage.into_iter().chain(usage) {
            self.add_usage(usage);
        }
        self.plan = Plan::of(growth, padding);
        check("max_message_size", self.size.unsigned_abs(), self.limits.max_message_size)
    }

    /// Takes a chunk by what it has in common with one that was planned for. The result is that of
    /// [`add`](Self::add); None, and nothing has changed, if there is no plan for it.
    ///
    /// # Errors
    ///
    /// As for `add`.
    #[inline]
    pub fn add_alike(&mut self, alike: &Alike<'_>) -> Option<Result<(), OverLimit>> {
        let plan = self.plan.as_ref()?;
        self.size += plan.add(alike, &mut self.choices)?;
        for &(what, node) in &plan.replaced {
            let raw = &alike.value(node);
            match what {
                Replaced::Created if is_zero(raw) => {}
                Replaced::Created => set(&mut self.created, raw),
                Replaced::Usage => set(&mut self.usage, raw),
                Replaced::Extra(at) => self.size += self.extras.replace(at, raw),
            }
        }
        Some(check("max_message_size", self.size.unsigned_abs(), self.limits.max_message_size))
    }

    /// The text that chunks like the one that was added in full last make grow, if they do no more than that.
    pub fn growing(&mut self) -> Option<Growing<'_>> {
        let (text, by) = self.plan.as_ref()?.growing(&mut self.choices)?;
        let room = self.limits.max_message_size.checked_sub(usize::try_from(self.size).ok()?)?;
        Some(Growing { by, text, size: &mut self.size, room })
    }

    /// Whether there is a plan for chunks like the one that was added in full last.
    #[must_use]
    pub fn has_plan(&self) -> bool {
        self.plan.is_some()
    }

    /// Plans for what comes behind the chunk that has just been added in full. It is of this template; `alike` tells
    /// what it has in the gaps, unless it is the template's own text.
    pub fn plan(&mut self, chunk: Value<'_>, template: u32, alike: Option<&Alike<'_>>) {
        self.template = Some(template);
        if let Some(mut plan) = self.plan.take() {
            plan.set_template(self, chunk, template, alike);
            self.plan = Some(plan);
        }
    }

    /// What it means that a field of a chunk that was added changes, by the rules of [`add`](Self::add).
    pub(super) fn change_of(
        &self,
        key: &str,
        field: Value<'_>,
        changes: impl Fn(Value<'_>) -> bool,
    ) -> Change {
        match key {
            "id" if self.id.is_some() => Change::Ignored,
            "created" if field.kind() == Kind::Number => Change::Replaces(Replaced::Created),
            "created" | "obfuscation" => Change::Ignored,
            // Where a number that does not change makes it real, it stays so.
            "usage" if counts(field, |number| !changes(number)) => Change::Replaces(Replaced::Usage),
            // An error may be in these, so they are more than extras.
            "x_groq" | "type" => Change::Unknown,
            _ => self.extras.place(key).map_or(Change::Unknown, |at| Change::Replaces(Replaced::Extra(at))),
        }
    }

    /// The first model named.
    #[must_use]
    pub fn first_model(&self) -> Option<&str> {
        self.first_model.as_deref().or(self.model.as_deref())
    }

    /// The choices by index, in ascending order.
    pub fn choices(&self) -> impl Iterator<Item = (u64, &Choice)> {
        self.choices.iter().map(|(index, choice)| (*index, choice))
    }

    /// The choices, to give out their finished tool calls.
    pub fn choices_mut(&mut self) -> impl Iterator<Item = (u64, &mut Choice)> {
        self.choices.iter_mut().map(|(index, choice)| (*index, choice))
    }

    /// Whether any text has come for a message.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.choices.iter().any(|(_, choice)| choice.content.as_ref().is_some_and(|text| !text.is_empty()))
    }

    /// Whether any tool call has begun.
    #[must_use]
    pub fn has_tool_calls(&self) -> bool {
        self.choices.iter().any(|(_, choice)| choice.tool_calls.count() > 0)
    }

    /// Whether there is a choice, and each has a finish reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|(_, choice)| choice.finish_reason.is_some())
    }

    fn add_choice(&mut self, choice: &Fields<'_>, growth: &mut Growth) -> Result<(), OverLimit> {
        let index = Choice::index_of(choice.index, self.merge_choices);
        let at = match self.choices.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => at,
            Err(at) => {
                check("max_choices", self.choices.len() + 1, self.limits.max_choices)?;
                // Most responses have one choice, which is large: no room for more at once.
                self.choices.reserve_exact(1 + self.choices.len() / 2);
                self.choices.insert(at, (index, Choice::default()));
                at
            }
        };
        let mut more = Growth::default();
        self.size += self.choices[at].1.add(choice, &mut more);
        growth.and(more, at);
        let calls = self.choices[at].1.tool_calls.count();
        if calls > 0 {
            let (id, created) =
                (self.id.as_deref().unwrap_or_default(), self.created.as_deref().unwrap_or_default());
            let id_of = |ordinal| generated_id(id, created, index, ordinal);
            self.choices[at].1.tool_calls.generate_ids(id_of);
        }
        check("max_tool_calls", calls, self.limits.max_tool_calls)
    }

    fn add_usage(&mut self, usage: Value<'_>) {
        if usage.kind() != Kind::Object {
            return;
        }
        let real = counts(usage, |_| true);
        if real || !self.real_usage {
            set(&mut self.usage, usage.raw());
            self.real_usage = real;
        }
    }
}

fn check(limit: &'static str, is: usize, at_most: usize) -> Result<(), OverLimit> {
    if is > at_most { Err(OverLimit { limit, value: at_most }) } else { Ok(()) }
}

/// The id of a tool call that was sent without one of its own: the same stream gives the same ids.
fn generated_id(id: &str, created: &str, choice: u64, ordinal: usize) -> Box<str> {
    let seed = format!("{id}\n{created}\n{choice}\n{ordinal}");
    // FNV-1a: no secret is kept here, it only has to spread.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("call_{hash:016x}").into()
}

/// Whether any number in a usage object, of those that are to be looked at, is not zero.
fn counts(usage: Value<'_>, looked_at: impl Fn(Value<'_>) -> bool) -> bool {
    let counts = |value: Value<'_>| value.kind() == Kind::Number && value.is_truthy() && looked_at(value);
    let mut members = usage.members().map(|(_, value)| value);
    members.any(|value| counts(value) || value.members().any(|(_, value)| counts(value)))
}

fn set(held: &mut Option<Box<str>>, text: &str) {
    if held.as_deref() != Some(text) {
        *held = Some(text.into());
    }
}

fn set_text(held: &mut Option<Box<str>>, value: Value<'_>) {
    if let Some(text) = other_text(held.as_deref(), value) {
        *held = Some((*text).into());
    }
}

/// The text of a value, if it is another one than is held, and not blank.
fn other_text<'d>(held: Option<&str>, value: Value<'d>) -> Option<Cow<'d, str>> {
    // Nearly always it says what it said before. With a backslash in it, equal bytes are not the same text.
    if let (Some(held), [b'"', text @ .., b'"']) = (held, value.raw().as_bytes())
        && held.as_bytes() == text
        && !held.contains('\\')
    {
        return None;
    }
    value.as_nonblank().filter(|text| held != Some(&**text))
}
