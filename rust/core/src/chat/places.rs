//! Where things are, by keys that a stream gives them.
//!
//! Nearly all messages have a handful of things, which are looked through: that takes less than a hash. A hostile one
//! may have a million; so from some number on there is a map.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// So many are looked through.
pub(super) const LOOKED_THROUGH: usize = 16;

/// Places by keys, each of which has one.
#[derive(Clone, Debug)]
pub(super) struct Places<K> {
    few: Vec<(K, usize)>,
    #[expect(clippy::box_collection, reason = "hardly ever there, so no more than a place")]
    many: Option<Box<HashMap<K, usize>>>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self { few: Vec::new(), many: None }
    }
}

impl<K: Eq + Hash> Places<K> {
    /// The place of a key, if it has one.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        match &self.many {
            None => self.few.iter().find(|(known, _)| known.borrow() == key).map(|(_, place)| *place),
            Some(many) => many.get(key).copied(),
        }
    }

    /// How many keys have one.
    pub fn len(&self) -> usize {
        self.many.as_ref().map_or(self.few.len(), |many| many.len())
    }

    /// Gives a place to a key, which may have had another one until now.
    pub fn set(&mut self, key: K, place: usize) {
        if let Some(many) = &mut self.many {
            many.insert(key, place);
        } else if let Some((_, known)) = self.few.iter_mut().find(|(known, _)| *known == key) {
            *known = place;
        } else if self.few.len() < LOOKED_THROUGH {
            self.few.reserve_exact(if self.few.len() < self.few.capacity() { 0 } else { 1 + self.few.len() });
            self.few.push((key, place));
        } else {
            self.many = Some(Box::new(self.few.drain(..).chain([(key, place)]).collect()));
        }
    }
}
