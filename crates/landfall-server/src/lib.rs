//! The operator's side: server, command line and all that listens or dials.

pub mod admin;
pub mod app;
pub mod backend;
pub mod client;
pub mod command;
pub mod config;
pub mod control_api;
pub mod control_names;
pub mod data_folder;
pub mod dev_bundle;
pub mod dev_ca;
pub mod dev_identity;
pub mod device_api;
pub mod faces;
pub mod founding;
pub mod hub_api;
pub mod listener;
pub mod own_api;
pub mod provisioning;
pub mod service_api;
pub mod signals;
pub mod stop;
pub mod telemetry;
pub mod time;
pub mod tls;
pub mod worker;
