//! Tables of what the wire says: one line per variant of an enum, found by match and listed as a
//! whole. A variant without its line does not compile; [`crate::fault`] and [`crate::status`] are
//! written so.

/// What a line of a table tells those who read the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What it says, in one sentence.
    pub meaning: &'static str,
    /// What leads to it.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Writes a function that finds the line of a value, and the list of all lines.
macro_rules! table {
    (
        $(#[$found:meta])* fn $name:ident($value:ident: &$of:ty) -> $line:ty;
        $(#[$listed:meta])* const $all:ident;
        $($pattern:pat => $written:expr,)+
    ) => {
        $(#[$found])*
        fn $name($value: &$of) -> &'static $line {
            match $value {
                $($pattern => {
                    const LINE: $line = $written;
                    &LINE
                })+
            }
        }

        $(#[$listed])*
        pub const $all: &[$line] = &[$($written),+];
    };
}

pub(crate) use table;
