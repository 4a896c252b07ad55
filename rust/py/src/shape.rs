//! The steps that make the objects of all texts of a template.
//!
//! A text of a template (see the core's `json/template`) is the same as the next one but for what stands in the gaps,
//! and so are the objects made of it. So its translation is kept as steps, and these are taken for each text:
//! strings and numbers that do not change are made once, and given to each chunk. Lists and dicts are made
//! anew each time, since whoever gets one may change it; a dict is a copy, with what changes put in.
//!
//! A text for which no class is wanted is a dict as a whole.

use deltawire_core::json::{Alike, Changing, Fit, Place, Read, Scalar, Value};
use deltawire_core::stream::Lone;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PySystemError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::class::Class;
use crate::make::{self, Json, Text};
use crate::raw::{self, Model, NewRecord};
use crate::text::{self, Strings};
use crate::translation::{self, BoxedResult, Maker};

/// A core object that reads texts by templates.
pub trait Templates {
    /// What a text has in common with an earlier one, if it is like it.
    fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>>;
    /// The text of which a template was made, as a value.
    fn template(&mut self, fit: Fit) -> Option<Value<'_>>;
}

/// A text that fits a template.
pub struct Filled<'a, 'py> {
    pub json: Json<'a, 'py>,
    pub alike: Alike<'a>,
}

/// A step that makes one value.
enum Step {
    /// The same each time: a scalar that does not change, or None where nothing was sent.
    Same {
        value: Py<PyAny>,
        node: usize,
    },
    /// What stands in a gap, by its place among them.
    Gap {
        gap: usize,
        node: usize,
    },
    List(Box<[Step]>),
    Dict(Box<Members>),
    Object(Box<Object>),
}

/// Members of an object that become a dict.
struct Members {
    /// The object's node.
    node: usize,
    /// With all keys, and the values that are the same each time.
    same: Py<PyDict>,
    /// The others.
    fresh: Vec<(Py<PyString>, Step)>,
}

/// An object of a class.
struct Object {
    class: &'static Class,
    /// The object's node; `NOWHERE` if it was not sent.
    node: usize,
    /// Where it is in the text.
    start: Place,
    end: Place,
    /// With the fields that are the same each time.
    same: Model,
    /// The others, by their places in the class.
    fresh: Vec<(usize, Step)>,
    extras: Option<Box<Members>>,
}

/// In the place of the number of a node that there is not.
const NOWHERE: usize = usize::MAX;

/// The step that makes a text of one template.
struct Shape {
    /// The number of the template.
    template: u32,
    /// The serial of the template's gaps.
    serial: u32,
    step: Step,
}

/// The shapes of a parser's templates, and what else it has made that may come again.
#[derive(Default)]
pub struct Shapes {
    shapes: Vec<Option<Shape>>,
    /// None until something is made.
    strings: Option<Box<Strings>>,
}

impl Shapes {
    /// Learns the shape of the template that a text fits, unless it is known. Without a class, it is that of a dict.
    #[inline]
    pub fn learn(
        &mut self,
        py: Python<'_>,
        templates: &mut impl Templates,
        lone: &Lone<'_>,
        class: Option<&'static Class>,
    ) -> PyResult<()> {
        let Read::Like(fit) = lone.read else { return Ok(()) };
        if self.knows(fit) {
            return Ok(());
        }
        let gaps: Vec<_> = templates.alike(lone).into_iter().flat_map(|alike| alike.changing()).collect();
        templates.template(fit).map_or(Ok(()), |template| self.learn_new(py, fit, class, template, &gaps))
    }

    /// Whether the template's shape is known.
    #[inline]
    fn knows(&self, fit: Fit) -> bool {
        matches!(self.shapes.get(fit.slot), Some(Some(shape)) if shape.serial == fit.serial)
    }

    /// Finds the shape of a template, from the text that it was made of and its gaps. Where it was known, but with fewer
    /// gaps, these are added.
    fn learn_new(
        &mut self,
        py: Python<'_>,
        fit: Fit,
        class: Option<&'static Class>,
        template: Value<'_>,
        gaps: &[Changing],
    ) -> PyResult<()> {
        if self.widen(py, fit, template, gaps)? {
            return Ok(());
        }
        let mut steps = Steps { py, gaps, strings: self.strings.get_or_insert_default() };
        let step = match class {
            Some(class) => translation::object(&mut steps, class, Some(template)),
            None => translation::plain(&mut steps, template),
        }
        .map_err(|error| *error)?;
        if self.shapes.len() <= fit.slot {
            // As much memory as it takes, and no more: it is kept as long as the stream lasts.
            self.shapes.reserve_exact(1);
            self.shapes.resize_with(fit.slot + 1, || None);
        }
        self.shapes[fit.slot] = Some(Shape { template: fit.template, serial: fit.serial, step });
        Ok(())
    }

