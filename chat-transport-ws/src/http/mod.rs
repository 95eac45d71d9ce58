//! Requests: who asks, what was sent, and what answers. A program that serves more paths beside the transport's uses the
//! same extractors and the same error, so that its API has one face.
//!
//! | file | holds |
//! |---|---|
//! | `error` | [`ApiError`]: `{code, message, retry_after_ms?}` with its status |
//! | `bearer` | [`Bearer`]: who asks |
//! | `body` | [`JsonBody`]: what was sent |
//! | `client_address` | [`ClientAddress`]: from where |
//! | `params` | [`PathParams`], [`QueryParams`]: what the address says |
//! | `channels`, `members`, `messages`, `people`, `op`, `poll`, `connect` | the paths that the engine answers |

#![allow(
    unused_qualifications,
    reason = "utoipa writes the paths of parameters in full"
)]

mod bearer;
mod body;
pub(crate) mod channels;
mod client_address;
pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod op;
mod params;
pub(crate) mod people;
pub(crate) mod poll;

pub use bearer::Bearer;
pub(crate) use bearer::Uncounted;
pub use body::JsonBody;
pub use client_address::ClientAddress;
pub use error::{ApiError, ApiResult};
pub use params::{PathParams, QueryParams};
