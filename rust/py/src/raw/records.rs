//! Objects with plain slots.
//!
//! A typed chunk is four objects or more. A record is one allocation: a head, which tells what it was made from, and one
//! slot a field. Its fields are members, which CPython reads without a call, as it would not on a class with
//! `__getattr__`; what else was sent is in a dict that only attribute look-up sees. A record that is made like a model
//! has the model's values for as long as it has the model, so most of them are neither taken nor given back. What that
//! came to beside classes of `PyO3` is in docs/performance.md; what becomes of records that have ended, in `spare`.
//!
//! What holds for every record, from its making to its end:
//!
//! - It is an instance of a class made by [`record_class`], whose `tp_basicsize` is that of [`Head`] and its slots,
//!   and whose `tp_dealloc` is [`DEALLOC`]; by that it is told apart. Such a class has no subclasses.
//! - Each pointer of the head is null or an owned reference. `text` is a `bytes`, or a tuple of two.
//! - A slot of which `owned` has the bit is null or an owned reference. Any other one is the same as that slot of
//!   `model`, a record of the same class, whose slots stay what they are as long as it is there.
//! - A slot is written before any Python code can see the record; after that nothing changes.
//! - It is not tracked by the collector. It holds what JSON holds, and tuples of str, so it is in no cycle that it
//!   could be freed from: a list in it may be made to hold it by hand, and then both stay.

use std::ffi::{CStr, c_int, c_void};
use std::mem::{offset_of, size_of};

use pyo3::exceptions::{PyMemoryError, PySystemError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use super::slots::{class, member, slot};
use super::spare::Room;

/// What a record has in front of its slots.
#[repr(C)]
struct Head {
    object: ffi::PyObject,
    /// The fields that the class does not name, a dict; null if none were sent. At `tp_dictoffset`.
    extras: *mut ffi::PyObject,
    /// The text, with what was sent behind it where that was another one.
    text: *mut ffi::PyObject,
    /// The record of which the slots are that are not owned; null if all are.
    model: *mut ffi::PyObject,
    start: usize,
    /// Texts are shorter than 4 GiB, as events are.
    len: u32,
    /// A bit for each slot.
    owned: u8,
    /// Where it is kept when it has ended.
    room: Room,
}

/// What a record is made from: a part of a JSON text.
pub struct Origin<'a, 'py> {
    pub text: &'a Bound<'py, PyBytes>,
    pub start: usize,
    pub end: usize,
}

/// A class of records.
pub struct RecordClass {
    class: Py<PyType>,
    /// A record whose fields are None.
    none: Model,
}

impl RecordClass {
    pub fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyType> {
        self.class.bind(py)
    }
}

/// By this a record is known, so it is to have one address.
static DEALLOC: ffi::destructor = dealloc;

/// Makes a class of records, below a class without fields of its own.
pub fn record_class(
    base: &Bound<'_, PyType>,
    name: &'static CStr,
    doc: &'static CStr,
    fields: impl Iterator<Item = &'static CStr>,
) -> PyResult<RecordClass> {
    let py = base.py();
    // SAFETY: `base` is a live type.
    if unsafe { (*base.as_type_ptr()).tp_basicsize } != size_of::<ffi::PyObject>().cast_signed() {
        return Err(PySystemError::new_err("the base of a record has fields"));
    }
    let offset = |at: usize| size_of::<Head>() + at * size_of::<*mut ffi::PyObject>();
    let mut members =
        vec![member(c"__dictoffset__", ffi::Py_T_PYSSIZET, offset_of!(Head, extras), ffi::Py_READONLY)];
    for (at, name) in fields.enumerate() {
        members.push(member(name, ffi::Py_T_OBJECT_EX, offset(at), ffi::Py_READONLY));
    }
    let count = members.len() - 1;
    if count > u8::BITS as usize {
        return Err(PySystemError::new_err("a class of records has more fields than there are bits for"));
    }
    members.push(ffi::PyMemberDef::default());
    let mut type_slots = [
        slot(ffi::Py_tp_members, members.as_ptr().cast()),
        slot(ffi::Py_tp_dealloc, DEALLOC as *const c_void),
        // PyO3's classes are for the collector to track, and those below them become so unless they clear by
        // themselves; to have no use for it, a class has to bring what frees its memory too.
        slot(ffi::Py_tp_clear, clear_nothing as *const c_void),
        slot(ffi::Py_tp_free, ffi::PyObject_Free as *const c_void),
        slot(ffi::Py_tp_doc, doc.as_ptr().cast()),
        ffi::PyType_Slot::default(),
    ];
    // SAFETY: the slots are a record's, each of its kind; the members are there during the call, and their names for ever.
    // Nothing but an object's header is in the base's instances, by the check, so a head may follow; the members are one of
    // its pointers and the references behind it, up to the size.
    let class =
        unsafe { class(py, Some(base), name, offset(count), ffi::Py_TPFLAGS_DEFAULT, &mut type_slots)? };
    // SAFETY: the class is a live type.
    if unsafe { ffi::PyType_HasFeature(class.as_type_ptr(), ffi::Py_TPFLAGS_HAVE_GC) } != 0 {
        return Err(PySystemError::new_err("a class of records is tracked by the collector"));
    }
    let text = PyBytes::new(py, b"");
    // SAFETY: the class is one of records, and no other one has the room. All slots are set to references before anybody
    // sees the record.
    let none = unsafe {
        let none = begin(class.as_type_ptr(), Room::new(), &Origin { text: &text, start: 0, end: 0 })?;
        for at in 0..count {
            slots(none.as_ptr()).add(at).write(py.None().into_ptr());
        }
        (*none.as_ptr().cast::<Head>()).owned = bits(count);
        Model(none.unbind())
    };
    Ok(RecordClass { class: class.unbind(), none })
}

/// A record whose slots are being filled.
pub struct NewRecord<'py> {
    record: Bound<'py, PyAny>,
    slots: usize,
}