    /// Follows a template that has more gaps than when its shape was found. False if it is not known at all.
    fn widen(&mut self, py: Python<'_>, fit: Fit, template: Value<'_>, gaps: &[Changing]) -> PyResult<bool> {
        let Some(Some(shape)) = self.shapes.get_mut(fit.slot) else { return Ok(false) };
        let widened = shape.template == fit.template && shape.step.widen(py, template, gaps)?;
        if widened {
            shape.serial = fit.serial;
        }
        Ok(widened)
    }

    /// What a text becomes that fits a template whose shape is known.
    #[inline]
    pub fn make<'py>(&self, text: &Filled<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(Some(shape)) = self.shapes.get(text.alike.fit().slot) else {
            return Err(PySystemError::new_err("the shape of a template is not known"));
        };
        shape.step.make(text).map_err(|error| *error)
    }

    /// What a text becomes that was parsed.
    pub fn object<'py>(
        &mut self,
        class: &'static Class,
        value: Option<Value<'_>>,
        text: Text<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        make::object(class, value, text, self.strings.get_or_insert_default())
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Step {
    fn make<'py>(&self, text: &Filled<'_, 'py>) -> BoxedResult<Bound<'py, PyAny>> {
        let py = text.json.py();
        Ok(match self {
            Self::Same { value, .. } => value.bind(py).clone(),
            Self::Gap { gap, .. } => match text.alike.scalar(*gap) {
                Some(Scalar::String(content)) => raw::text(py, &content)?.into_any(),
                Some(Scalar::Number(digits)) => make::number(py, digits)?,
                None => py.None().into_bound(py),
            },
            Self::List(items) => match &**items {
                [item] => PyList::new(py, [item.make(text)?])?.into_any(),
                items => {
                    let items: Vec<_> =
                        items.iter().map(|item| item.make(text)).collect::<BoxedResult<_>>()?;
                    PyList::new(py, items)?.into_any()
                }
            },
            Self::Dict(members) => members.copy(text)?.into_any(),
            Self::Object(object) => object.make(text)?,
        })
    }

    /// Makes what has become a gap one. False if what was a gap is none any more.
    fn widen(&mut self, py: Python<'_>, template: Value<'_>, gaps: &[Changing]) -> PyResult<bool> {
        let widen_all = |steps: &mut [Self]| {
            steps.iter_mut().try_fold(true, |all, step| Ok(step.widen(py, template, gaps)? && all))
        };
        match self {
            Self::Same { node, .. } => {
                if let Some(gap) = place_of(*node, gaps) {
                    *self = Self::Gap { gap, node: *node };
                }
                Ok(true)
            }
            Self::Gap { gap, node } => Ok(place_of(*node, gaps).map(|place| *gap = place).is_some()),
            Self::List(items) => widen_all(items),
            Self::Dict(members) => members.widen(py, template, gaps),
            Self::Object(object) => object.widen(py, template, gaps),
        }
    }
}

impl Members {
    fn copy<'py>(&self, text: &Filled<'_, 'py>) -> BoxedResult<Bound<'py, PyDict>> {
        let same = self.same.bind(text.json.py());
        // Where the only member changes, as in many a delta, a copy takes longer than to begin anew.
        let is_lone = self.fresh.len() == 1 && same.len() == 1;
        let copy = if is_lone { PyDict::new(same.py()) } else { same.copy()? };
        for (name, step) in &self.fresh {
            copy.set_item(name, step.make(text)?)?;
        }
        Ok(copy)
    }

    fn widen(&mut self, py: Python<'_>, template: Value<'_>, gaps: &[Changing]) -> PyResult<bool> {
        let mut all = true;
        for (_, step) in &mut self.fresh {
            all &= step.widen(py, template, gaps)?;
        }
        for (name, gap, node) in members_in_gaps(template, self.node, gaps) {
            let name = text::key(py, name)?;
            let is_this = |step: &Step| matches!(step, Step::Gap { node: known, .. } if *known == node);
            let is_known = self.fresh.iter().any(|(_, step)| is_this(step));
            if !is_known && self.same.bind(py).contains(&name)? {
                self.fresh.push((name.unbind(), Step::Gap { gap, node }));
            }
        }
        Ok(all)
    }

    /// The dict, for those who cannot change it.
    fn make<'py>(&self, text: &Filled<'_, 'py>) -> BoxedResult<Bound<'py, PyDict>> {
        if self.fresh.is_empty() { Ok(self.same.bind(text.json.py()).clone()) } else { self.copy(text) }
    }
}

impl Object {
    #[inline]
    fn make<'py>(&self, text: &Filled<'_, 'py>) -> BoxedResult<Bound<'py, PyAny>> {
        let (start, end) = (text.alike.at(self.start), text.alike.at(self.end));
        let mut record = NewRecord::like(&self.same, &text.json.origin(start, end))?;
        for (field, step) in &self.fresh {
            record.set(*field, step.make(text)?);
        }
        let extras = self.extras.as_ref().map(|extras| extras.make(text)).transpose()?;
        Ok(record.finish(extras))
    }

