//! JSON objects as immutable Python objects with attributes: how all objects of a chat are made.
//!
//! A text is first translated, by the tables of `class`, into a shape: a list of steps that make its objects, each
//! in front of those that make its fields. Then the steps are run. The next text of the same template (see the
//! core's `json/template`) has the same shape but for what stands in the gaps, so for it the steps are just run
//! again: strings and numbers that do not change are made once, and given to each chunk. Lists and dicts are made
//! anew each time, since whoever gets one may change it; a dict is a copy, with what changes put in.
//!
//! The fields that a class names are slots. Others that were sent are made as well, and kept in a dict that nobody
//! can get at but by their names. A text for which no class is wanted is a dict as a whole.

use std::collections::VecDeque;
use std::slice;

use deltawire_core::json::{Alike, Fit, Kind, Scalar, Value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PySystemError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::class::{Class, How, MAX_FIELDS};
use crate::json_parser::orjson_loads;
use crate::object;
use crate::raw::{self, NewRecord, Origin, text};

/// Whether a tool call's arguments are whole, and what had to be put right.
pub type CallFacts = (bool, Vec<String>);

/// A step that makes one value.
enum Step {
    /// The same each time: a scalar that does not change, or None where nothing was sent.
    Same(Py<PyAny>),
    /// What stands in a gap, by its place among them.
    Gap(usize),
    /// A list of the next so many values.
    List(usize),
    /// A dict.
    Dict(Box<Members>),
    /// A list without a class.
    Array(Vec<Step>),
    /// An object of a class; the next values are its fields.
    Object {
        class: &'static Class,
        start: usize,
        end: usize,
        extras: Option<Box<Members>>,
    },
    Complete,
    Repairs,
}

/// Members of an object that become a dict.
struct Members {
    /// With all keys, and the values that are the same each time.
    same: Py<PyDict>,
    /// The others.
    fresh: Vec<(Py<PyString>, Step)>,
}

/// The steps that make a text of one template.
struct Shape {
    /// The serial of the template's gaps.
    serial: u32,
    steps: Vec<Step>,
}

/// Translates a text into steps.
struct Translation<'a, 'py> {
    py: Python<'py>,
    /// The values that are in gaps, as numbers of nodes.
    gaps: &'a [usize],
}

/// The shapes of a parser's templates.
#[derive(Default)]
pub struct Shapes(Vec<Option<Shape>>);

/// What the steps are run on.
pub struct Text<'a, 'py> {
    pub json: &'a Bound<'py, PyBytes>,
    /// What was sent, where that was no valid UTF-8.
    pub sent: Option<&'a Bound<'py, PyBytes>>,
    /// How it is like the text of which the shape was made.
    pub alike: Option<Alike<'a>>,
    /// What is known of the tool calls beside their text, in the order in which they stand in it.
    pub calls: VecDeque<CallFacts>,
}

/// An object of a class from a value of a text.
pub fn make<'py>(
    class: &'static Class,
    value: Option<Value<'_>>,
    mut text: Text<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let steps = Translation { py: text.json.py(), gaps: &[] }.steps(class, value)?;
    run(&mut steps.iter(), &mut text)
}

impl Shapes {
    /// Whether the template's shape is known.
    #[inline]
    pub fn knows(&self, fit: Fit) -> bool {
        matches!(self.0.get(fit.slot), Some(Some(shape)) if shape.serial == fit.serial)
    }

    /// Finds the shape of a template, from the text that it was made of and the numbers of the nodes in its gaps.
    /// Without a class, it is that of a dict.
    pub fn learn(
        &mut self,
        py: Python<'_>,
        fit: Fit,
        class: Option<&'static Class>,
        template: Value<'_>,
        gaps: &[usize],
    ) -> PyResult<()> {
        let translation = Translation { py, gaps };
        let mut steps = match class {
            Some(class) => translation.steps(class, Some(template))?,
            None => vec![translation.plain(Some(template))?],
        };
        // As much memory as it takes, and no more: it is kept as long as the stream lasts.
        steps.shrink_to_fit();
        if self.0.len() <= fit.slot {
            self.0.reserve_exact(1);
            self.0.resize_with(fit.slot + 1, || None);
        }
        self.0[fit.slot] = Some(Shape { serial: fit.serial, steps });
        Ok(())
    }

