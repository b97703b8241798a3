//! Enrollments on their way between services: read from one, kept as lines, written into another.
//!
//! Reading, and `bulk` and `sink`, speak the public service API only, so that either end may be another
//! service than ours; `stream` is for one that has our import route. `landfall enrollment export` and `import` put the parts together; nothing else calls them.

pub mod bulk;
pub mod caller;
pub mod fit;
pub mod likeness;
pub mod line;
pub mod parts;
pub mod sink;
pub mod source;
pub mod stream;
pub mod table;
pub mod tally;
