//! Whether two records of one id say the same: what is not said has its default, and documents are
//! compared as trees. Marks and times of a record are its service's own and do not count.

use crate::administration::enrollments::Enrollment;
use crate::document::Document;
use crate::enrollment::{EnrollmentTerms, InitialTwin};

/// The members in which two records differ, by their names on the wire.
pub(super) fn differences<E: Enrollment>(one: &E, other: &E) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut differ = |name, differs: bool| {
        if differs {
            names.push(name);
        }
    };
    differ("attestation", one.attestation() != other.attestation());
    let (a, b) = (one.terms(), other.terms());
    differ("provisioningStatus", a.status != b.status);
    let reprovision = |terms: &EnrollmentTerms| terms.reprovision.unwrap_or_default();
    differ("reprovisionPolicy", reprovision(a) != reprovision(b));
    differ("allocationPolicy", a.allocation != b.allocation);
    differ("iotHubs", sorted_hubs(a) != sorted_hubs(b));
    differ(
        "customAllocationDefinition",
        a.custom_allocation != b.custom_allocation,
    );
    differ("capabilities", a.capabilities != b.capabilities);
    let twins = (a.initial_twin.as_ref(), b.initial_twin.as_ref());
    let part = |twin: Option<&InitialTwin>, pick: fn(&InitialTwin) -> &Option<Document>| {
        twin.and_then(|twin| pick(twin).clone())
    };
    differ(
        "tags",
        !same_document(
            part(twins.0, |twin| &twin.tags).as_ref(),
            part(twins.1, |twin| &twin.tags).as_ref(),
        ),
    );
    differ(
        "desired",
        !same_document(
            part(twins.0, |twin| &twin.desired).as_ref(),
            part(twins.1, |twin| &twin.desired).as_ref(),
        ),
    );
    for (name, value) in a.extra.iter().chain(&b.extra) {
        let there = |terms: &EnrollmentTerms| {
            terms
                .extra
                .iter()
                .any(|it| *it == (name.clone(), value.clone()))
        };
        if there(a) != there(b) {
            differ("members of newer versions", true);
            break;
        }
    }
    names.extend(one.unlike(other));
    names
}

fn sorted_hubs(terms: &EnrollmentTerms) -> Vec<&str> {
    let mut hubs: Vec<&str> = terms.hubs.iter().map(|hub| hub.key()).collect();
    hubs.sort_unstable();
    hubs
}

/// Whether two documents say the same; none says as much as an empty one.
pub(crate) fn same_document(one: Option<&Document>, other: Option<&Document>) -> bool {
    if one == other {
        return true;
    }
    let tree = |document: Option<&Document>| {
        document.map_or_else(|| Document::empty_object().to_json(), Document::to_json)
    };
    tree(one) == tree(other)
}
