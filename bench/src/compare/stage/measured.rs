//! What can be measured, at which server, and how many pieces of work at once.

/// Pieces of work at once, unless the measure says otherwise.
pub(super) const IN_FLIGHT: usize = 128;
/// Where nginx does best with fresh connections.
const NGINX_IN_FLIGHT: usize = 16;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Measured {
    BareHandshake,
    BareClientHandshake,
    Handshake,
    FirstGet,
    Register,
    Pair,
    CertificatePair,
    KeptPair,
    HelloKept,
    OurHelloKept,
    NginxFresh,
    NginxKept,
    /// All that a registration leaves in SQLite, and all that it leaves with its poll, by a bare loop.
    RowsOfRegister,
    RowsOfPair,
    Layer,
    BareLoop,
    PostgresLayer,
    PostgresLoop,
    PostgresWithStandby,
    /// Over MQTT: a device that provisions, its twin asked for, its messages; each beside what a broker does.
    MqttPair,
    BrokerEcho,
    TwinGet,
    BrokerQuestion,
    Telemetry,
    BrokerMessages,
}

/// The servers, each a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Landfall,
    /// A handshake and one byte; the other asks for certificates.
    Hs,
    HsClient,
    Hello,
    HelloOurs,
    Nginx,
    Mosquitto,
}

impl Measured {
    /// The server that it is measured at; nothing when it is a program that ends by itself.
    pub(super) fn place(self) -> Option<Place> {
        Some(match self {
            Measured::BareHandshake => Place::Hs,
            Measured::BareClientHandshake => Place::HsClient,
            Measured::Handshake
            | Measured::FirstGet
            | Measured::Register
            | Measured::Pair
            | Measured::CertificatePair
            | Measured::KeptPair
            | Measured::MqttPair
            | Measured::TwinGet
            | Measured::Telemetry => Place::Landfall,
            Measured::HelloKept => Place::Hello,
            Measured::OurHelloKept => Place::HelloOurs,
            Measured::NginxFresh | Measured::NginxKept => Place::Nginx,
            Measured::BrokerEcho | Measured::BrokerQuestion | Measured::BrokerMessages => {
                Place::Mosquitto
            }
            Measured::RowsOfRegister
            | Measured::RowsOfPair
            | Measured::Layer
            | Measured::BareLoop
            | Measured::PostgresLayer
            | Measured::PostgresLoop
            | Measured::PostgresWithStandby => return None,
        })
    }

    /// How many pieces of work at once.
    pub(super) fn in_flight(self) -> usize {
        match self {
            Measured::NginxFresh => NGINX_IN_FLIGHT,
            _ => IN_FLIGHT,
        }
    }

    /// Whether connections are kept from one piece of work to the next.
    pub(super) fn kept(self) -> bool {
        matches!(
            self,
            Measured::KeptPair
                | Measured::HelloKept
                | Measured::OurHelloKept
                | Measured::NginxKept
                | Measured::TwinGet
                | Measured::BrokerQuestion
                | Measured::Telemetry
                | Measured::BrokerMessages
        )
    }
}
