//! Shared access policies, of provisioning services and of hubs alike: how they are made, changed and
//! removed, by callers who can give no more than they have. Rotation of their keys is [`rotation`]'s;
//! which rights there are, each kind of policy says itself.
//!
//! Pure: [`Policies`] takes the policies as they stand and gives them as they are to be. Called by
//! [`crate::administration`] and by the hub's own administration.

pub mod rotation;

use crate::clock::Entropy;
use crate::error::Error;
use crate::id::PolicyName;
use crate::policy::rotation::RotationRequest;
use crate::secret::{KeyPair, SymmetricKey};

/// Most shared access policies of one service or hub: each is tried for a token that names it.
pub const MOST_POLICIES: usize = 100;

/// The length of a key that is drawn, in bytes.
///
/// Source: docs/protocol/service-api.md §2.3 [R].
const KEY_LENGTH: usize = 32;

/// A set of rights, each with the name that clients give it.
pub trait RightSet: Copy + PartialEq + 'static {
    /// No right.
    const NONE: Self;
    /// Every right.
    const ALL: Self;
    /// Each right with its name, in the order they are listed.
    const NAMED: &'static [(&'static str, Self)];

    /// True when every right of `wanted` is in this set.
    fn allow(self, wanted: Self) -> bool;

    /// Both sets together.
    fn with(self, other: Self) -> Self;

    /// The name of the first right of `wanted` that this set lacks.
    fn lacks(self, wanted: Self) -> Option<&'static str> {
        if self.allow(wanted) {
            return None;
        }
        let lacking = wanted
            .names()
            .into_iter()
            .find(|name| Self::named(name).is_some_and(|right| !self.allow(right)));
        Some(lacking.unwrap_or("asked for"))
    }

    /// The names of the rights in this set, without those that another one implies.
    fn names(self) -> Vec<&'static str> {
        let held: Vec<_> = Self::NAMED
            .iter()
            .filter(|(_, right)| self.allow(*right))
            .collect();
        let implied = |right: Self| {
            held.iter()
                .any(|(_, other)| *other != right && other.allow(right))
        };
        held.iter()
            .filter(|(_, right)| !implied(*right))
            .map(|(name, _)| *name)
            .collect()
    }

    /// The right of this name, compared without case.
    fn named(name: &str) -> Option<Self> {
        Self::NAMED
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, right)| *right)
    }
}

/// A named pair of keys with rights.
pub trait Policy: Clone {
    /// What its holder may do.
    type Rights: RightSet;

    /// Puts a policy together.
    fn assemble(name: PolicyName, keys: KeyPair, rights: Self::Rights) -> Self;

    /// Its name; compared without case.
    fn name(&self) -> &PolicyName;

    /// Its keys.
    fn keys(&self) -> &KeyPair;

    /// What its holder may do.
    fn rights(&self) -> Self::Rights;
}

/// A policy as it was asked for. What is not said stays, or is drawn where there is nothing yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRequest<R> {
    /// What its holder shall be allowed.
    pub rights: Option<R>,
    /// Its first key.
    pub primary: Option<SymmetricKey>,
    /// Its second key.
    pub secondary: Option<SymmetricKey>,
}

/// The policies of one service or hub, before a caller who holds certain rights.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'a, P: Policy> {
    /// The policies as they stand.
    pub standing: &'a [P],
    /// The rights that the caller holds there. Nobody gives, sees or changes what has more.
    pub caller: P::Rights,
}

