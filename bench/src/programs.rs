//! The programs, one file each.

pub mod hello;
pub mod hs;
pub mod store;
pub mod store_postgres;
