//! The awaitable of an item that has to be read: `__anext__` of a stream of which nothing is pending. What it does is in
//! [`anext`](super::anext); this is the object, and what CPython calls.
//!
//! As a coroutine does, it begins when it is awaited and not when it is made; it passes on what the source's awaitable
//! yields, and what is sent and thrown into it; it is awaited once; closing it, or letting go of it, ends the read by a
//! `GeneratorExit`.
//!
//! What holds for a pull: its state is a value of Rust, made before anybody sees it and dropped once, at its end. While
//! a pull runs its state is `Running`, and what it works with is in the frames of `resume`: it can be called again by
//! what it calls, and finds nothing there.

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::exceptions::{PyGeneratorExit, PyMemoryError, PyRuntimeError, PySystemError, PyTypeError};
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::anext::{State, resume};
use super::awaiting::{Sent, Step};
use super::items::Stream;
use super::slots::{class, give, same, slot, stop_with};

#[repr(C)]
struct Pull {
    object: ffi::PyObject,
    state: State,
}

/// The memory of one that is gone, for the next one: mostly there is one at a time. Null, or it is nobody else's. The
/// lock of the interpreter keeps others away between a load and a store.
static SPARE: AtomicPtr<Pull> = AtomicPtr::new(std::ptr::null_mut());

static PULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Makes the class.
pub fn make(py: Python<'_>) -> PyResult<()> {
    let method = |name: &'static CStr, function, flags| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: std::ptr::null(),
    };
    let methods = Box::new([
        method(c"send", ffi::PyMethodDefPointer { PyCFunction: send_method }, ffi::METH_O),
        method(c"throw", ffi::PyMethodDefPointer { PyCFunction: throw_method }, ffi::METH_VARARGS),
        method(c"close", ffi::PyMethodDefPointer { PyCFunction: close_method }, ffi::METH_NOARGS),
        ffi::PyMethodDef::zeroed(),
    ]);
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *const c_void),
        slot(ffi::Py_tp_finalize, finalize as *const c_void),
        slot(ffi::Py_tp_traverse, traverse as *const c_void),
        slot(ffi::Py_tp_clear, clear as *const c_void),
        slot(ffi::Py_am_await, same as *const c_void),
        slot(ffi::Py_tp_iter, same as *const c_void),
        slot(ffi::Py_tp_iternext, next as *const c_void),
        slot(ffi::Py_am_send, send as *const c_void),
        // A class keeps the definitions of its methods as long as it lives.
        slot(ffi::Py_tp_methods, Box::leak(methods).as_ptr().cast()),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    // SAFETY: the slots are a `Pull`'s, each of its kind, and static; so are the methods, which are leaked.
    let pull = unsafe { class(py, None, c"deltawire._native._Pull", size_of::<Pull>(), flags, &mut slots)? };
    // It is the same whenever it is made.
    let _ = PULL.set(py, pull.unbind());
    Ok(())
}

