//! Tokens of a host's users, so that thousands of them need no sign-up.

use std::time::{Duration, SystemTime};

use chat_proto::{DeviceId, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use uuid::Uuid;

/// How long a token holds: longer than any run.
const TOKEN_AGE: Duration = Duration::from_secs(24 * 3600);

/// Signs tokens that a server with the same secret takes.
pub(crate) struct Signer {
    secret: String,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a UserId,
    device: DeviceId,
    exp: u64,
}

impl Signer {
    /// With a secret of its own.
    pub(crate) fn random() -> Self {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let key = EncodingKey::from_secret(secret.as_bytes());
        Self { secret, key }
    }

    /// What the server must be given.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A token for one device of a user.
    pub(crate) fn token(&self, user: &UserId, device: DeviceId) -> String {
        let expires = SystemTime::now() + TOKEN_AGE;
        let exp = expires
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("the clock is past 1970")
            .as_secs();
        let claims = Claims {
            sub: user,
            device,
            exp,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.key)
            .expect("three plain claims can be signed with a secret")
    }
}
