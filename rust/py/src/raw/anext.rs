//! What `__anext__` of a stream does, once it is awaited, to read an item.
//!
//! It is the coroutine `_afill` of the class below, in Python, for the plain case and without a frame: it takes the turn,
//! awaits the source, feeds the parser, until something is complete. Nothing is decided here. What is not plain goes to
//! that class, which knows what to do: what the source raised to `_ends`, what the parser raised to `_refuses`, that the
//! sentinel came to `_settle`, and all the rest to `_next_step`, which mostly leaves it to `_afill`.

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PySystemError};
use pyo3::intern;
use pyo3::prelude::*;

use super::awaiting::{Sent, Step, begin, iterator, raised, step};
use super::items::{KeptStream, Stream};
use super::slots::{REUSED, made};
use crate::feeding::Parser;
use crate::found::Found;

/// How far it has come.
pub enum State {
    /// Nothing was done yet.
    New(KeptStream),
    /// The turn is taken, and the source is waited for.
    Reading {
        stream: KeptStream,
        source: Py<PyAny>,
        read: Py<PyAny>,
    },
    /// `_afill` is waited for: its coroutine.
    Asking {
        stream: KeptStream,
        coroutine: Py<PyAny>,
    },
    Running,
    Over,
}

/// Goes on with what is sent. What it yields it waits for: that state is kept.
pub fn resume<'py>(py: Python<'py>, state: State, sent: Sent<'py>, kept: &mut State) -> PyResult<Step<'py>> {
    run(py, state, sent, kept).map_err(|error| no_return(py, error))
}

fn run<'py>(py: Python<'py>, state: State, sent: Sent<'py>, kept: &mut State) -> PyResult<Step<'py>> {
    match state {
        State::New(stream) => {
            if let Sent::Exception(exception) = sent {
                return Err(raised(&exception));
            }
            let stream = stream.into_bound(py);
            if let Some(item) = stream.next_pending()? {
                return Ok(Step::Returns(item));
            }
            match stream.take_turn() {
                Some(source) => read_on(stream, source, None, sent, kept),
                None => ask(stream, kept),
            }
        }
        State::Reading { stream, source, read } => {
            read_on(stream.into_bound(py), source.into_bound(py), Some(read.into_bound(py)), sent, kept)
        }
        State::Asking { stream, coroutine } => {
            go_on(stream.into_bound(py), coroutine.into_bound(py), sent, kept)
        }
        State::Running => {
            *kept = State::Running;
            Err(PyRuntimeError::new_err("__anext__() is already running"))
        }
        State::Over => Err(PyRuntimeError::new_err(REUSED.to_str().unwrap_or_default())),
    }
}

/// Reads and feeds, with the turn taken, until something is complete or the source has to be waited for.
fn read_on<'py>(
    stream: Stream<'py>,
    source: Bound<'py, PyAny>,
    mut read: Option<Bound<'py, PyAny>>,
    mut sent: Sent<'py>,
    kept: &mut State,
) -> PyResult<Step<'py>> {
    let py = source.py();
    loop {
        let begun = match read.take() {
            Some(begun) => Ok(begun),
            None => begin(&source),
        };
        let step = begun.and_then(|begun| Ok((step(&begun, sent)?, begun))).map_err(|error| made(py, error));
        sent = Sent::Value(py.None().into_bound(py));
        let failed = match step {
            Ok((Step::Yields(value), read)) => {
                let (stream, source, read) = (stream.unbind(), source.unbind(), read.unbind());
                *kept = State::Reading { stream, source, read };
                return Ok(Step::Yields(value));
            }
            Ok((Step::Returns(chunk), _)) => match take(&stream, &source, &chunk) {
                Ok(Taken::Item(item)) => return Ok(Step::Returns(item)),
                Ok(Taken::Nothing) => continue,
                Ok(Taken::Odd) => None,
                Err(error) => Some(error),
            },
            Err(error) => match stream.call(intern!(py, "_ends"), (error.value(py),)) {
                Ok(ends) if ends.is_truthy().unwrap_or(false) => None,
                Ok(_) => Some(error),
                Err(other) => Some(other),
            },
        };
        stream.give_turn(py.None().into_bound(py));
        return match failed {
            Some(error) => Err(error),
            None => ask(stream, kept),
        };
    }
}

/// What comes of a chunk.
enum Taken<'py> {
    /// An item, and the turn is given back.
    Item(Bound<'py, PyAny>),
    Nothing,
    /// Python is to go on.
    Odd,
}

fn take<'py>(
    stream: &Stream<'py>,
    source: &Bound<'py, PyAny>,
    chunk: &Bound<'py, PyAny>,
) -> PyResult<Taken<'py>> {
    let py = source.py();
    let Some(parser) = stream.parser().filter(|_| !stream.is_closed()) else { return Ok(Taken::Odd) };
    let fed = match Parser::of(&parser) {
        Some(parser) => parser.feed(chunk),
        None => Err(PySystemError::new_err("no parser that can be fed")),
    };
    let fed = match fed.map_err(|error| made(py, error)) {
        Ok(fed) => fed,
        Err(error) => {
            let before = stream.call(intern!(py, "_refuses"), (error.value(py),))?;
            if before.is_none() {
                return Err(error);
            }
            stream.set_pending(&before)?;
            return Ok(Taken::Odd);
        }
    };
    if fed.is_done {
        stream.call(intern!(py, "_settle"), ())?;
    }
    let item = match fed.found {
        Found::Nothing => None,
        Found::One(item) => Some(item),
        Found::Many(items) if items.len() == 1 => Some(items.get_item(0)?),
        Found::Many(items) => {
            stream.set_pending(&items)?;
            stream.next_pending()?
        }
    };
    let Some(item) = item else { return Ok(if fed.is_done { Taken::Odd } else { Taken::Nothing }) };
    stream.give_turn(if fed.is_done { py.None().into_bound(py) } else { source.clone() });
    Ok(Taken::Item(item))
}

/// Leaves it to Python what is to be done.
fn ask<'py>(stream: Stream<'py>, kept: &mut State) -> PyResult<Step<'py>> {
    let py = stream.py();
    let none = || Sent::Value(py.None().into_bound(py));
    let mut awaitable = stream.call(intern!(py, "_next_step"), ())?;
    if awaitable.is_none() {
        if let Some(source) = stream.take_turn() {
            return read_on(stream, source, None, none(), kept);
        }
        awaitable = stream.call(intern!(py, "_afill"), ())?;
    }
    go_on(stream, iterator(awaitable)?, none(), kept)
}

fn go_on<'py>(
    stream: Stream<'py>,
    coroutine: Bound<'py, PyAny>,
    sent: Sent<'py>,
    kept: &mut State,
) -> PyResult<Step<'py>> {
    match step(&coroutine, sent)? {
        Step::Yields(value) => {
            *kept = State::Asking { stream: stream.unbind(), coroutine: coroutine.unbind() };
            Ok(Step::Yields(value))
        }
        Step::Returns(_) => {
            let no_item = || PyRuntimeError::new_err("the batch of a stream is empty");
            stream.next_pending()?.ok_or_else(no_item).map(Step::Returns)
        }
    }
}

/// What is raised, as a coroutine raises it: a `StopIteration` of the source, or of what is called meanwhile, would pass
/// for a value that is returned.
fn no_return(py: Python<'_>, error: PyErr) -> PyErr {
    let error = made(py, error);
    if !error.is_instance_of::<PyStopIteration>(py) {
        return error;
    }
    let raised = made(py, PyRuntimeError::new_err("__anext__() raised StopIteration"));
    raised.set_cause(py, Some(error));
    raised
}
