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

use deltawire_core::json::{Alike, Kind, Learned, MAX_TEMPLATES, Scalar, Value};
use pyo3::IntoPyObjectExt;
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
    /// A scalar; None where nothing was sent.
    Scalar {
        value: Py<PyAny>,
        /// Which value of the text.
        node: Option<usize>,
        /// The gap that it stands in, by its place among them: then it is made anew.
        gap: Option<usize>,
    },
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
    parts: Vec<(Py<PyString>, Step)>,
    /// Those parts that are made anew.
    fresh: Vec<usize>,
}

/// The steps that make a text of one template.
struct Shape {
    template: u32,
    serial: u32,
    steps: Vec<Step>,
}

/// The shapes of a parser's templates.
#[derive(Default)]
pub struct Shapes([Option<Shape>; MAX_TEMPLATES]);

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
    Shape::of(text.json.py(), class, value)?.run(&mut text)
}

impl Shapes {
    /// An object from a text that was parsed, and became a template if that is given.
    pub fn learn<'py>(
        &mut self,
        class: &'static Class,
        value: Value<'_>,
        learned: Option<Learned>,
        mut text: Text<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut shape = Shape::of(text.json.py(), class, Some(value))?;
        let made = shape.run(&mut text)?;
        if let Some(Learned { slot, template }) = learned {
            (shape.template, shape.serial) = (template, template);
            self.0[slot] = Some(shape);
        }
        Ok(made)
    }

    /// An object from a text that is like an earlier one.
    pub fn like<'py>(
        &mut self,
        class: &'static Class,
        json: &Bound<'py, PyBytes>,
        alike: Alike<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fit = alike.fit();
        let held = &mut self.0[fit.slot];
        if held.as_ref().is_none_or(|shape| shape.template != fit.template) {
            let shape = Shape::of(json.py(), class, Some(alike.template()))?;
            *held = Some(Shape { template: fit.template, ..shape });
        }
        let Some(shape) = held else { return Ok(json.py().None().into_bound(json.py())) };
        if shape.serial != fit.serial {
            shape.settle(&alike);
        }
        shape.run(&mut Text { json, sent: None, alike: Some(alike), calls: VecDeque::new() })
    }

    /// A dict from a text that is like an earlier one.
    pub fn decode<'py>(&mut self, py: Python<'py>, alike: Alike<'_>) -> PyResult<Bound<'py, PyAny>> {
        let fit = alike.fit();
        let held = &mut self.0[fit.slot];
        if held.as_ref().is_none_or(|shape| shape.template != fit.template) {
            let steps = vec![Step::plain(py, Some(alike.template()))?];
            *held = Some(Shape { template: fit.template, serial: 0, steps });
        }
        let Some(shape) = held else { return Ok(py.None().into_bound(py)) };
        if shape.serial != fit.serial {
            shape.settle(&alike);
        }
        let json = PyBytes::new(py, b"");
        shape.run(&mut Text { json: &json, sent: None, alike: Some(alike), calls: VecDeque::new() })
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Shape {
    fn of(py: Python<'_>, class: &'static Class, value: Option<Value<'_>>) -> PyResult<Self> {
        let mut shape = Self { template: 0, serial: 0, steps: Vec::with_capacity(32) };
        shape.object(py, class, value.filter(|value| value.kind() == Kind::Object))?;
        Ok(shape)
    }

    fn object(&mut self, py: Python<'_>, class: &'static Class, object: Option<Value<'_>>) -> PyResult<()> {
        let (start, end) = object.map_or((0, 0), |object| (object.start(), object.end()));
        let at = self.steps.len();
        self.steps.push(Step::Object { class, start, end, extras: None });
        let mut fields = [None; MAX_FIELDS];
        let mut found: Option<Box<Members>> = None;
        for (name, value) in object.into_iter().flat_map(Value::members) {
            match class.field(&name) {
                Some(field) => fields[field] = Some(value),
                None if object::is_taken(&name) => {}
                None => found.get_or_insert_with(|| Box::new(Members::new(py))).add(py, &name, value)?,
            }
        }
        if let Step::Object { extras, .. } = &mut self.steps[at] {
            *extras = found;
        }
        for (&(_, how), value) in class.fields.iter().zip(fields) {
            self.field(py, how, value)?;
        }
        Ok(())
    }

    fn field(&mut self, py: Python<'_>, how: How, value: Option<Value<'_>>) -> PyResult<()> {
        let kind = value.map(Value::kind);
        match how {
            How::Object(class) => self.object(py, class, value.filter(|_| kind == Some(Kind::Object))),
            How::Optional(class) if kind == Some(Kind::Object) => self.object(py, class, value),
            How::List(class) | How::ListAlways(class) if kind == Some(Kind::Array) => {
                let at = self.steps.len();
                self.steps.push(Step::List(0));
                let mut count = 0;
                for item in value.into_iter().flat_map(Value::items).filter(|it| it.kind() == Kind::Object) {
                    count += 1;
                    self.object(py, class, Some(item))?;
                }
                self.steps[at] = Step::List(count);
                Ok(())
            }
            How::ListAlways(_) => {
                self.steps.push(Step::List(0));
                Ok(())
            }
            How::Complete => {
                self.steps.push(Step::Complete);
                Ok(())
            }
            How::Repairs => {
                self.steps.push(Step::Repairs);
                Ok(())
            }
            How::Plain | How::Optional(_) | How::List(_) => {
                self.steps.push(Step::plain(py, value)?);
                Ok(())
            }
        }
    }

    /// Takes note of where the gaps are.
    fn settle(&mut self, alike: &Alike<'_>) {
        let gap_of = |node| alike.gaps().position(|gap| gap == node);
        for step in &mut self.steps {
            step.settle(&gap_of);
        }
        self.serial = alike.fit().serial;
    }

    fn run<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        run(&mut self.steps.iter(), text)
    }
}