impl<'a, P: Policy> Policies<'a, P> {
    /// The policy of this name.
    ///
    /// # Errors
    /// [`Error::OtherNotFound`] when there is none.
    pub fn find(&self, name: &PolicyName) -> Result<&'a P, Error> {
        self.standing
            .iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| Error::OtherNotFound(spoken(name)))
    }

    /// The policy of this name, for a caller who may know its keys.
    ///
    /// # Errors
    /// As [`Policies::find`]; [`Error::RightMissing`] when the policy has a right that the caller
    /// lacks: whoever knows its keys has it.
    pub fn open(&self, name: &PolicyName) -> Result<&'a P, Error> {
        let policy = self.find(name)?;
        self.may_give(policy.rights())?;
        Ok(policy)
    }

    /// The policies with a new one.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one of that name, [`Error::Invalid`] without rights or when
    /// there are too many, [`Error::RightMissing`] for a right that the caller lacks.
    pub fn created(
        &self,
        name: &PolicyName,
        request: &PolicyRequest<P::Rights>,
        entropy: &dyn Entropy,
    ) -> Result<Vec<P>, Error> {
        if self.find(name).is_ok() {
            return Err(Error::Exists(spoken(name)));
        }
        let rights = request.rights.ok_or_else(no_rights)?;
        self.may_have(rights)?;
        if self.standing.len() >= MOST_POLICIES {
            return Err(Error::Invalid(format!(
                "There are {MOST_POLICIES} shared access policies, the most there may be; delete one first."
            )));
        }
        let drawn = |given: &Option<SymmetricKey>| {
            given
                .clone()
                .unwrap_or_else(|| SymmetricKey::draw(entropy, KEY_LENGTH))
        };
        let keys = KeyPair {
            primary: drawn(&request.primary),
            secondary: drawn(&request.secondary),
        };
        let mut policies = self.standing.to_vec();
        policies.push(P::assemble(name.clone(), keys, rights));
        Ok(policies)
    }

    /// The policies with one changed as far as the request says.
    ///
    /// # Errors
    /// [`Error::OtherNotFound`], [`Error::RightMissing`] for a right that the caller lacks, before
    /// or after; [`Error::Invalid`] when no policy with all rights would be left.
    pub fn updated(
        &self,
        name: &PolicyName,
        request: &PolicyRequest<P::Rights>,
    ) -> Result<Vec<P>, Error> {
        let before = self.open(name)?;
        let rights = request.rights.unwrap_or(before.rights());
        self.may_have(rights)?;
        let keys = KeyPair {
            primary: (request.primary.as_ref())
                .unwrap_or(&before.keys().primary)
                .clone(),
            secondary: (request.secondary.as_ref())
                .unwrap_or(&before.keys().secondary)
                .clone(),
        };
        let after = P::assemble(before.name().clone(), keys, rights);
        self.with_an_owner(name, Some(after))
    }

    /// The policies without one.
    ///
    /// # Errors
    /// [`Error::OtherNotFound`], [`Error::RightMissing`] when it has a right that the caller lacks,
    /// [`Error::Invalid`] when no policy with all rights would be left.
    pub fn without(&self, name: &PolicyName) -> Result<Vec<P>, Error> {
        self.open(name)?;
        self.with_an_owner(name, None)
    }

    /// The policies with the keys of one rotated.
    ///
    /// # Errors
    /// [`Error::OtherNotFound`], [`Error::RightMissing`] when it has a right that the caller lacks,
    /// [`Error::Invalid`] for a given key that has no place.
    pub fn rotated(
        &self,
        name: &PolicyName,
        request: &RotationRequest,
        entropy: &dyn Entropy,
    ) -> Result<Vec<P>, Error> {
        let before = self.open(name)?;
        let keys = request.apply(before.keys(), &|| SymmetricKey::draw(entropy, KEY_LENGTH))?;
        let after = P::assemble(before.name().clone(), keys, before.rights());
        self.with_an_owner(name, Some(after))
    }

    /// True when the caller may know the keys of a policy.
    pub fn may_see(&self, policy: &P) -> bool {
        self.caller.allow(policy.rights())
    }

    fn may_have(&self, rights: P::Rights) -> Result<(), Error> {
        if rights == P::Rights::NONE {
            return Err(no_rights());
        }
        self.may_give(rights)
    }

    fn may_give(&self, rights: P::Rights) -> Result<(), Error> {
        match self.caller.lacks(rights) {
            None => Ok(()),
            Some(name) => Err(Error::RightMissing(name)),
        }
    }

    /// Puts `after` in the place of the policy of this name. One policy with all rights always stays:
    /// it is what connection strings of the owner are made of.
    fn with_an_owner(&self, name: &PolicyName, after: Option<P>) -> Result<Vec<P>, Error> {
        let mut policies = Vec::with_capacity(self.standing.len());
        for policy in self.standing {
            if policy.name() == name {
                policies.extend(after.clone());
            } else {
                policies.push(policy.clone());
            }
        }
        if policies
            .iter()
            .any(|policy| policy.rights() == P::Rights::ALL)
        {
            return Ok(policies);
        }
        Err(Error::Invalid(format!(
            "{} is the last one with all rights, and one must stay; create another with all rights first.",
            spoken(name)
        )))
    }
}

fn spoken(name: &PolicyName) -> String {
    format!("Shared access policy '{name}'")
}

fn no_rights() -> Error {
    Error::Invalid("A shared access policy needs at least one right.".to_owned())
}

#[cfg(test)]
mod tests;