    /// What a text becomes that fits a template whose shape is known.
    pub fn make<'py>(&self, json: &Bound<'py, PyBytes>, alike: Alike<'_>) -> PyResult<Bound<'py, PyAny>> {
        let Some(Some(shape)) = self.0.get(alike.fit().slot) else {
            return Err(PySystemError::new_err("the shape of a template is not known"));
        };
        let mut text = Text { json, sent: None, alike: Some(alike), calls: VecDeque::new() };
        run(&mut shape.steps.iter(), &mut text)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Translation<'_, '_> {
    fn steps(&self, class: &'static Class, value: Option<Value<'_>>) -> PyResult<Vec<Step>> {
        let mut steps = Vec::with_capacity(32);
        self.object(&mut steps, class, value.filter(|value| value.kind() == Kind::Object))?;
        Ok(steps)
    }

    fn object(
        &self,
        steps: &mut Vec<Step>,
        class: &'static Class,
        object: Option<Value<'_>>,
    ) -> PyResult<()> {
        let (start, end) = object.map_or((0, 0), |object| (object.start(), object.end()));
        let at = steps.len();
        steps.push(Step::Object { class, start, end, extras: None });
        let mut fields = [None; MAX_FIELDS];
        let mut found: Option<Box<Members>> = None;
        for (name, value) in object.into_iter().flat_map(Value::members) {
            match class.field(name) {
                Some(field) => fields[field] = Some(value),
                None if object::is_taken(name) => {}
                None => {
                    let members = found.get_or_insert_with(|| Box::new(Members::new(self.py)));
                    self.member(members, name, value)?;
                }
            }
        }
        if let Step::Object { extras, .. } = &mut steps[at] {
            *extras = found;
        }
        for (&(_, how), value) in class.fields.iter().zip(fields) {
            self.field(steps, how, value)?;
        }
        Ok(())
    }

    fn field(&self, steps: &mut Vec<Step>, how: How, value: Option<Value<'_>>) -> PyResult<()> {
        let kind = value.map(Value::kind);
        match how {
            How::Object(class) => {
                return self.object(steps, class, value.filter(|_| kind == Some(Kind::Object)));
            }
            How::Optional(class) if kind == Some(Kind::Object) => return self.object(steps, class, value),
            How::List(class) | How::ListAlways(class) if kind == Some(Kind::Array) => {
                let at = steps.len();
                steps.push(Step::List(0));
                let mut count = 0;
                for item in value.into_iter().flat_map(Value::items).filter(|it| it.kind() == Kind::Object) {
                    count += 1;
                    self.object(steps, class, Some(item))?;
                }
                steps[at] = Step::List(count);
            }
            How::ListAlways(_) => steps.push(Step::List(0)),
            How::Complete => steps.push(Step::Complete),
            How::Repairs => steps.push(Step::Repairs),
            How::Plain | How::Optional(_) | How::List(_) => steps.push(self.plain(value)?),
        }
        Ok(())
    }

    /// A value without a class.
    fn plain(&self, value: Option<Value<'_>>) -> PyResult<Step> {
        let Some(value) = value else { return Ok(Step::Same(self.py.None())) };
        Ok(match value.kind() {
            Kind::Array => {
                Step::Array(value.items().map(|item| self.plain(Some(item))).collect::<PyResult<_>>()?)
            }
            Kind::Object => {
                let mut members = Members::new(self.py);
                for (name, value) in value.members() {
                    self.member(&mut members, name, value)?;
                }
                Step::Dict(Box::new(members))
            }
            _ => match self.gaps.iter().position(|&node| node == value.node_number()) {
                Some(gap) => Step::Gap(gap),
                None => Step::Same(scalar(self.py, value)?.unbind()),
            },
        })
    }

    fn member(&self, members: &mut Members, name: &str, value: Value<'_>) -> PyResult<()> {
        // The streams of a process have the same few names.
        let name = PyString::intern(self.py, name);
        let step = self.plain(Some(value))?;
        let same = members.same.bind(self.py);
        if let Step::Same(value) = step {
            return same.set_item(name, value);
        }
        // Its place is kept: the keys of a dict have the order of the text.
        same.set_item(&name, self.py.None())?;
        members.fresh.push((name.unbind(), step));
        Ok(())
    }
}

impl Members {
    fn new(py: Python<'_>) -> Self {
        Self { same: PyDict::new(py).unbind(), fresh: Vec::new() }
    }

    fn copy<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let copy = self.same.bind(text.json.py()).copy()?;
        for (name, step) in &self.fresh {
            copy.set_item(name, step.make(text)?)?;
        }
        Ok(copy)
    }

    /// The dict, for those who cannot change it.
    fn make<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        if self.fresh.is_empty() { Ok(self.same.bind(text.json.py()).clone()) } else { self.copy(text) }
    }
}

