//! What kills real servers has in common: a server that can be killed, how its clients reach it, and chance that
//! can be repeated. The kill points are the program `landfall-crash`, the long run is `landfall-soak`.

pub mod access;
pub mod chance;
pub mod server;
