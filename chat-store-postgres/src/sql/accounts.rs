//! Statements over accounts and tokens; by primary key, tokens also by `tokens_by_hash`.

/// A user whom the store knows without an account belongs to another log-in: the name is as taken as any.
pub(crate) const SIGN_UP: &str = "
    INSERT INTO accounts (user_id, password_hash, created_at)
    SELECT $1::text, $2::bytea, $3::bigint WHERE NOT EXISTS (SELECT 1 FROM users WHERE user_id = $1)
    ON CONFLICT (user_id) DO NOTHING";

pub(crate) const ACCOUNT: &str = "SELECT password_hash FROM accounts WHERE user_id = $1";

/// A token stands for one device.
pub(crate) const FREE_HASH: &str = "
    DELETE FROM tokens WHERE hash = $1 AND NOT (user_id = $2 AND device = $3)";

/// One token a device: the newer takes the older's row.
pub(crate) const STORE_TOKEN: &str = "
    INSERT INTO tokens (user_id, device, hash, at, expires_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, device) DO UPDATE SET
        hash = excluded.hash, at = excluded.at, expires_at = excluded.expires_at";

pub(crate) const TOKEN_OWNER: &str = "
    SELECT t.user_id, t.device, t.expires_at, u.name
    FROM tokens t LEFT JOIN users u ON u.user_id = t.user_id
    WHERE t.hash = $1";

pub(crate) const REVOKE: &str = "DELETE FROM tokens WHERE user_id = $1 AND device = $2";

pub(crate) const SET_PASSWORD: &str =
    "UPDATE accounts SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2";

pub(crate) const REVOKE_OTHERS: &str =
    "DELETE FROM tokens WHERE user_id = $1 AND device <> $2 RETURNING device";