    fn widen(&mut self, py: Python<'_>, template: Value<'_>, gaps: &[Changing]) -> PyResult<bool> {
        if let Some(object) = value(template, self.node) {
            self.start = Place::new(object.start(), gaps);
            self.end = Place::new(object.end(), gaps);
        }
        let mut all = true;
        for (_, step) in &mut self.fresh {
            all &= step.widen(py, template, gaps)?;
        }
        for (name, gap, node) in members_in_gaps(template, self.node, gaps) {
            // A field that always has an object or a list has no use for a scalar.
            if let Some(field) = self.class.field(name)
                && !self.fresh.iter().any(|(known, _)| *known == field)
            {
                self.fresh.push((field, Step::Gap { gap, node }));
            }
        }
        match &mut self.extras {
            Some(extras) => Ok(extras.widen(py, template, gaps)? && all),
            None => Ok(all),
        }
    }
}

/// The members of an object that are in gaps: of each its name, its place among the gaps, and its node.
fn members_in_gaps<'d>(
    template: Value<'d>,
    node: usize,
    gaps: &[Changing],
) -> impl Iterator<Item = (&'d str, usize, usize)> {
    value(template, node).into_iter().flat_map(Value::members).filter_map(|(name, value)| {
        let node = value.node_number();
        Some((name, place_of(node, gaps)?, node))
    })
}

/// The value of a node.
fn value(template: Value<'_>, node: usize) -> Option<Value<'_>> {
    template.descendants().find(|value| value.node_number() == node)
}

/// The place of a node among those in gaps.
fn place_of(node: usize, gaps: &[Changing]) -> Option<usize> {
    gaps.iter().position(|gap| gap.node == node)
}

/// An object whose fields are being gathered.
struct NewObject<'py> {
    class: &'static Class,
    node: usize,
    start: usize,
    end: usize,
    same: NewRecord<'py>,
    fresh: Vec<(usize, Step)>,
}

/// Makes the steps.
struct Steps<'a, 'py> {
    py: Python<'py>,
    /// The values that change.
    gaps: &'a [Changing],
    strings: &'a mut Strings,
}

impl<'py> Maker<'py> for Steps<'_, 'py> {
    type Made = Step;
    type Record = NewObject<'py>;
    type Members = Members;

    fn none(&mut self) -> Step {
        Step::Same { value: self.py.None(), node: NOWHERE }
    }

    fn scalar(&mut self, value: Value<'_>) -> BoxedResult<Step> {
        let node = value.node_number();
        Ok(match place_of(node, self.gaps) {
            Some(gap) => Step::Gap { gap, node },
            None => Step::Same { value: make::scalar(self.py, value, self.strings)?.unbind(), node },
        })
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = Step>) -> BoxedResult<Step> {
        Ok(Step::List(items.collect()))
    }

    fn members(&mut self, object: Value<'_>) -> Members {
        Members { node: object.node_number(), same: PyDict::new(self.py).unbind(), fresh: Vec::new() }
    }

    fn insert(&mut self, members: &mut Members, name: &str, step: Step) -> BoxedResult<()> {
        let name = text::key(self.py, name)?;
        let same = members.same.bind(self.py);
        if let Step::Same { value, .. } = step {
            return Ok(same.set_item(name, value)?);
        }
        // Its place is kept: the keys of a dict have the order of the text.
        same.set_item(&name, self.py.None())?;
        members.fresh.reserve_exact(1);
        members.fresh.push((name.unbind(), step));
        Ok(())
    }

    fn dict(&mut self, members: Members) -> Step {
        Step::Dict(Box::new(members))
    }

    fn record(&mut self, class: &'static Class, object: Option<Value<'_>>) -> BoxedResult<NewObject<'py>> {
        let (node, start, end) =
            object.map_or((NOWHERE, 0, 0), |object| (object.node_number(), object.start(), object.end()));
        // Nobody asks a model for its text.
        let text = PyBytes::new(self.py, b"");
        let same = NewRecord::new(class.record(self.py)?, &Json::all(&text).origin(start, end))?;
        Ok(NewObject { class, node, start, end, same, fresh: Vec::new() })
    }

    fn set(&mut self, object: &mut NewObject<'py>, field: usize, step: Step) {
        if let Step::Same { value, .. } = step {
            object.same.set(field, value.into_bound(self.py));
        } else {
            object.fresh.reserve_exact(1);
            object.fresh.push((field, step));
        }
    }

    fn finish(&mut self, object: NewObject<'py>, extras: Option<Members>) -> Step {
        let NewObject { class, node, start, end, same, fresh } = object;
        let (start, end) = (Place::new(start, self.gaps), Place::new(end, self.gaps));
        let (same, extras) = (same.into_model(), extras.map(Box::new));
        Step::Object(Box::new(Object { class, node, start, end, same, fresh, extras }))
    }

    // A chunk has no calls of a whole message.

    fn complete(&mut self) -> BoxedResult<Step> {
        Ok(Step::Same { value: true.into_py_any(self.py)?, node: NOWHERE })
    }

    fn repairs(&mut self) -> BoxedResult<Step> {
        Ok(Step::Same { value: PyTuple::empty(self.py).into_any().unbind(), node: NOWHERE })
    }
}
