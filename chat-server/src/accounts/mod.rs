//! Sign-up, log-in, devices and profiles over HTTP.
//!
//! | file | holds |
//! |---|---|
//! | `routes` | the paths |
//! | `users` | `/v1/users`, `/v1/me` |
//! | `sessions` | `/v1/sessions`, `/v1/devices` |
//! | `password` | which passwords are taken |
//! | `slow_down` | slows down who guesses passwords |
//! | `hasher` | Argon2id, a few at once |

#![allow(
    unused_qualifications,
    reason = "utoipa writes the paths of parameters in full"
)]

mod hasher;
mod password;
mod routes;
mod sessions;
mod slow_down;
mod users;

pub use hasher::PasswordHasher;
pub use routes::{AccountsApi, routes};
