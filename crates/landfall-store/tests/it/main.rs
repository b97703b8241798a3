//! What the store promises, tried on real files; and the promises of the floors below, kept on it.

mod conformance;
mod disk;
mod doubt;
mod dump;
mod durability;
mod examination;
mod fixture;
mod hub;
mod nodes;
mod observed;
mod opening;
mod postgres;
mod registry;
mod relayed;
mod sealing;
mod upgrade;
