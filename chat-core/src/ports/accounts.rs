//! Sign-up, passwords and tokens: only the reference server needs them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_proto::{DeviceId, Timestamp, UserId};

use super::{PortError, WrittenEntries};

/// SHA-256 of an opaque token. The token itself is stored nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash(pub [u8; 32]);

/// A user who signed up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The log-in name, which is the user id.
    pub user: UserId,
    /// The password as a PHC string.
    pub password_hash: String,
}

impl Account {
    /// An account as a store kept it.
    pub fn new(user: UserId, password_hash: String) -> Self {
        Self {
            user,
            password_hash,
        }
    }
}

/// A sign-up.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The log-in name.
    pub user: UserId,
    /// The password as a PHC string.
    pub password_hash: String,
    /// The display name.
    pub name: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A token to remember.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its hash.
    pub hash: TokenHash,
    /// For whom.
    pub user: UserId,
    /// For which device: one token a device, the newer replaces the older.
    pub device: DeviceId,
    /// The device's name, for the list of devices.
    pub device_name: String,
    /// The device's platform, as `web` or `ios`.
    pub platform: String,
    /// When it was given out.
    pub at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A new password.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Whose.
    pub user: UserId,
    /// The password that was compared, as its PHC string.
    pub former_hash: String,
    /// The new one as a PHC string.
    pub password_hash: String,
    /// The device that stays logged in.
    pub keep: DeviceId,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The user's display name.
    pub name: Option<String>,
}

/// Accounts of the reference server.
///
/// # Contract
/// - `sign_up` MUST be atomic: of two at once with one name exactly one yields `true` (`one_sign_up_wins`).
/// - A name that was taken MUST stay taken (`names_are_never_reused`), and a refused sign-up MUST change nothing
///   (`a_refused_sign_up_changes_nothing`).
/// - `store_token` MUST make the device known to `UserStore::devices` of the same store and tell the user's own log of it, in
///   one transaction, and answer the entry (`a_token_makes_a_device`), and replace an older token of the device
///   (`one_token_a_device`).
/// - `set_password` MUST change the password of an account only where the former one is still what its caller compared
///   with, and revoke the tokens of all devices but one in the same transaction (`a_new_password_revokes_the_others`,
///   `a_password_changes_only_from_the_one_compared`).
/// - After `revoke` no look-up MUST find the device's token (`revoked_is_gone`), and other devices' tokens MUST remain
///   (`revoking_one_spares_the_others`).
/// - What was acknowledged MUST be found after `reopen` (`accounts_survive_reopen`).
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Takes the name; `false` when it is taken.
    async fn sign_up(&self, account: NewAccount) -> Result<bool, PortError>;

    /// The account with this name.
    async fn account(&self, user: &UserId) -> Result<Option<Account>, PortError>;

    /// Remembers a token.
    async fn store_token(&self, token: NewToken) -> Result<WrittenEntries, PortError>;

    /// Whom the token with this hash stands for; ended ones included, the caller compares `expires_at`.
    async fn token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>, PortError>;

    /// Changes the password and answers whose tokens were revoked with it; nothing where the account is not there or its
    /// password is another by now.
    async fn set_password(
        &self,
        password: NewPassword,
    ) -> Result<Option<BTreeSet<DeviceId>>, PortError>;

    /// Forgets the device's token; `false` when there was none.
    async fn revoke(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError>;
}