impl Step {
    fn make<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        run(&mut slice::from_ref(self).iter(), text)
    }
}

impl Text<'_, '_> {
    /// Where a place of the text that the shape was made of is in this one.
    fn moved(&self, place: usize) -> usize {
        self.alike.map_or(place, |alike| alike.moved(place))
    }
}

fn run<'py>(steps: &mut slice::Iter<'_, Step>, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = text.json.py();
    Ok(match steps.next() {
        None => py.None().into_bound(py),
        Some(Step::Same(value)) => value.bind(py).clone(),
        Some(&Step::Gap(gap)) => match text.alike.and_then(|alike| alike.scalar(gap)) {
            Some(Scalar::String(content)) => raw::text(py, content.as_bytes())?.into_any(),
            Some(Scalar::Number(digits)) => number(py, digits)?,
            None => py.None().into_bound(py),
        },
        Some(Step::Dict(members)) => members.copy(text)?.into_any(),
        Some(Step::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| item.make(text)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any()
        }
        Some(&Step::List(1)) => PyList::new(py, [run(steps, text)?])?.into_any(),
        Some(&Step::List(count)) => {
            let items: Vec<_> = (0..count).map(|_| run(steps, text)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any()
        }
        Some(&Step::Object { class, start, end, ref extras }) => {
            let sent = text.sent.filter(|_| start == 0 && end > 0);
            let origin = Origin { text: text.json, sent, start: text.moved(start), end: text.moved(end) };
            let mut record = NewRecord::new(class.record(py)?, &origin)?;
            for _ in class.fields {
                // Most fields are that, so it is not worth a call.
                record.push(if let Some(Step::Same(value)) = steps.as_slice().first() {
                    steps.next();
                    value.bind(py).clone()
                } else {
                    run(steps, text)?
                });
            }
            let extras = extras.as_ref().map(|extras| extras.make(text)).transpose()?;
            record.finish(extras)
        }
        Some(Step::Complete) => {
            text.calls.front().is_none_or(|(complete, _)| *complete).into_bound_py_any(py)?
        }
        Some(Step::Repairs) => {
            let (_, repairs) = text.calls.pop_front().unwrap_or_default();
            PyTuple::new(py, repairs)?.into_any()
        }
    })
}

/// A scalar as orjson would give it.
fn scalar<'py>(py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value.kind() {
        Kind::String => text(py, value.as_str().unwrap_or_default().as_bytes())?.into_any(),
        Kind::Number => number(py, value.raw())?,
        Kind::Bool => (value.raw() == "true").into_bound_py_any(py)?,
        _ => py.None().into_bound(py),
    })
}

fn number<'py>(py: Python<'py>, digits: &str) -> PyResult<Bound<'py, PyAny>> {
    match digits.parse::<i64>() {
        Ok(number) => number.into_bound_py_any(py),
        Err(_) => orjson_loads(py)?.call1((PyBytes::new(py, digits.as_bytes()),)),
    }
}
