//! What becomes of each check of a certificate: the judge stops at the first that fails, an inspection
//! goes on and hears of all. Both walk the same checks.

use crate::trace::Finding;

/// Takes the outcomes of checks, one after the other.
pub(super) trait Checks {
    /// Takes the outcome of `check`; an error ends the walk.
    fn take(&mut self, check: &'static str, outcome: Result<(), Finding>) -> Result<(), Finding>;
}

/// The judge's way: the first failure decides.
pub(super) struct FirstFailure;

impl Checks for FirstFailure {
    fn take(&mut self, _: &'static str, outcome: Result<(), Finding>) -> Result<(), Finding> {
        outcome
    }
}

/// One check of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name: `x509.validity`; when it failed, the name of what it found.
    pub check: &'static str,
    /// What it found, when the certificate failed it.
    pub finding: Option<Finding>,
}

impl Checked {
    pub(super) fn new(check: &'static str, finding: Option<Finding>) -> Self {
        Checked {
            check: finding.as_ref().map_or(check, |finding| finding.check),
            finding,
        }
    }
}

/// An inspection's way: nothing ends it.
#[derive(Debug, Default)]
pub(super) struct EveryCheck(pub(super) Vec<Checked>);

impl Checks for EveryCheck {
    fn take(&mut self, check: &'static str, outcome: Result<(), Finding>) -> Result<(), Finding> {
        self.0.push(Checked::new(check, outcome.err()));
        Ok(())
    }
}
