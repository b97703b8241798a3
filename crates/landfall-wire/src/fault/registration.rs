//! The numbers in the registration state of a device that was let in and got no hub. They are no
//! HTTP errors: the answer that holds them is a 200. Called by the bodies of the device API and of
//! the service API.

use landfall_core::registration::RegistrationFailure;

use crate::table::{Told, table};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The number, in `errorCode`.
    pub number: u32,
    /// What the reference says of it.
    pub told: Told,
}

/// The line of a device whose enrollment is disabled.
///
/// Source: docs/protocol/device-api.md §1.6 [I].
pub const DISABLED: Row = Row {
    number: 403_201,
    told: Told {
        meaning: "The enrollment is disabled.",
        cause: "The device proved itself against an individual enrollment, or a group, whose provisioning status is `disabled`.",
        remedy: "`landfall enrollment update ID --provisioning-status enabled` (or `group update`), if the device shall come in; then let it register again.",
    },
};

/// The text that goes with [`DISABLED`].
pub const DISABLED_MESSAGE: &str = "The enrollment of this device is disabled.";

/// The number that stands in the registration state of a device that could not be assigned.
pub fn failure_code(failure: &RegistrationFailure) -> u32 {
    line(failure).number
}

table! {
    /// The line of a failure.
    ///
    /// Source: docs/protocol/device-api.md §1.6 [S for 400209, I for the rest].
    fn line(failure: &RegistrationFailure) -> Row;
    /// Every reason why a device that was let in could not be assigned.
    const FAILURES;

    RegistrationFailure::NoLinkedHub => Row {
        number: 400_203,
        told: Told {
            meaning: "No linked hub may take the device.",
            cause: "The service has no linked hub, or `applyAllocationPolicy` is false for each one that the enrollment may use.",
            remedy: "Look at the linked hubs with `landfall service show`; name another hub on the enrollment, or none.",
        },
    },
    RegistrationFailure::HubNotLinked(_) => Row {
        number: 400_204,
        told: Told {
            meaning: "The hub that is named is not linked to the service.",
            cause: "The enrollment (`iotHubs`, `iotHubHostName`) names a hub that is misspelt or gone; or the reprovision policy is `never` and the hub of the earlier registration is gone.",
            remedy: "Correct the enrollment; for `never`, change the policy or delete the registration.",
        },
    },
    RegistrationFailure::StaticHubMissing => Row {
        number: 400_205,
        told: Told {
            meaning: "The `static` policy has no single hub.",
            cause: "The enrollment's allocation policy is `static`, and `iotHubs` names none or several.",
            remedy: "Name exactly one hub on the enrollment, or choose `hashed`.",
        },
    },
    RegistrationFailure::PolicyNotServed(_) => Row {
        number: 400_206,
        told: Told {
            meaning: "The allocation policy is stored and not served.",
            cause: "The enrollment's allocation policy is `custom` or `geoLatency`.",
            remedy: "Choose `hashed` or `static` until this build serves the other two.",
        },
    },
    RegistrationFailure::HubRefused(_) => Row {
        number: 400_209,
        told: Told {
            meaning: "The hub refused the device.",
            cause: "The hub does not accept what the enrollment asks for: mostly its initial twin or device id.",
            remedy: "`landfall explain REGISTRATION-ID` shows the hub's reason under `hub.refused`; correct the enrollment.",
        },
    },
}
