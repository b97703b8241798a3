//! What was read from files and is in force, and what is to be said of a later reading that fails.
//!
//! Files that belong together are not replaced in one moment: whoever looks in between sees a half of
//! each. So a reading that fails is told only when the next look finds the same, and then once.

/// What tells one content of files from another.
pub type Print = [u8; 32];

/// A reading in force; see the module.
#[derive(Debug)]
pub struct Kept<T> {
    value: T,
    print: Print,
    seen: Option<Print>,
    told: Option<Print>,
}

/// What a new look at the files came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Look<E> {
    /// Nothing is new, or it is too early to say.
    Same,
    /// The new reading is in force.
    Exchanged,
    /// The reading fails, which was not said yet. The old one stays in force.
    Failed(E),
}

impl<T> Kept<T> {
    /// Begins with a reading.
    pub fn new(print: Print, value: T) -> Self {
        Kept {
            value,
            print,
            seen: None,
            told: None,
        }
    }

    /// The reading in force.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Takes a new look at the files into account; `read` judges what they hold now. `at_once` is for
    /// whoever says that the files are whole.
    pub fn look<E>(
        &mut self,
        print: Print,
        at_once: bool,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Look<E> {
        if print == self.print {
            (self.seen, self.told) = (None, None);
            return Look::Same;
        }
        match read() {
            Ok(value) => {
                *self = Kept::new(print, value);
                Look::Exchanged
            }
            Err(_) if self.told == Some(print) && !at_once => Look::Same,
            Err(error) if self.seen == Some(print) || at_once => {
                (self.seen, self.told) = (Some(print), Some(print));
                Look::Failed(error)
            }
            Err(_) => {
                self.seen = Some(print);
                Look::Same
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Print = [0; 32];
    const HALF: Print = [1; 32];
    const NEW: Print = [2; 32];

    fn bad() -> Result<u8, &'static str> {
        Err("bad")
    }

    #[test]
    fn a_half_that_is_soon_whole_is_never_told() {
        let mut kept = Kept::new(OLD, 0);
        assert_eq!(kept.look(OLD, false, bad), Look::Same, "not even read");
        assert_eq!(kept.look(HALF, false, bad), Look::Same);
        assert_eq!(kept.look::<()>(NEW, false, || Ok(2)), Look::Exchanged);
        assert_eq!(*kept.value(), 2);
    }

    #[test]
    fn what_stays_bad_is_told_once_and_again_when_somebody_asks() {
        let mut kept = Kept::new(OLD, 0);
        assert_eq!(kept.look(HALF, false, bad), Look::Same);
        assert_eq!(kept.look(HALF, false, bad), Look::Failed("bad"));
        assert_eq!(kept.look(HALF, false, bad), Look::Same);
        assert_eq!(kept.look(HALF, true, bad), Look::Failed("bad"));
        assert_eq!(kept.look(OLD, false, bad), Look::Same);
        assert_eq!(kept.look(HALF, false, bad), Look::Same, "a new change");
        assert_eq!(kept.look(HALF, false, bad), Look::Failed("bad"));
        assert_eq!(*kept.value(), 0);
        // What was bad because of its time becomes good without another change.
        assert_eq!(kept.look::<()>(HALF, false, || Ok(1)), Look::Exchanged);
    }
}
