//! What of a JSON text becomes what, by the tables of `class`.
//!
//! It is told once, for two makers: one makes objects at once (`make`), the other the steps by which the objects of all
//! texts of a template are made (`shape`).

use deltawire_core::json::{Kind, Value};
use pyo3::prelude::*;

use crate::class::{Class, How, MAX_FIELDS};
use crate::object;

/// Who makes something of the parts of a text.
pub trait Maker<'py> {
    /// What a value becomes.
    type Made;
    /// An object of a class whose fields are being filled.
    type Record;
    /// What the members of an object without a class are gathered in.
    type Members;

    /// Where nothing was sent.
    fn none(&mut self) -> Self::Made;
    fn scalar(&mut self, value: Value<'_>) -> PyResult<Self::Made>;
    fn list(&mut self, items: impl ExactSizeIterator<Item = Self::Made>) -> PyResult<Self::Made>;
    fn members(&mut self, object: Value<'_>) -> Self::Members;
    fn insert(&mut self, members: &mut Self::Members, name: &str, made: Self::Made) -> PyResult<()>;
    fn dict(&mut self, members: Self::Members) -> Self::Made;
    /// An object of a class; None stands for one that was not sent.
    fn record(&mut self, class: &'static Class, object: Option<Value<'_>>) -> PyResult<Self::Record>;
    /// Fills the next field.
    fn push(&mut self, record: &mut Self::Record, made: Self::Made);
    /// The object. `extras` are the fields that its class does not name.
    fn finish(&mut self, record: Self::Record, extras: Option<Self::Members>) -> Self::Made;
    /// Whether the tool call at hand is whole.
    fn complete(&mut self) -> PyResult<Self::Made>;
    /// What had to be put right in the tool call at hand; the next one is at hand then.
    fn repairs(&mut self) -> PyResult<Self::Made>;
}

/// An object of a class.
pub fn object<'py, M: Maker<'py>>(
    maker: &mut M,
    class: &'static Class,
    value: Option<Value<'_>>,
) -> PyResult<M::Made> {
    let value = value.filter(|value| value.kind() == Kind::Object);
    let mut record = maker.record(class, value)?;
    let mut fields = [None; MAX_FIELDS];
    let mut extras = None;
    if let Some(object) = value {
        for (name, value) in object.members() {
            match class.field(name) {
                Some(field) => fields[field] = Some(value),
                None if object::is_taken(name) => {}
                None => {
                    let made = plain(maker, value)?;
                    let members = extras.get_or_insert_with(|| maker.members(object));
                    maker.insert(members, name, made)?;
                }
            }
        }
    }
    for (&(_, how), value) in class.fields.iter().zip(fields) {
        let made = field(maker, how, value)?;
        maker.push(&mut record, made);
    }
    Ok(maker.finish(record, extras))
}

fn field<'py, M: Maker<'py>>(maker: &mut M, how: How, value: Option<Value<'_>>) -> PyResult<M::Made> {
    match (how, value.map(Value::kind)) {
        (How::Object(class), _) | (How::Optional(class), Some(Kind::Object)) => object(maker, class, value),
        (How::List(class) | How::ListAlways(class), Some(Kind::Array)) => {
            let items = value.into_iter().flat_map(Value::items).filter(|item| item.kind() == Kind::Object);
            list(maker, items, |maker, item| object(maker, class, Some(item)))
        }
        (How::ListAlways(_), _) => maker.list([].into_iter()),
        (How::Complete, _) => maker.complete(),
        (How::Repairs, _) => maker.repairs(),
        (How::Plain | How::Optional(_) | How::List(_), _) => match value {
            Some(value) => plain(maker, value),
            None => Ok(maker.none()),
        },
    }
}

/// A value without a class: as orjson would give it.
pub fn plain<'py, M: Maker<'py>>(maker: &mut M, value: Value<'_>) -> PyResult<M::Made> {
    match value.kind() {
        Kind::Array => list(maker, value.items(), plain),
        Kind::Object => {
            let mut members = maker.members(value);
            for (name, value) in value.members() {
                let made = plain(maker, value)?;
                maker.insert(&mut members, name, made)?;
            }
            Ok(maker.dict(members))
        }
        _ => maker.scalar(value),
    }
}

/// A list, mostly of one item.
fn list<'py, 'd, M: Maker<'py>>(
    maker: &mut M,
    mut items: impl Iterator<Item = Value<'d>>,
    make: impl Fn(&mut M, Value<'d>) -> PyResult<M::Made>,
) -> PyResult<M::Made> {
    let Some(first) = items.next() else { return maker.list([].into_iter()) };
    let first = make(maker, first)?;
    let Some(second) = items.next() else { return maker.list([first].into_iter()) };
    let mut all = vec![first, make(maker, second)?];
    for item in items {
        all.push(make(maker, item)?);
    }
    maker.list(all.into_iter())
}
