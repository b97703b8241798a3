//! Enrollments on their way between services: read from one, kept as lines, written into another.
//!
//! Everything here speaks the public service API only, so that either end may be another service than
//! ours. `landfall enrollment export` and `import` put the parts together; nothing else calls them.

pub mod caller;
pub mod fit;
pub mod likeness;
pub mod line;
pub mod sink;
pub mod source;
pub mod tally;
