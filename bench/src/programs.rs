//! The programs, one file each.

pub mod hs;
