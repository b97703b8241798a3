//! Counters of things that operators name. Finding one takes no lock; a name that is new is added by copying
//! the shelf, which happens as often as operators make something.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// The name of all that found no place.
pub const OTHER: &str = "(other)";

/// Counters by name, bounded in number.
#[derive(Debug)]
pub struct Shelf<V> {
    kept: ArcSwap<BTreeMap<String, Arc<V>>>,
    most: usize,
    adding: Mutex<()>,
}

impl<V: Default> Shelf<V> {
    /// An empty shelf for so many names; further ones are counted together, as [`OTHER`].
    pub fn new(most: usize) -> Self {
        Shelf {
            kept: ArcSwap::default(),
            most,
            adding: Mutex::new(()),
        }
    }

    /// What counts under a name.
    pub fn of(&self, name: &str) -> Arc<V> {
        let kept = self.kept.load();
        // A name that found no place is asked for as often as any other.
        let found = match kept.get(name) {
            None if kept.len() >= self.most => kept.get(OTHER),
            found => found,
        };
        match found {
            Some(found) => Arc::clone(found),
            None => self.add(name),
        }
    }

    fn add(&self, name: &str) -> Arc<V> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = BTreeMap::clone(&self.kept.load());
        let name = if kept.len() < self.most || kept.contains_key(name) {
            name
        } else {
            OTHER
        };
        let found = Arc::clone(kept.entry(name.to_owned()).or_default());
        self.kept.store(Arc::new(kept));
        found
    }

    /// Every name and what counts under it, in order.
    pub fn each(&self) -> Vec<(String, Arc<V>)> {
        let kept = self.kept.load();
        let pairs = kept.iter();
        pairs
            .map(|(name, found)| (name.clone(), Arc::clone(found)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::instrument::Counter;
    use super::*;

    #[test]
    fn names_past_the_bound_are_counted_together_and_old_ones_stay() {
        let shelf = Shelf::<Counter>::new(2);
        for name in ["a", "b", "c", "d", "a", "c"] {
            shelf.of(name).count();
        }
        let all = shelf.each();
        let all: Vec<_> = all.iter().map(|(name, n)| (&**name, n.value())).collect();
        assert_eq!(all, [(OTHER, 3), ("a", 2), ("b", 1)]);
    }

    #[test]
    fn a_name_without_a_place_copies_the_shelf_no_second_time() {
        let shelf = Shelf::<Counter>::new(1);
        let (_, found) = (shelf.of("a"), shelf.of("b"));
        let before = shelf.kept.load_full();
        for name in ["b", "c", "a"] {
            shelf.of(name).count();
        }
        assert!(Arc::ptr_eq(&before, &shelf.kept.load_full()));
        assert_eq!(found.value(), 2);
    }
}
