//! The tasks that write. Requests queue up in [`queue`], each at the writer that its channel or user belongs to; a [`task`]
//! takes all that are there, writes them in one [`transaction`] and answers them when it is committed. What is in a queue is
//! written whether its caller waits or not.
//!
//! Nothing is remembered from one transaction to the next: other servers write as well. A transaction first locks the rows of
//! everything that it writes about (`channels`, `user_heads`), in one order for everybody, and from then on it is alone
//! with them. An append is turned into rows on its caller's task ([`PreparedAppend`](chat_core::rows::PreparedAppend)), set against the locked heads ([`plan`]), and
//! written with the rows of all others, table by table ([`append`]).

mod append;
mod bodies;
mod fan_out;
mod marks;
mod people;
mod personal;
mod plan;
mod queue;
mod rows;
mod task;
mod transaction;

pub(crate) use bodies::BodyWrite;
pub(crate) use fan_out::FanOutWrite;
pub(crate) use people::PersonWrite;
pub(crate) use queue::WriteQueues;

/// What is stored is not what was written.
fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
