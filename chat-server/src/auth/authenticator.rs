//! Both kinds of token.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_core::ports::{Accounts, Authenticator, Clock, Identity, PortError, Retry, TokenHash};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::jwt::JwtVerifier;

/// Bytes that a token is drawn of.
const TOKEN_BYTES: usize = 32;
/// Characters of a token: its bytes in base64.
const TOKEN_CHARS: usize = 43;

/// A token of the server's own: 256 random bits, of which only a hash is kept.
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn draw() -> Result<Self, PortError> {
        let mut bytes = [0; TOKEN_BYTES];
        let drawn = OsRng.try_fill_bytes(&mut bytes);
        drawn.map_err(|error| {
            PortError::unavailable("tokens.draw", Retry::Safe).with_source(error)
        })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token as its owner sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        hash(&self.0)
    }
}

/// The server's own tokens by their hash, and the host's by their signature.
#[derive(Clone)]
pub struct TokenAuthenticator {
    accounts: Arc<dyn Accounts>,
    jwt: Option<Arc<JwtVerifier>>,
    clock: Arc<dyn Clock>,
}

impl TokenAuthenticator {
    /// Tokens of these accounts and, with a verifier, of the host.
    pub fn new(
        accounts: Arc<dyn Accounts>,
        jwt: Option<JwtVerifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            accounts,
            jwt: jwt.map(Arc::new),
            clock,
        }
    }
}

#[async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        // Base64 has no point, and a JWT has two.
        if token.contains('.') {
            return Ok(self.jwt.as_ref().and_then(|jwt| jwt.verify(token)));
        }
        if token.len() != TOKEN_CHARS {
            return Ok(None);
        }
        // Looked up by a hash of 256 random bits: how long that takes tells nothing about tokens there are.
        let owner = self.accounts.token_owner(&hash(token)).await?;
        let owner = owner.filter(|owner| owner.expires_at > self.clock.now());
        Ok(owner.map(|owner| {
            Identity::new(owner.user, owner.device)
                .named(owner.name)
                .expiring(Some(owner.expires_at))
        }))
    }
}

fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_have_the_expected_length() {
        let (one, other) = (
            Token::draw().expect("randomness"),
            Token::draw().expect("randomness"),
        );
        assert_ne!(one.as_str(), other.as_str());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.as_str().len(), TOKEN_CHARS);
    }
}
