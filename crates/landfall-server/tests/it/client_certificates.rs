//! Client certificates in real handshakes: the odd ones that must pass with openssl as the client,
//! the lying client that never may, and the proof that sessions are not resumed.
//!
//! Source: docs/protocol/x509.md §1, §5.

mod end;
mod files;
mod lying;
mod odd;
mod resumption;
