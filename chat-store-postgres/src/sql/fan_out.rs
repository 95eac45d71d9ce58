//! Statements over fan-out marks and leases; by primary key, but for the look at the marks of the dead, which are few.

/// The lower place of two stands. A mark that names a channel twice would update one row twice.
pub(crate) const KEEP: &str = "
    INSERT INTO fan_out_marks (owner, channel, after_seq)
    SELECT owner, channel, min(after_seq)
    FROM UNNEST($1::bytea[], $2::uuid[], $3::bigint[]) AS kept (owner, channel, after_seq)
    GROUP BY owner, channel
    ON CONFLICT (owner, channel) DO UPDATE SET after_seq = least(fan_out_marks.after_seq, excluded.after_seq)";

pub(crate) const DROP: &str =
    "DELETE FROM fan_out_marks WHERE owner = $1 AND channel = ANY($2::uuid[])";

pub(crate) const RENEW: &str = "
    INSERT INTO server_leases (owner, lives_until) VALUES ($1, $2)
    ON CONFLICT (owner) DO UPDATE SET lives_until = greatest(server_leases.lives_until, excluded.lives_until)";

/// Leases that ended an hour ago, of owners who left nothing, are of no use to anybody.
pub(crate) const FORGET_LEASES: &str = "
    DELETE FROM server_leases l
    WHERE l.lives_until < $1 - 3600000 AND NOT EXISTS (SELECT 1 FROM fan_out_marks m WHERE m.owner = l.owner)";

pub(crate) const ORPHANED: &str = "
    SELECT m.owner, m.channel, m.after_seq
    FROM fan_out_marks m LEFT JOIN server_leases l ON l.owner = m.owner
    WHERE coalesce(l.lives_until <= $1, true)
    ORDER BY m.owner, m.channel
    LIMIT $2";
