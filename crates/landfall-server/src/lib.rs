//! The operator's side: server, command line and all that listens or dials.

pub mod data_folder;
pub mod dev_ca;
pub mod dev_identity;
pub mod listener;
pub mod signals;
pub mod stop;
pub mod time;
pub mod tls;
