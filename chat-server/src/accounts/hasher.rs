//! Argon2id, a few at once: each takes 19 MiB and a core for a while, and log-ins must not take the server's from those
//! who are in.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use chat_core::proto::Rejection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory of one hash.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes of it.
const LANES: u32 = 1;
/// Requests that wait for a hash; more are refused.
const WAITING_MAX: usize = 128;
/// When a refused one had better come again.
const RETRY_AFTER_MS: u64 = 2_000;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Of no password that anybody knows; verified where there is no account, so that this takes as long.
    nobody: Arc<str>,
}

impl PasswordHasher {
    /// At most so many at once.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(running_max: usize) -> Result<Self, Rejection> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .expect("the parameters are in Argon2's range");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "")?;
        Ok(Self {
            argon2,
            running: Arc::new(Semaphore::new(running_max)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: nobody.into(),
        })
    }

    /// The password's hash as a PHC string.
    ///
    /// # Errors
    /// `unavailable` when too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Rejection> {
        let argon2 = self.argon2.clone();
        self.run(move || hash(&argon2, &password)).await?
    }

    /// Whether the password is the one of this hash; without one it is not, after the same work.
    ///
    /// # Errors
    /// `unavailable` when too many wait already.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Rejection> {
        let argon2 = self.argon2.clone();
        let exists = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        self.run(move || {
            let parsed = PasswordHash::new(&hash);
            let is_right =
                parsed.is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok());
            is_right && exists
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, also when nobody waits for it any more.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| busy())
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        let _waits = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        Ok(turn.expect("the semaphore is never closed"))
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, Rejection> {
    match argon2.hash_password(password.as_bytes()) {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a password could not be hashed");
            Err(busy())
        }
    }
}

fn busy() -> Rejection {
    Rejection::unavailable("too many are logging in: try again in a moment")
        .retry_after_ms(RETRY_AFTER_MS)
}

#[cfg(test)]
mod tests {
    use chat_core::proto::Code;

    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_nobody_has_one() {
        let hasher = PasswordHasher::new(1).expect("randomness");
        let hash = hasher.hash("correct horse".to_owned()).await.expect("room");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_eq!(
            hasher
                .verify("correct horse".to_owned(), Some(hash.clone()))
                .await,
            Ok(true)
        );
        assert_eq!(
            hasher.verify("wrong horse".to_owned(), Some(hash)).await,
            Ok(false)
        );
        assert_eq!(
            hasher.verify(String::new(), None).await,
            Ok(false),
            "nobody's hash lets nobody in"
        );
        assert_eq!(
            hasher
                .verify("x".to_owned(), Some("garbage".to_owned()))
                .await,
            Ok(false)
        );
    }

    #[tokio::test]
    async fn those_beyond_the_queue_are_sent_away() {
        let hasher = PasswordHasher::new(1).expect("randomness");
        let turn = hasher.turn().await.expect("the first");
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.turn())).collect();
        for turn in &mut waiting {
            assert!(futures_util::poll!(turn).is_pending());
        }
        let rejection = hasher
            .hash("one more".to_owned())
            .await
            .expect_err("no room");
        assert_eq!(
            (rejection.code, rejection.retry_after_ms),
            (Code::Unavailable, Some(RETRY_AFTER_MS))
        );
        drop((turn, waiting));
        assert!(hasher.turn().await.is_ok());
    }
}
