//! Statements over users and devices; all by primary key.

/// The first sight makes the row; later ones change nothing.
pub(crate) const INSERT_USER: &str = "
    INSERT INTO users (user_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (user_id) DO NOTHING";

pub(crate) const DEVICE_SEEN: &str = "
    INSERT INTO devices AS d (user_id, device, name, platform, client, created_at, seen_at)
    VALUES ($1, $2, NULL, '', $3, $4, $4)
    ON CONFLICT (user_id, device) DO UPDATE SET seen_at = GREATEST(d.seen_at, excluded.seen_at)";

pub(crate) const DEVICE_NAMED: &str = "
    INSERT INTO devices AS d (user_id, device, name, platform, client, created_at, seen_at)
    VALUES ($1, $2, $3, $4, '', $5, $5)
    ON CONFLICT (user_id, device) DO UPDATE SET
        name = excluded.name, platform = excluded.platform, seen_at = GREATEST(d.seen_at, excluded.seen_at)";

pub(crate) const FORGET_DEVICE: &str = "DELETE FROM devices WHERE user_id = $1 AND device = $2";

pub(crate) const PROFILE: &str =
    "SELECT user_id, name, direct, created_at FROM users WHERE user_id = $1";

pub(crate) const SET_PROFILE: &str = "UPDATE users SET name = $2, direct = $3 WHERE user_id = $1";

pub(crate) const DEVICE: &str = "
    SELECT device, coalesce(name, client) AS name, platform, created_at, seen_at
    FROM devices WHERE user_id = $1 AND device = $2";

pub(crate) const DEVICES: &str = "
    SELECT device, coalesce(name, client) AS name, platform, created_at, seen_at
    FROM devices WHERE user_id = $1 ORDER BY created_at, device";
