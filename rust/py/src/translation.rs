//! What of a JSON text becomes what, by the tables of `class`.
//!
//! It is told once, for two makers: one makes objects at once (`make`), the other the steps by which the objects of all
//! texts of a template are made (`shape`).

use deltawire_core::json::{Kind, Value};
use pyo3::prelude::*;

use crate::class::{Class, How};
use crate::object;

/// What was made, or what went wrong. That is in a box, so that most results are no larger than two words, which a function
/// gives back without a place in memory.
pub type BoxedResult<T> = Result<T, Box<PyErr>>;

/// Who makes something of the parts of a text.
pub trait Maker<'py> {
    /// What a value becomes.
    type Made;
    /// An object of a class whose fields are being filled.
    type Record;
    /// What the members of an object without a class are gathered in.
    type Members;

    /// Where nothing was sent, or null.
    fn none(&mut self) -> Self::Made;
    fn scalar(&mut self, value: Value<'_>) -> BoxedResult<Self::Made>;
    fn list(&mut self, items: impl ExactSizeIterator<Item = Self::Made>) -> BoxedResult<Self::Made>;
    fn members(&mut self, object: Value<'_>) -> Self::Members;
    fn insert(&mut self, members: &mut Self::Members, name: &str, made: Self::Made) -> BoxedResult<()>;
    fn dict(&mut self, members: Self::Members) -> Self::Made;
    /// An object of a class whose fields are None; its value is None if it was not sent.
    fn record(&mut self, class: &'static Class, object: Option<Value<'_>>) -> BoxedResult<Self::Record>;
    /// Fills a field, by its place in the class.
    fn set(&mut self, record: &mut Self::Record, field: usize, made: Self::Made);
    /// The object. `extras` are the fields that its class does not name.
    fn finish(&mut self, record: Self::Record, extras: Option<Self::Members>) -> Self::Made;
    /// Whether the tool call at hand is whole.
    fn complete(&mut self) -> BoxedResult<Self::Made>;
    /// What had to be put right in the tool call at hand; the next one is at hand then.
    fn repairs(&mut self) -> BoxedResult<Self::Made>;
}

/// An object of a class.
pub fn object<'py, M: Maker<'py>>(
    maker: &mut M,
    class: &'static Class,
    value: Option<Value<'_>>,
) -> BoxedResult<M::Made> {
    let value = value.filter(|value| value.kind() == Kind::Object);
    let mut record = maker.record(class, value)?;
    let mut extras = None;
    // A bit for each field that is not to be None, and has not been filled.
    let mut lacking = class.never_none;
    if let Some(object) = value {
        for (name, value) in object.members() {
            match class.field(name) {
                Some(at) => {
                    if let Some(made) = field(maker, class.fields[at].1, value)? {
                        maker.set(&mut record, at, made);
                        lacking &= !(1 << at);
                    }
                }
                None if object::is_taken(name) => {}
                None => {
                    let made = plain(maker, value)?;
                    let members = extras.get_or_insert_with(|| maker.members(object));
                    maker.insert(members, name, made)?;
                }
            }
        }
    }
    while lacking != 0 {
        let at = lacking.trailing_zeros() as usize;
        lacking &= lacking - 1;
        if let Some(made) = missing(maker, class.fields[at].1)? {
            maker.set(&mut record, at, made);
        }
    }
    Ok(maker.finish(record, extras))
}

/// What a field becomes for which a value was sent; None if that makes no difference.
#[inline]
fn field<'py, M: Maker<'py>>(maker: &mut M, how: How, value: Value<'_>) -> BoxedResult<Option<M::Made>> {
    match (how, value.kind()) {
        (How::Object(class) | How::Optional(class), Kind::Object) => object(maker, class, Some(value)),
        (How::List(class) | How::ListAlways(class), Kind::Array) => {
            let items = value.items().filter(|item| item.kind() == Kind::Object);
            list(maker, items, |maker, item| object(maker, class, Some(item)))
        }
        (How::Object(_) | How::ListAlways(_) | How::Complete | How::Repairs, _) | (_, Kind::Null) => {
            return Ok(None);
        }
        (How::Plain | How::Optional(_) | How::List(_), _) => plain(maker, value),
    }
    .map(Some)
}

/// What a field becomes for which nothing was sent that could be in it; None if it stays as it is.
fn missing<'py, M: Maker<'py>>(maker: &mut M, how: How) -> BoxedResult<Option<M::Made>> {
    match how {
        How::Object(class) => object(maker, class, None),
        How::ListAlways(_) => maker.list([].into_iter()),
        How::Complete => maker.complete(),
        How::Repairs => maker.repairs(),
        How::Plain | How::Optional(_) | How::List(_) => return Ok(None),
    }
    .map(Some)
}

/// A value without a class: as orjson would give it.
#[inline]
pub fn plain<'py, M: Maker<'py>>(maker: &mut M, value: Value<'_>) -> BoxedResult<M::Made> {
    match value.kind() {
        Kind::Null => Ok(maker.none()),
        Kind::Array | Kind::Object => container(maker, value),
        _ => maker.scalar(value),
    }
}

/// A list or a dict.
fn container<'py, M: Maker<'py>>(maker: &mut M, value: Value<'_>) -> BoxedResult<M::Made> {
    if value.kind() == Kind::Array {
        return list(maker, value.items(), plain);
    }
    let mut members = maker.members(value);
    for (name, value) in value.members() {
        let made = plain(maker, value)?;
        maker.insert(&mut members, name, made)?;
    }
    Ok(maker.dict(members))
}

/// A list, mostly of one item.
fn list<'py, 'd, M: Maker<'py>>(
    maker: &mut M,
    mut items: impl Iterator<Item = Value<'d>>,
    make: impl Fn(&mut M, Value<'d>) -> BoxedResult<M::Made>,
) -> BoxedResult<M::Made> {
    let Some(first) = items.next() else { return maker.list([].into_iter()) };
    let first = make(maker, first)?;
    let Some(second) = items.next() else { return maker.list([first].into_iter()) };
    let mut all = vec![first, make(maker, second)?];
    for item in items {
        all.push(make(maker, item)?);
    }
    maker.list(all.into_iter())
}