impl Members {
    fn new(py: Python<'_>) -> Self {
        Self { same: PyDict::new(py).unbind(), parts: Vec::new(), fresh: Vec::new() }
    }

    fn add(&mut self, py: Python<'_>, name: &str, value: Value<'_>) -> PyResult<()> {
        let name = text(py, name.as_bytes())?;
        let step = Step::plain(py, Some(value))?;
        // Of what is made anew, the place is kept: the keys of a dict have the order of the text.
        let none = py.None();
        self.same
            .bind(py)
            .set_item(&name, if let Step::Scalar { value, .. } = &step { value } else { &none })?;
        if step.is_fresh() {
            self.fresh.push(self.parts.len());
        }
        self.parts.push((name.unbind(), step));
        Ok(())
    }

    fn settle(&mut self, gap_of: &impl Fn(usize) -> Option<usize>) {
        for (_, step) in &mut self.parts {
            step.settle(gap_of);
        }
        self.fresh.clear();
        self.fresh.extend((0..self.parts.len()).filter(|&at| self.parts[at].1.is_fresh()));
    }

    fn copy<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let copy = self.same.bind(text.json.py()).copy()?;
        for &at in &self.fresh {
            let (name, step) = &self.parts[at];
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
    fn plain(py: Python<'_>, value: Option<Value<'_>>) -> PyResult<Self> {
        let Some(value) = value else { return Ok(Self::Scalar { value: py.None(), node: None, gap: None }) };
        Ok(match value.kind() {
            Kind::Array => {
                Self::Array(value.items().map(|item| Self::plain(py, Some(item))).collect::<PyResult<_>>()?)
            }
            Kind::Object => {
                let mut members = Members::new(py);
                for (name, value) in value.members() {
                    members.add(py, &name, value)?;
                }
                Self::Dict(Box::new(members))
            }
            _ => Self::Scalar {
                value: scalar(py, value)?.unbind(),
                node: Some(value.node_number()),
                gap: None,
            },
        })
    }

    fn is_fresh(&self) -> bool {
        !matches!(self, Self::Scalar { gap: None, .. })
    }

    /// Takes note of where the gaps are.
    fn settle(&mut self, gap_of: &impl Fn(usize) -> Option<usize>) {
        match self {
            Self::Scalar { node: Some(node), gap, .. } => *gap = gap_of(*node),
            Self::Dict(members) | Self::Object { extras: Some(members), .. } => members.settle(gap_of),
            Self::Array(items) => items.iter_mut().for_each(|item| item.settle(gap_of)),
            _ => {}
        }
    }

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
        Some(Step::Scalar { value, gap, .. }) => match gap.zip(text.alike) {
            None => value.bind(py).clone(),
            Some((gap, alike)) => match alike.scalar(gap) {
                Some(Scalar::String(content)) => raw::text(py, content.as_bytes())?.into_any(),
                Some(Scalar::Number(digits)) => number(py, digits)?,
                None => py.None().into_bound(py),
            },
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
                record.push(run(steps, text)?);
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