impl<'py> NewRecord<'py> {
    /// A record whose fields are None.
    pub fn new(class: &RecordClass, origin: &Origin<'_, 'py>) -> PyResult<Self> {
        Self::like(&class.none, origin)
    }

    /// A record with the fields of a model.
    #[inline]
    pub fn like(model: &Model, origin: &Origin<'_, 'py>) -> PyResult<Self> {
        let model = model.0.as_ptr();
        // SAFETY: the model is a record, so its class is one that `record_class` made, and what is in its slots stays as
        // long as it is there; the head takes over a new reference to it. The slots of the new record are other memory,
        // and all of them are set before anybody sees it.
        unsafe {
            let class = ffi::Py_TYPE(model);
            let count = slot_count(class);
            let record = begin(class, (*model.cast::<Head>()).room, origin)?;
            let head = record.as_ptr().cast::<Head>();
            slots(record.as_ptr()).copy_from_nonoverlapping(slots(model), count);
            (*head).model = ffi::Py_NewRef(model);
            Ok(Self { record, slots: count })
        }
    }

    /// Tells what was sent, where that was no valid UTF-8. What was told before stays.
    pub fn set_sent(&mut self, sent: &Bound<'py, PyBytes>) -> PyResult<()> {
        let head = self.record.as_ptr().cast::<Head>();
        // SAFETY: the record is one, see `begin`; its text is a reference, which is given back when another one is in its
        // place, and nobody else has seen the record yet. The tuple is one of two `bytes`, by the check.
        unsafe {
            let text = Bound::from_borrowed_ptr(sent.py(), (*head).text);
            if text.is_instance_of::<PyBytes>() {
                let both = PyTuple::new(sent.py(), [&text, sent.as_any()])?;
                (*head).text = both.into_ptr();
                ffi::Py_DECREF(text.as_ptr());
            }
        }
        Ok(())
    }

    /// Fills a slot, also one that is filled already. There must be one.
    #[inline]
    pub fn set(&mut self, slot: usize, value: Bound<'py, PyAny>) {
        if slot < self.slots {
            // SAFETY: the record is one, see `begin`, and by the check the slot is inside it; nobody else has seen the
            // record yet. The reference is taken over. What was in the slot is given back if it was owned, and is then
            // null or a reference.
            unsafe {
                let head = self.record.as_ptr().cast::<Head>();
                let before = slots(self.record.as_ptr()).add(slot).replace(value.into_ptr());
                if (*head).owned & 1 << slot == 0 {
                    (*head).owned |= 1 << slot;
                } else {
                    ffi::Py_XDECREF(before);
                }
            }
        }
    }