/// An awaitable of the next item of a stream.
pub fn new(stream: Stream<'_>) -> PyResult<Bound<'_, PyAny>> {
    let py = stream.py();
    let class = PULL.get(py).ok_or_else(|| PySystemError::new_err("no module"))?;
    // SAFETY: the class is a live type, whose instances are as large as `Pull` and tracked by the collector; what is spare
    // was one of them. Its state is set before anybody sees it, the collector included.
    unsafe {
        let class = class.as_ptr().cast();
        let mut pull = SPARE.load(Relaxed);
        if pull.is_null() {
            pull = ffi::PyObject_GC_New::<Pull>(class);
        } else {
            SPARE.store(std::ptr::null_mut(), Relaxed);
            ffi::PyObject_Init(pull.cast(), class);
        }
        if pull.is_null() {
            return Err(PyMemoryError::new_err(()));
        }
        (&raw mut (*pull).state).write(State::New(stream.unbind()));
        ffi::PyObject_GC_Track(pull.cast());
        Ok(Bound::from_owned_ptr(py, pull.cast()))
    }
}

/// Drives a pull.
///
/// # Safety
///
/// `pull` is a live one.
unsafe fn drive<'py>(py: Python<'py>, pull: *mut ffi::PyObject, sent: Sent<'py>) -> PyResult<Step<'py>> {
    // SAFETY: the state was made by `new`. No reference to it is held while `resume` calls anything.
    unsafe {
        let place = &raw mut (*pull.cast::<Pull>()).state;
        let state = place.replace(State::Running);
        let mut kept = State::Over;
        let resume = AssertUnwindSafe(|| resume(py, state, sent, &mut kept));
        // As elsewhere in the module, where PyO3 does so.
        let step =
            catch_unwind(resume).unwrap_or_else(|_| Err(PanicException::new_err("a panic in deltawire")));
        drop(place.replace(kept));
        step
    }
}

/// Runs what lets go of objects, for a slot. `PyO3` puts off each such where it has not been told that it is attached,
/// until it is entered again, and that may be at the end of a long stream.
///
/// # Safety
///
/// The thread is attached to the interpreter, as CPython has it where it calls a slot.
unsafe fn attached<R>(run: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    // SAFETY: as the caller says.
    unsafe { Python::attach_unchecked(run) }
}

unsafe extern "C" fn send(
    pull: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the pull and the value are live; the result is a place for a reference.
    unsafe {
        attached(|py| {
            let (status, object) = match drive(py, pull, Sent::Value(Bound::from_borrowed_ptr(py, value))) {
                Ok(Step::Yields(value)) => (ffi::PySendResult::PYGEN_NEXT, Ok(value)),
                Ok(Step::Returns(value)) => (ffi::PySendResult::PYGEN_RETURN, Ok(value)),
                Err(error) => (ffi::PySendResult::PYGEN_ERROR, Err(error)),
            };
            result.write(give(py, object));
            status
        })
    }
}

/// What a method of an iterator gives: what is yielded, or null, with what is returned in a `StopIteration`.
fn give_step(py: Python<'_>, step: PyResult<Step<'_>>) -> *mut ffi::PyObject {
    match step {
        Ok(Step::Yields(value)) => value.into_ptr(),
        Ok(Step::Returns(value)) => {
            stop_with(&value);
            std::ptr::null_mut()
        }
        Err(error) => give(py, Err(error)),
    }
}

unsafe extern "C" fn next(pull: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the pull is live.
    unsafe { attached(|py| give_step(py, drive(py, pull, Sent::Value(py.None().into_bound(py))))) }
}

unsafe extern "C" fn send_method(pull: *mut ffi::PyObject, value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: both are live.
    unsafe { attached(|py| give_step(py, drive(py, pull, Sent::Value(Bound::from_borrowed_ptr(py, value))))) }
}

unsafe extern "C" fn throw_method(
    pull: *mut ffi::PyObject,
    exception: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the pull is live, and the arguments are a tuple.
    unsafe {
        attached(|py| {
            let exception = Bound::from_borrowed_ptr(py, exception).cast_into_unchecked::<PyTuple>();
            if exception.is_empty() {
                return give(py, Err(PyTypeError::new_err("throw expected at least 1 argument, got 0")));
            }
            give_step(py, drive(py, pull, Sent::Exception(exception)))
        })
    }
}

unsafe extern "C" fn close_method(pull: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the pull is live.
    unsafe { attached(|py| give(py, close(py, pull).map(|()| py.None().into_bound(py)))) }
}

/// Ends what a pull waits for, as `close` of a coroutine does.
///
/// # Safety
///
/// As for `drive`.
unsafe fn close(py: Python<'_>, pull: *mut ffi::PyObject) -> PyResult<()> {
    // SAFETY: the state was made by `new`, and it is not held.
    let is_over = unsafe {
        let place = &raw mut (*pull.cast::<Pull>()).state;
        if matches!(*place, State::New(_)) {
            drop(place.replace(State::Over));
        }
        matches!(*place, State::Over)
    };
    if is_over {
        return Ok(());
    }
    let exit = PyTuple::new(py, [py.get_type::<PyGeneratorExit>().call0()?])?;
    // SAFETY: as the caller says.
    match unsafe { drive(py, pull, Sent::Exception(exit)) } {
        Ok(Step::Yields(_)) => Err(PyRuntimeError::new_err("__anext__() ignored GeneratorExit")),
        Ok(Step::Returns(_)) => Ok(()),
        Err(error) if error.is_instance_of::<PyGeneratorExit>(py) => Ok(()),
        Err(error) => Err(error),
    }
}

unsafe extern "C" fn traverse(pull: *mut ffi::PyObject, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    let null = std::ptr::null_mut();
    // SAFETY: the pull is live, its class counts as referred to, and nothing changes its state meanwhile.
    unsafe {
        let held = match &(*pull.cast::<Pull>()).state {
            State::New(stream) => [stream.as_ptr(), null, null],
            State::Asking { stream, coroutine } => [stream.as_ptr(), coroutine.as_ptr(), null],
            State::Reading { stream, source, read } => [stream.as_ptr(), source.as_ptr(), read.as_ptr()],
            State::Running | State::Over => [null; 3],
        };
        let class = ffi::Py_TYPE(pull).cast();
        for each in std::iter::once(class).chain(held).filter(|each| !each.is_null()) {
            let stop = visit(each, arg);
            if stop != 0 {
                return stop;
            }
        }
    }
    0
}

unsafe extern "C" fn clear(pull: *mut ffi::PyObject) -> c_int {
    // SAFETY: the pull is live, and its state is not held.
    unsafe { attached(|_| drop((&raw mut (*pull.cast::<Pull>()).state).replace(State::Over))) };
    0
}

/// Before the end of a pull that waits: nobody will send it anything any more.
unsafe extern "C" fn finalize(pull: *mut ffi::PyObject) {
    // SAFETY: the pull is live. What was raised before is kept aside, as a finalizer has to.
    unsafe {
        attached(|py| {
            let before = PyErr::take(py);
            if let Err(error) = close(py, pull) {
                error.write_unraisable(py, Some(&Bound::from_borrowed_ptr(py, pull)));
            }
            if let Some(error) = before {
                error.restore(py);
            }
        });
    }
}

unsafe extern "C" fn dealloc(pull: *mut ffi::PyObject) {
    // SAFETY: nobody holds the pull any more, unless what it waits for takes hold of it while it is closed. Its state is
    // dropped by `clear`, and holds nothing then; the memory came from `PyObject_GC_New`, which took the class, to be
    // given back last.
    unsafe {
        let is_over = || matches!((*pull.cast::<Pull>()).state, State::Over);
        if !is_over() && ffi::PyObject_CallFinalizerFromDealloc(pull) < 0 {
            return;
        }
        // First, since what is let go of may run the collector, which is not to find what nobody holds.
        ffi::PyObject_GC_UnTrack(pull.cast());
        if !is_over() {
            clear(pull);
        }
        let class = ffi::Py_TYPE(pull);
        // What was finalized once would not be again.
        if SPARE.load(Relaxed).is_null() && ffi::PyObject_GC_IsFinalized(pull) == 0 {
            SPARE.store(pull.cast(), Relaxed);
        } else {
            ffi::PyObject_GC_Del(pull.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}
