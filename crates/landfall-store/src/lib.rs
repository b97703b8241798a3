//! Where everything is kept: the only place with SQL.
//!
//! [`SqlStore`] keeps the promises of `landfall_core::store::Store` and
//! `landfall_hub::store::HubStore`. Each subject file says in portable SQL what it reads and
//! writes; `dialect` runs it, `commit` gathers many callers' writes into one durable commit, `secret`
//! seals keys, `migrate` brings the schema up to date, [`dump`] writes everything to a file and loads it
//! again, [`examination`] tells of a database without using it. An [`Observer`] is told what the store does.
//! The server opens one store and closes it last.

mod audit;
mod certificates;
mod commit;
mod devices;
mod dialect;
pub mod dump;
mod enrollments;
mod events;
pub mod examination;
mod expectation;
mod hubs;
mod lease;
mod linked_hubs;
mod messages;
mod migrate;
mod observer;
mod operations;
mod record;
mod registrations;
mod relayed;
mod revisions;
pub mod schema;
pub mod secret;
mod services;
mod sessions;
mod store;
mod tags;
mod traces;

pub use dialect::{Durability, PostgresUrl, UrlError};
pub use observer::{Again, Observer};
pub use store::{OpenError, SqlStore};
