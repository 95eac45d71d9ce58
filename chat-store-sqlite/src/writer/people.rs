//! Writes about people, which are rare: one statement each, in the order of the queue.

use chat_core::ports::{DeviceSeen, NewAccount, NewToken};
use chat_proto::{DeviceId, UserId};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

use crate::decode::bound;
use crate::sql::rows::Binds;
use crate::sql::{accounts, users};

/// A write of `UserStore` or `Accounts`.
#[derive(Debug)]
pub(crate) enum PersonWrite {
    Seen(DeviceSeen),
    ForgetDevice { user: UserId, device: DeviceId },
    SignUp(NewAccount),
    StoreToken(NewToken),
    Revoke { user: UserId, device: DeviceId },
}

impl PersonWrite {
    /// Writes; whether anything changed, as the port asks.
    pub(super) async fn write(&self, db: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        match self {
            Self::Seen(seen) => {
                see_user(db, &seen.user, seen.user_name.as_deref(), bound(seen.at.0)).await?;
                let mut binds = Binds::default();
                binds
                    .add(seen.user.as_str())
                    .add(seen.device.as_bytes().as_slice())
                    .add(seen.client.as_str())
                    .add(bound(seen.at.0));
                run(db, users::DEVICE_SEEN, binds).await
            }
            Self::ForgetDevice { user, device } => {
                run(db, users::FORGET_DEVICE, of_device(user, *device)).await
            }
            Self::SignUp(account) => sign_up(db, account).await,
            Self::StoreToken(token) => store_token(db, token).await,
            Self::Revoke { user, device } => {
                run(db, accounts::REVOKE, of_device(user, *device)).await
            }
        }
    }

    /// Roughly the bytes that it occupies.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 256;
        FIXED
            + match self {
                Self::Seen(seen) => {
                    seen.client.len() + seen.user_name.as_ref().map_or(0, String::len)
                }
                Self::SignUp(account) => {
                    account.password_hash.len() + account.name.as_ref().map_or(0, String::len)
                }
                Self::StoreToken(token) => token.device_name.len() + token.platform.len(),
                Self::ForgetDevice { .. } | Self::Revoke { .. } => 0,
            }
    }
}

async fn sign_up(db: &mut SqliteConnection, account: &NewAccount) -> Result<bool, sqlx::Error> {
    let at = bound(account.at.0);
    let mut binds = Binds::default();
    binds
        .add(account.user.as_str())
        .add(account.password_hash.as_str())
        .add(at);
    let taken = !run(db, accounts::SIGN_UP, binds).await?;
    if !taken {
        see_user(db, &account.user, account.name.as_deref(), at).await?;
    }
    Ok(!taken)
}

async fn store_token(db: &mut SqliteConnection, token: &NewToken) -> Result<bool, sqlx::Error> {
    let at = bound(token.at.0);
    see_user(db, &token.user, None, at).await?;
    let mut named = of_device(&token.user, token.device);
    named
        .add(token.device_name.as_str())
        .add(token.platform.as_str())
        .add(at);
    run(db, users::DEVICE_NAMED, named).await?;
    let mut stored = of_device(&token.user, token.device);
    stored
        .add(token.hash.0.as_slice())
        .add(at)
        .add(bound(token.expires_at.0));
    run(db, accounts::STORE_TOKEN, stored).await
}

async fn see_user(
    db: &mut SqliteConnection,
    user: &UserId,
    name: Option<&str>,
    at: i64,
) -> Result<(), sqlx::Error> {
    let mut binds = Binds::default();
    binds.add(user.as_str()).add(name).add(at);
    run(db, users::INSERT_USER, binds).await.map(drop)
}

fn of_device(user: &UserId, device: DeviceId) -> Binds {
    let mut binds = Binds::default();
    binds.add(user.as_str()).add(device.as_bytes().as_slice());
    binds
}

async fn run(
    db: &mut SqliteConnection,
    sql: &'static str,
    binds: Binds,
) -> Result<bool, sqlx::Error> {
    let done = db.execute(sqlx::query_with(sql, binds.finish())).await?;
    Ok(done.rows_affected() > 0)
}
