//! The message of a reader, which others may keep as it is while more is added to it.
//!
//! It is copied where it grows while somebody keeps it, and only there: who reads one that is whole, or lets go of one in
//! mid-stream before more comes, has it without a copy, however long it is. As long as nobody has asked for it, it stands
//! in the reader, and a look at it takes no counting of who has it.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;

use crate::chat::Accumulator;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is mostly the large one")]
pub(super) enum Message {
    Own(Accumulator),
    Shared(Arc<Accumulator>),
}

impl Message {
    /// The message as it is now, to be kept.
    pub fn share(&mut self) -> Arc<Accumulator> {
        let own = match self {
            Self::Own(own) => own,
            Self::Shared(shared) => return Arc::clone(shared),
        };
        let nothing = own.renewed();
        let shared = Arc::new(mem::replace(own, nothing));
        *self = Self::Shared(Arc::clone(&shared));
        shared
    }

    /// The message, to be changed.
    #[inline]
    pub fn own(&mut self) -> &mut Accumulator {
        loop {
            match self {
                Self::Own(own) => return own,
                Self::Shared(shared) => *self = Self::Own(Self::unshared(shared)),
            }
        }
    }

    /// Takes it back from where it is shared, or a copy of it.
    #[cold]
    fn unshared(shared: &mut Arc<Accumulator>) -> Accumulator {
        match Arc::get_mut(shared) {
            Some(own) => {
                let nothing = own.renewed();
                mem::replace(own, nothing)
            }
            None => Accumulator::clone(shared),
        }
    }
}

impl Deref for Message {
    type Target = Accumulator;

    #[inline]
    fn deref(&self) -> &Accumulator {
        match self {
            Self::Own(own) => own,
            Self::Shared(shared) => shared,
        }
    }
}