    /// The record. `extras` are the fields that its class does not name.
    #[inline]
    pub fn finish(self, extras: Option<Bound<'py, PyDict>>) -> Bound<'py, PyAny> {
        if let Some(extras) = extras {
            // SAFETY: the record is one, see `begin`; its `extras` are null, and nobody else has seen it yet.
            unsafe { (*self.record.as_ptr().cast::<Head>()).extras = extras.into_ptr() };
        }
        self.record
    }

    /// The record, as one that others are made like.
    pub fn into_model(self) -> Model {
        Model(self.record.unbind())
    }
}

/// A record that no Python code sees: others have what is in its slots. It has no extras.
pub struct Model(Py<PyAny>);

/// A record whose slots are yet to be set, all of them, before anybody sees it. None of them is owned.
///
/// # Safety
///
/// `class` is a live type that `record_class` made, and its records have this room.
#[inline]
unsafe fn begin<'py>(
    class: *mut ffi::PyTypeObject,
    room: Room,
    origin: &Origin<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let len = u32::try_from(origin.end - origin.start)?;
    // SAFETY:
    // - The class is one of records, so its instances begin with a head.
    // - Whoever has a `Bound` is attached, as `take` wants it.
    // - The memory is as large as the class says. All of the head is set, the rest by the caller, and null is what its
    //   pointers may be. `PyObject_Init` sets type and reference count, as `dealloc` expects; a record that was kept
    //   has them.
    // - The reference that the head takes over is a new one.
    unsafe {
        let record = if let Some(record) = room.take() {
            record
        } else {
            let memory = ffi::PyObject_Malloc((*class).tp_basicsize.cast_unsigned());
            if memory.is_null() {
                return Err(PyMemoryError::new_err(()));
            }
            ffi::PyObject_Init(memory.cast(), class)
        };
        let head = record.cast::<Head>();
        (*head).extras = std::ptr::null_mut();
        (*head).text = origin.text.clone().into_ptr();
        (*head).model = std::ptr::null_mut();
        (*head).start = origin.start;
        (*head).len = len;
        (*head).owned = 0;
        (*head).room = room;
        Ok(Bound::from_owned_ptr(origin.text.py(), record))
    }
}

/// What a record was made from.
pub struct Made<'a> {
    pub text: &'a [u8],
    pub sent: Option<&'a [u8]>,
    pub start: usize,
    pub end: usize,
}

/// Tells what an object was made from; None if it is no record.
pub fn origin<'a>(record: &'a Bound<'_, PyAny>) -> Option<Made<'a>> {
    // SAFETY: an object whose class has that `tp_dealloc` is a record: its head is filled, does not change, and
    // lives as long as the record. The text and what was sent are `bytes`, which do not change either, nor does a
    // tuple that they are in.
    unsafe {
        let end = (*ffi::Py_TYPE(record.as_ptr())).tp_dealloc?;
        if !std::ptr::fn_addr_eq(end, DEALLOC) {
            return None;
        }
        let head = &*record.as_ptr().cast::<Head>();
        let slice = |bytes: *mut ffi::PyObject| {
            let len = ffi::PyBytes_Size(bytes).cast_unsigned();
            std::slice::from_raw_parts(ffi::PyBytes_AsString(bytes).cast::<u8>(), len)
        };
        let (text, sent) = if ffi::PyTuple_Check(head.text) == 0 {
            (slice(head.text), None)
        } else {
            let item = |at| slice(ffi::PyTuple_GetItem(head.text, at));
            (item(0), Some(item(1)))
        };
        Some(Made { text, sent, start: head.start, end: head.start + head.len as usize })
    }
}

/// Where the slots of a record begin.
///
/// # Safety
///
/// `record` is a record.
unsafe fn slots(record: *mut ffi::PyObject) -> *mut *mut ffi::PyObject {
    // SAFETY: the slots stand right behind the head, in the same allocation.
    unsafe { record.cast::<Head>().add(1).cast() }
}

/// How many slots the records of a class have.
///
/// # Safety
///
/// `class` is a live type that `record_class` made.
unsafe fn slot_count(class: *mut ffi::PyTypeObject) -> usize {
    // SAFETY: the type is live.
    let size = unsafe { (*class).tp_basicsize }.cast_unsigned();
    (size - size_of::<Head>()) / size_of::<*mut ffi::PyObject>()
}

/// The bits of so many slots.
fn bits(slots: usize) -> u8 {
    u32::try_from(slots).ok().and_then(|slots| u8::MAX.checked_shl(slots)).map_or(u8::MAX, |others| !others)
}

/// Never called: records are not tracked.
extern "C" fn clear_nothing(_: *mut ffi::PyObject) -> c_int {
    0
}

/// The end of a record.
unsafe extern "C" fn dealloc(record: *mut ffi::PyObject) {
    // SAFETY: each pointer is null or a reference, and each that is owned is given back once. The room is that of the
    // record's class. Where it does not keep the record, the memory came from `PyObject_Malloc`, and nobody uses it any
    // more. The class is given back last, since it was taken by `PyObject_Init`.
    unsafe {
        let head = record.cast::<Head>();
        let mut owned = (*head).owned;
        while owned != 0 {
            ffi::Py_XDECREF(*slots(record).add(owned.trailing_zeros() as usize));
            owned &= owned - 1;
        }
        for owned in [(*head).extras, (*head).text, (*head).model] {
            ffi::Py_XDECREF(owned);
        }
        if !(*head).room.keep(record) {
            let class = ffi::Py_TYPE(record);
            ffi::PyObject_Free(record.cast());
            ffi::Py_DECREF(class.cast());
        }
    }
}
