//! The programs, one file each.

pub mod bare;
pub mod hello;
pub mod hs;
pub mod least;
pub mod store;
pub mod store_postgres;
