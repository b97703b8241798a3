//! What the store promises, tried on real files; and the promises of the floors below, kept on it.

mod conformance;
mod disk;
mod dump;
mod durability;
mod examination;
mod fixture;
mod hub;
mod opening;
mod postgres;
mod registry;
mod sealing;
mod upgrade;
