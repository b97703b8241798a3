//! Labels whose values are known beforehand: each value has a place, so that counting finds its counter by
//! arithmetic. Names that operators give (services, hubs) are not here but in `services`.

use std::borrow::Cow;

/// A label with a fixed number of values.
pub trait Label: Copy {
    /// How many values there are.
    const COUNT: usize;

    /// Which of them this is, from 0.
    fn place(self) -> usize;

    /// The value at a place, as it is written.
    fn text(place: usize) -> Cow<'static, str>;
}

/// Labels that are counted by together.
pub trait Labels: Copy {
    /// How many combinations there are.
    const COUNT: usize;

    /// Which of them this is, from 0.
    fn place(self) -> usize;

    /// The values at a place, in the order of the labels.
    fn texts(place: usize) -> Vec<Cow<'static, str>>;
}

impl Labels for () {
    const COUNT: usize = 1;

    fn place(self) -> usize {
        0
    }

    fn texts(_: usize) -> Vec<Cow<'static, str>> {
        Vec::new()
    }
}

impl<A: Label> Labels for (A,) {
    const COUNT: usize = A::COUNT;

    fn place(self) -> usize {
        self.0.place()
    }

    fn texts(place: usize) -> Vec<Cow<'static, str>> {
        vec![A::text(place)]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn place(self) -> usize {
        self.0.place() * B::COUNT + self.1.place()
    }

    fn texts(place: usize) -> Vec<Cow<'static, str>> {
        vec![A::text(place / B::COUNT), B::text(place % B::COUNT)]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    const COUNT: usize = A::COUNT * B::COUNT * C::COUNT;

    fn place(self) -> usize {
        (self.0, self.1).place() * C::COUNT + self.2.place()
    }

    fn texts(place: usize) -> Vec<Cow<'static, str>> {
        let mut texts = <(A, B)>::texts(place / C::COUNT);
        texts.push(C::text(place % C::COUNT));
        texts
    }
}

/// Makes an enum of the values of a label.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$told:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$told])* $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// Every value as it is written, in order.
            pub const TEXTS: &'static [&'static str] = &[$($text),+];

            /// The value as it is written.
            pub const fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl Label for $name {
            const COUNT: usize = Self::TEXTS.len();

            fn place(self) -> usize {
                self as usize
            }

            fn text(place: usize) -> Cow<'static, str> {
                Cow::Borrowed(Self::TEXTS.get(place).copied().unwrap_or_default())
            }
        }
    };
}

label! {
    /// What brought a device's request.
    Protocol {
        /// HTTPS.
        Https = "https",
        /// MQTT over TLS.
        Mqtt = "mqtt",
        /// MQTT over a WebSocket.
        MqttWs = "mqtt-ws",
    }
}

label! {
    /// How a device's attempt to register ended, short of an assignment.
    Unassigned {
        /// Its enrollment is disabled.
        Disabled = "disabled",
        /// It was let in, and no hub took it.
        Failed = "failed",
        /// It was not let in.
        Refused = "refused",
        /// The request could not be read or broke a rule.
        Malformed = "malformed",
        /// It is to come back: a budget is spent.
        Throttled = "throttled",
        /// It is to come back: the server cannot answer now.
        Unavailable = "unavailable",
    }
}

/// The status of an attempt that ended with a hub, beside those of [`Unassigned`].
pub const ASSIGNED: &str = "assigned";

label! {
    /// What came of holding a device's evidence against its enrollment.
    Judged {
        /// It is who it says.
        Accepted = "accepted",
        /// It did not prove that.
        Refused = "refused",
    }
}

label! {
    /// How a device came to its hub, in the words of the wire.
    Placement {
        /// Its first assignment.
        Initial = "initialAssignment",
        /// Moved, with its data.
        Migrated = "deviceDataMigrated",
        /// Moved or reset, without its data.
        Reset = "deviceDataReset",
        /// Returned to the hub it already had.
        Returned = "reprovisionedToInitialAssignment",
    }
}

label! {
    /// What a device asked.
    Asked {
        /// To register.
        Register = "register",
        /// How far its operation is.
        Operation = "operation_status",
        /// What became of it.
        Lookup = "status_lookup",
    }
}

