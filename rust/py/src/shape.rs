//! JSON objects as immutable Python objects with attributes: how all objects of a chat are made.
//!
//! A text is first translated, by the tables of `class`, into a shape: a list of steps that make its objects, each
//! in front of those that make its fields. Then the steps are run. The next text of the same template (see the
//! core's `json/template`) has the same shape but for what stands in the gaps, so for it the steps are just run
//! again: strings and numbers that do not change are made once, and given to each chunk. Containers are made anew
//! each time, since a list or a dict may be changed by whoever gets it.
//!
//! The fields that a class names are slots. Others that were sent are made as well, and kept in a dict that nobody
//! can get at but by their names.

use std::collections::VecDeque;
use std::slice;

use deltawire_core::json::{Alike, Kind, MAX_TEMPLATES, Scalar, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::class::{Class, How, MAX_FIELDS};
use crate::json_parser::orjson_loads;
use crate::object;
use crate::raw::{NewRecord, Origin, text};

/// Whether a tool call's arguments are whole, and what had to be put right.
pub type CallFacts = (bool, Vec<String>);

/// A step that makes one value.
enum Step {
    /// The same each time: nothing was sent, or a scalar that is in no gap.
    Same(Py<PyAny>),
    /// What stands in a gap, by its place among them.
    Gap(usize),
    /// An array or object without a class, from its text.
    Fresh {
        start: usize,
        end: usize,
    },
    /// A list of the next so many values.
    List(usize),
    /// An object of a class; the next values are its fields.
    Object {
        class: &'static Class,
        start: usize,
        end: usize,
        extras: Option<Box<Extras>>,
    },
    Complete,
    Repairs,
}

/// The fields that a class does not name.
struct Extras {
    /// With all that are the same each time.
    same: Py<PyDict>,
    /// The others: a name, and how to make the value.
    others: Vec<(Py<PyString>, Step)>,
    /// All scalars, by the numbers of their nodes.
    scalars: Vec<(usize, Py<PyString>)>,
}

/// The steps that make a text of one template.
struct Shape {
    template: u32,
    serial: u32,
    steps: Vec<Step>,
    /// Which value of the text a step makes, if it is a scalar.
    nodes: Vec<Option<usize>>,
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
        template: Option<(usize, u32)>,
        mut text: Text<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut shape = Shape::of(text.json.py(), class, Some(value))?;
        let made = shape.run(&mut text)?;
        if let Some((slot, template)) = template {
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
            shape.settle(json.py(), &alike);
        }
        shape.run(&mut Text { json, sent: None, alike: Some(alike), calls: VecDeque::new() })
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Shape {
    fn of(py: Python<'_>, class: &'static Class, value: Option<Value<'_>>) -> PyResult<Self> {
        let mut shape =
            Self { template: 0, serial: 0, steps: Vec::with_capacity(32), nodes: Vec::with_capacity(32) };
        shape.object(py, class, value.filter(|value| value.kind() == Kind::Object))?;
        Ok(shape)
    }

    fn step(&mut self, step: Step, node: Option<usize>) {
        self.steps.push(step);
        self.nodes.push(node);
    }

    fn object(&mut self, py: Python<'_>, class: &'static Class, object: Option<Value<'_>>) -> PyResult<()> {
        let (start, end) = object.map_or((0, 0), |object| (object.start(), object.end()));
        let at = self.steps.len();
        self.step(Step::Object { class, start, end, extras: None }, None);
        let mut fields = [None; MAX_FIELDS];
        let mut found: Option<Box<Extras>> = None;
        for (name, value) in object.into_iter().flat_map(Value::members) {
            match class.field(&name) {
                Some(field) => fields[field] = Some(value),
                None => Extras::add(&mut found, py, &name, value)?,
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
                self.step(Step::List(0), None);
                let mut count = 0;
                for item in value.into_iter().flat_map(Value::items).filter(|it| it.kind() == Kind::Object) {
                    count += 1;
                    self.object(py, class, Some(item))?;
                }
                self.steps[at] = Step::List(count);
                Ok(())
            }
            How::ListAlways(_) => {
                self.step(Step::List(0), None);
                Ok(())
            }
            How::Complete | How::Repairs => {
                self.step(if matches!(how, How::Complete) { Step::Complete } else { Step::Repairs }, None);
                Ok(())
            }
            How::Plain | How::Optional(_) | How::List(_) => {
                let step = Step::plain(py, value)?;
                let node = value.filter(|_| matches!(step, Step::Same(_))).map(Value::node_number);
                self.step(step, node);
                Ok(())
            }
        }
    }

    /// Takes note of where the gaps are.
    fn settle(&mut self, py: Python<'_>, alike: &Alike<'_>) {
        let gap_of = |node| alike.gaps().position(|gap| gap == node);
        for (step, node) in self.steps.iter_mut().zip(&self.nodes) {
            if let Some(gap) = node.and_then(gap_of) {
                *step = Step::Gap(gap);
            }
            let Step::Object { extras: Some(extras), .. } = step else { continue };
            extras.others.retain(|(_, step)| !matches!(step, Step::Gap(_)));
            for (node, name) in &extras.scalars {
                if let Some(gap) = gap_of(*node) {
                    extras.others.push((name.clone_ref(py), Step::Gap(gap)));
                }
            }
        }
        self.serial = alike.fit().serial;
    }

    fn run<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        run(&mut self.steps.iter(), text)
    }
}

impl Extras {
    fn add(held: &mut Option<Box<Self>>, py: Python<'_>, name: &str, value: Value<'_>) -> PyResult<()> {
        if object::is_taken(name) {
            return Ok(());
        }
        let name = text(py, name.as_bytes())?;
        let extras = held.get_or_insert_with(|| {
            Box::new(Self { same: PyDict::new(py).unbind(), others: Vec::new(), scalars: Vec::new() })
        });
        match Step::plain(py, Some(value))? {
            Step::Same(value_made) => {
                extras.same.bind(py).set_item(&name, value_made)?;
                extras.scalars.push((value.node_number(), name.unbind()));
            }
            other => extras.others.push((name.unbind(), other)),
        }
        Ok(())
    }

    fn make<'py>(&self, text: &mut Text<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
        let same = self.same.bind(text.json.py());
        if self.others.is_empty() {
            return Ok(same.clone());
        }
        let made = same.copy()?;
        for (name, step) in &self.others {
            made.set_item(name, run(&mut slice::from_ref(step).iter(), text)?)?;
        }
        Ok(made)
    }
}

impl Step {
    fn plain(py: Python<'_>, value: Option<Value<'_>>) -> PyResult<Self> {
        Ok(match value {
            None => Self::Same(py.None()),
            Some(value) if matches!(value.kind(), Kind::Array | Kind::Object) => {
                Self::Fresh { start: value.start(), end: value.end() }
            }
            Some(value) => Self::Same(scalar(py, value)?.unbind()),
        })
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
        Some(Step::Gap(gap)) => match text.alike.and_then(|alike| alike.scalar(*gap)) {
            Some(Scalar::String(content)) => crate::raw::text(py, content.as_bytes())?.into_any(),
            Some(Scalar::Number(digits)) => number(py, digits)?,
            None => py.None().into_bound(py),
        },
        Some(&Step::Fresh { start, end }) => {
            let part = &text.json.as_bytes()[text.moved(start)..text.moved(end)];
            orjson_loads(py)?.call1((PyBytes::new(py, part),))?
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
