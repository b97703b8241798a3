//! What measuring programs share. The programs themselves are in `main.rs` and its parts, and each
//! further one in a file of `src/bin`. Nothing here is part of the product.

pub mod identity;
pub mod load;