label! {
    /// The stages of a registration that take time, by the names of decision traces.
    Stage {
        /// The request was read.
        Request = "request",
        /// The provisioning service was read.
        Service = "service",
        /// The enrollment and what the service trusts were read.
        Enrollment = "enrollment",
        /// The evidence was checked.
        Attestation = "attestation",
        /// A hub was picked.
        Allocation = "allocation",
        /// The device was prepared for its hub.
        Hub = "hub",
        /// Everything was committed.
        Record = "record",
        /// The answer was written.
        Answer = "answer",
    }
}

label! {
    /// Whether a search among many groups found the device's.
    Search {
        /// It did.
        Found = "found",
        /// It did not.
        InVain = "in_vain",
        /// The budget was spent, and there was none.
        Refused = "refused",
    }
}

label! {
    /// A version of TLS.
    TlsVersion {
        /// 1.2.
        V1_2 = "1.2",
        /// 1.3.
        V1_3 = "1.3",
    }
}

label! {
    /// How a handshake went.
    Handshake {
        /// In one round.
        Full = "full",
        /// With a round more, since the client guessed another key exchange.
        Retried = "retried",
        /// By an earlier session.
        Resumed = "resumed",
    }
}

label! {
    /// Whether the client showed a certificate.
    ClientCertificate {
        /// It did.
        Shown = "shown",
        /// It did not.
        None = "none",
    }
}

label! {
    /// Why a handshake failed.
    NoHandshake {
        /// It did not end in time.
        Timeout = "timeout",
        /// The client left in the midst.
        Left = "client_left",
        /// The client spoke plain HTTP.
        Plain = "plain_http",
        /// The client broke it off by an alert: mostly, it does not trust the server's certificate.
        Alert = "client_alert",
        /// The client offers no version, suite or key exchange of this server's.
        Incompatible = "incompatible",
        /// The client's certificate cannot be read, or it does not hold its key.
        Certificate = "client_certificate",
        /// What came was no TLS, or wrong.
        Malformed = "malformed",
        /// Anything else.
        Other = "other",
    }
}

label! {
    /// Whose path a request named.
    Face {
        /// The device API.
        Device = "device",
        /// The service API.
        Service = "service",
        /// The control plane.
        Control = "control",
        /// The hub API.
        Hub = "hub",
        /// Landfall's own routes.
        Own = "own",
        /// Nobody's.
        Nobody = "none",
    }
}

label! {
    /// What a request's method means to do.
    Method {
        /// GET and HEAD.
        Read = "read",
        /// PUT, POST, PATCH and DELETE.
        Write = "write",
        /// Any other.
        Other = "other",
    }
}

label! {
    /// Why the store tries a group of writes again.
    Retry {
        /// Another server wrote the same at the same time.
        Collision = "collision",
        /// The connection to the database was lost.
        Connection = "connection",
    }
}

label! {
    /// What came of continuing an operation that was left unfinished.
    Continued {
        /// It is at its end.
        Ended = "ended",
        /// It is tried again later.
        Postponed = "postponed",
    }
}

/// The status of an HTTP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub http::StatusCode);

const LOWEST_STATUS: u16 = 100;

impl Label for Status {
    const COUNT: usize = 500;

    fn place(self) -> usize {
        let place = usize::from(self.0.as_u16().saturating_sub(LOWEST_STATUS));
        place.min(Self::COUNT - 1)
    }

    fn text(place: usize) -> Cow<'static, str> {
        Cow::Owned((place + usize::from(LOWEST_STATUS)).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_place_of_its_own_and_is_read_back() {
        let last = (Face::Nobody, Method::Other, Status(http::StatusCode::OK));
        let place = last.place();
        assert_eq!(
            <(Face, Method, Status)>::texts(place),
            ["none", "other", "200"]
        );
        assert_eq!((TlsVersion::V1_3, ClientCertificate::None).place(), 3);
        assert_eq!(<(TlsVersion, ClientCertificate)>::texts(1), ["1.2", "none"]);
        assert_eq!(<(TlsVersion, ClientCertificate)>::COUNT, 4);
    }

    #[test]
    fn placements_are_spelt_as_on_the_wire() {
        use landfall_core::registration::Substatus;
        use landfall_wire::status::substatus_name;
        for (placement, substatus) in [
            (Placement::Initial, Substatus::InitialAssignment),
            (Placement::Migrated, Substatus::DeviceDataMigrated),
            (Placement::Reset, Substatus::DeviceDataReset),
            (
                Placement::Returned,
                Substatus::ReprovisionedToInitialAssignment,
            ),
        ] {
            assert_eq!(
                Placement::text(placement.place()),
                substatus_name(substatus)
            );
        }
    }
}
