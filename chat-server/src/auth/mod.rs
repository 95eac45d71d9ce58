//! Tokens to users, and which users there are.
//!
//! | file | holds |
//! |---|---|
//! | `authenticator` | both kinds of token |
//! | `jwt` | the host's tokens |
//! | `directory` | which users there are |

mod authenticator;
mod directory;
mod jwt;

pub use authenticator::{Token, TokenAuthenticator};
pub use directory::ServerDirectory;
pub use jwt::{JwtError, JwtVerifier};

/// The name under which the server itself writes to channels: no log-in name, and refused in a JWT.
pub const SYSTEM_USER: &str = "@system";
