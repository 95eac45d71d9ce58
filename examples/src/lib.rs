//! What the examples share: a store of one's own, which `custom-store` runs and the conformance kit examines.

#[path = "../custom-store/journal_store.rs"]
pub mod journal_store;
