//! Rotation of a policy's keys: which key goes, which stays, and what takes its place.

use crate::error::Error;
use crate::secret::{KeyPair, SymmetricKey};

/// What becomes of a pair of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// The primary key becomes the secondary, and a new one the primary: who holds the old primary
    /// gets in until the next rotation. The old secondary is dead.
    #[default]
    Shift,
    /// A new primary key; the old one is dead, the secondary stays.
    Primary,
    /// A new secondary key; the old one is dead, the primary stays.
    Secondary,
    /// Two new keys; both old ones are dead.
    Both,
    /// Primary and secondary change places; both stay valid.
    Swap,
}

/// A rotation as it was asked for. New keys that are not given are drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RotationRequest {
    /// What becomes of the keys.
    pub rotation: Rotation,
    /// The new primary key.
    pub primary: Option<SymmetricKey>,
    /// The new secondary key.
    pub secondary: Option<SymmetricKey>,
}

impl RotationRequest {
    /// The pair after the rotation; `draw` makes a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a key is given that the rotation has no place for, or one that the
    /// policy has already, since that would keep alive what is to be rotated out.
    pub fn apply(
        &self,
        before: &KeyPair,
        draw: &dyn Fn() -> SymmetricKey,
    ) -> Result<KeyPair, Error> {
        let (new_primary, new_secondary) = match self.rotation {
            Rotation::Shift | Rotation::Primary => (true, false),
            Rotation::Secondary => (false, true),
            Rotation::Both => (true, true),
            Rotation::Swap => (false, false),
        };
        check("primaryKey", self.primary.as_ref(), new_primary, before)?;
        check(
            "secondaryKey",
            self.secondary.as_ref(),
            new_secondary,
            before,
        )?;
        let primary = || self.primary.clone().unwrap_or_else(draw);
        let secondary = || self.secondary.clone().unwrap_or_else(draw);
        let (old_primary, old_secondary) = (before.primary.clone(), before.secondary.clone());
        let (primary, secondary) = match self.rotation {
            Rotation::Shift => (primary(), old_primary),
            Rotation::Primary => (primary(), old_secondary),
            Rotation::Secondary => (old_primary, secondary()),
            Rotation::Both => (primary(), secondary()),
            Rotation::Swap => (old_secondary, old_primary),
        };
        Ok(KeyPair { primary, secondary })
    }
}

fn check(
    member: &str,
    given: Option<&SymmetricKey>,
    renewed: bool,
    before: &KeyPair,
) -> Result<(), Error> {
    let Some(key) = given else {
        return Ok(());
    };
    if !renewed {
        return Err(Error::Invalid(format!(
            "{member} is given, and this rotation does not renew it."
        )));
    }
    if key.same_as(&before.primary) | key.same_as(&before.secondary) {
        return Err(Error::Invalid(format!(
            "{member} is a key that the policy has already; give a new one."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes(vec![byte; 32])
    }

    fn pair(primary: u8, secondary: u8) -> KeyPair {
        KeyPair {
            primary: key(primary),
            secondary: key(secondary),
        }
    }

    fn rotate(rotation: Rotation, given: (Option<u8>, Option<u8>)) -> Result<KeyPair, Error> {
        let drawn = std::cell::Cell::new(100);
        let request = RotationRequest {
            rotation,
            primary: given.0.map(key),
            secondary: given.1.map(key),
        };
        request.apply(&pair(1, 2), &|| {
            drawn.set(drawn.get() + 1);
            key(drawn.get())
        })
    }

    #[test]
    fn each_rotation_says_which_old_key_stays_valid_and_where() {
        for (rotation, after) in [
            (Rotation::Shift, pair(101, 1)),
            (Rotation::Primary, pair(101, 2)),
            (Rotation::Secondary, pair(1, 101)),
            (Rotation::Both, pair(101, 102)),
            (Rotation::Swap, pair(2, 1)),
        ] {
            assert_eq!(rotate(rotation, (None, None)), Ok(after), "{rotation:?}");
        }
    }

    #[test]
    fn a_given_key_is_taken_where_one_is_renewed_and_refused_elsewhere() {
        assert_eq!(rotate(Rotation::Shift, (Some(9), None)), Ok(pair(9, 1)));
        assert_eq!(rotate(Rotation::Both, (None, Some(9))), Ok(pair(101, 9)));
        for (rotation, given) in [
            (Rotation::Shift, (None, Some(9))),
            (Rotation::Primary, (None, Some(9))),
            (Rotation::Secondary, (Some(9), None)),
            (Rotation::Swap, (Some(9), None)),
            (Rotation::Swap, (None, Some(9))),
        ] {
            assert!(rotate(rotation, given).is_err(), "{rotation:?} {given:?}");
        }
    }

    #[test]
    fn a_key_in_use_is_no_new_key() {
        for given in [1, 2] {
            let refused = rotate(Rotation::Shift, (Some(given), None));
            assert!(refused.is_err_and(|error| error.to_string().contains("already")));
        }
    }
}
