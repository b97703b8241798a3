//! The words for what became of a registration: status and substatus, and what the reference says of
//! each. Called by the bodies of [`crate::device`] and by the reference.

use landfall_core::registration::{RegistrationStatus, Substatus};

use crate::table::table;

/// One status of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The word on the wire.
    pub word: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// When this server answers it.
    pub here: &'static str,
    /// When the cloud service does, as far as it is published.
    pub cloud: &'static str,
    /// What the device should do.
    pub device: &'static str,
    /// What the operator should look at.
    pub operator: &'static str,
}

/// The device has not registered yet.
pub const UNASSIGNED: Status = Status {
    word: "unassigned",
    meaning: "The device has not registered yet.",
    here: "Never as a word: an enrollment whose device never registered has no `registrationState`, and status lookup answers 404 (404201).",
    cloud: "Documented as the state before the first registration; an enrollment that is read before it has either no `registrationState` or this word in it.",
    device: "Register. A device that reads this word while it polls waits and polls again.",
    operator: "Nothing is wrong with the enrollment. If the device should have registered by now, `landfall explain ID` tells whether it tried.",
};

/// The registration is in progress.
pub const ASSIGNING: Status = Status {
    word: "assigning",
    meaning: "The registration is in progress.",
    here: "In the 202 to every register, even when the hub is known at once; and in the 202 to a poll while the operation runs. Never in what an operator reads.",
    cloud: "The same, and while a device moves between hubs.",
    device: "Wait as long as `Retry-After` says, then ask for the operation's status. Every SDK does.",
    operator: "Nothing, if it passes within seconds. If it stays: the log, `/readyz`, and `landfall explain ID`.",
};

table! {
    /// The line of a status that a registration ended with.
    ///
    /// Source: docs/protocol/device-api.md §0 [S], §1.6 [I for disabled].
    fn line(status: &RegistrationStatus) -> Status;
    /// Every status that a registration can end with.
    const ENDED;

    RegistrationStatus::Assigned => Status {
        word: "assigned",
        meaning: "The device has a hub.",
        here: "In the 200 to a poll, once hub, device and registration are durably written; `assignedHub`, `deviceId` and `substatus` are there.",
        cloud: "The same.",
        device: "Keep hub and device id, end the provisioning connection, connect to the hub with the same credential. Register again only when the hub refuses, or on a reset.",
        operator: "`landfall registration show ID` for the hub, `landfall hub device show DEVICE-ID` for the device on it.",
    },
    RegistrationStatus::Failed(_) => Status {
        word: "failed",
        meaning: "The device was let in, and no hub could take it.",
        here: "In the 200 to a poll, with one of the numbers below in `errorCode`. The device's evidence was good: a device that is refused reads 401 and has no such status.",
        cloud: "Seen with 400207 (custom allocation failed); SDKs know 400208 and 400209.",
        device: "Report `errorCode` and `errorMessage`, wait long, register again. Polling again gives the same answer.",
        operator: "The number's row in [error codes](errors.md#registration-states), then linked hubs, allocation policy and initial twin of the enrollment. An earlier hub stays on record.",
    },
    RegistrationStatus::Disabled => Status {
        word: "disabled",
        meaning: "The enrollment of the device is disabled.",
        here: "In the 200 to a poll, to a device that proved itself against a disabled enrollment; `errorCode` is 403201. Whoever does not prove itself reads 401. A device that is assigned and does not register again keeps its status.",
        cloud: "Documented for exactly this; on which transport and with which status is not published.",
        device: "Stop. Register again after a long while, or when told to. SDKs without the word (Node, Python) end with an error.",
        operator: "`landfall enrollment show ID` or `landfall group show ID`: was it disabled on purpose? Enable it with `--provisioning-status enabled`.",
    },
}

/// Every status, in the order of a device's life.
pub fn statuses() -> impl Iterator<Item = &'static Status> {
    [&UNASSIGNED, &ASSIGNING].into_iter().chain(ENDED)
}

/// The word for a status.
pub fn status_name(status: &RegistrationStatus) -> &'static str {
    line(status).word
}

/// One substatus of a registration that is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubstatusRow {
    /// The word on the wire.
    pub word: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// When this server answers it.
    pub here: &'static str,
}

table! {
    /// The line of a substatus.
    ///
    /// Source: docs/protocol/device-api.md §0 [S]; docs/protocol/service-api.md §8.4 [D].
    fn substatus_line(substatus: &Substatus) -> SubstatusRow;
    /// Every substatus.
    const SUBSTATUSES;

    Substatus::InitialAssignment => SubstatusRow {
        word: "initialAssignment",
        meaning: "The first assignment of this registration id.",
        here: "There was no registration with a hub before, or an operator deleted it. The device starts with the enrollment's initial twin.",
    },
    Substatus::DeviceDataMigrated => SubstatusRow {
        word: "deviceDataMigrated",
        meaning: "Moved to another hub, with its data.",
        here: "Allocation chose another hub, or the enrollment another device id, and the policy migrates data: twin and capabilities went along.",
    },
    Substatus::DeviceDataReset => SubstatusRow {
        word: "deviceDataReset",
        meaning: "Moved or kept, and back at the initial twin.",
        here: "The policy resets data (`reprovisionandresetdata`): on the same hub too, the twin is the enrollment's initial one again.",
    },
    Substatus::ReprovisionedToInitialAssignment => SubstatusRow {
        word: "reprovisionedToInitialAssignment",
        meaning: "Returned to the hub that it already had.",
        here: "The policy is `never`, or it migrates and allocation chose the same hub again. The twin is untouched.",
    },
}

/// The word for a substatus.
pub fn substatus_name(substatus: Substatus) -> &'static str {
    substatus_line(&substatus).word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_words_are_told_in_the_order_of_a_devices_life() {
        let words: Vec<&str> = statuses().map(|status| status.word).collect();
        assert_eq!(
            words,
            ["unassigned", "assigning", "assigned", "failed", "disabled"]
        );
    }

    #[test]
    fn a_registration_that_ended_has_the_word_of_its_line() {
        assert_eq!(status_name(&RegistrationStatus::Disabled), "disabled");
        assert_eq!(
            substatus_name(Substatus::DeviceDataReset),
            "deviceDataReset"
        );
    }
}
