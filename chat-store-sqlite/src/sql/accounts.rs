//! Statements over accounts and tokens; by primary key, tokens also by `tokens.hash`.

/// A user whom the store knows without an account belongs to another log-in: the name is as taken as any.
pub(crate) const SIGN_UP: &str = "
    INSERT INTO accounts (user, password_hash, created_at)
    SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM users WHERE user = ?1)
    ON CONFLICT (user) DO NOTHING";

pub(crate) const ACCOUNT: &str = "SELECT password_hash FROM accounts WHERE user = ?1";

/// One token a device: the newer takes the older's row.
pub(crate) const STORE_TOKEN: &str = "
    INSERT OR REPLACE INTO tokens (user, device, hash, at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(crate) const TOKEN_OWNER: &str = "
    SELECT t.user, t.device, t.expires_at, u.name
    FROM tokens t LEFT JOIN users u ON u.user = t.user
    WHERE t.hash = ?1";

pub(crate) const REVOKE: &str = "DELETE FROM tokens WHERE user = ?1 AND device = ?2";

pub(crate) const SET_PASSWORD: &str =
    "UPDATE accounts SET password_hash = ?3 WHERE user = ?1 AND password_hash = ?2";

pub(crate) const REVOKE_OTHERS: &str =
    "DELETE FROM tokens WHERE user = ?1 AND device <> ?2 RETURNING device";
