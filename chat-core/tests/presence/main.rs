//! Presence on the runtime's paused clock: who is seen as what, when, by whom; and what can go wrong on the way.

mod beats;
mod bus;
mod status;
mod storm;
mod trouble;
mod watching;
mod world;
