//! The programs, one file each.

pub mod bare;
pub mod fleet;
pub mod hello;
pub mod hs;
pub mod plain;
pub mod reads;
pub mod store;
pub mod store_postgres;
pub mod written;
