//! Writes about people, which are rare: a few statements each, in the order of the queue.

use std::collections::BTreeSet;

use chat_core::ports::{
    Device, DeviceSeen, NewAccount, NewPassword, NewToken, PrefsWrite, ProfileWrite, RelationWrite,
    UserStatus, WrittenEntries,
};
use chat_core::rows::bound;
use chat_proto::{DeviceId, Timestamp, UserId};
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::damaged;
use super::personal;
use crate::decode::Fields;
use crate::sql::rows::{Binds, first, run};
use crate::sql::{accounts, people, users};

/// A write of `UserStore` or `Accounts`.
#[derive(Debug)]
pub(crate) enum PersonWrite {
    Seen(DeviceSeen),
    ForgetDevice {
        user: UserId,
        device: DeviceId,
        at: Timestamp,
    },
    Profile(ProfileWrite),
    Relate(RelationWrite),
    Prefs(PrefsWrite),
    Status(UserId, UserStatus),
    SignUp(NewAccount),
    StoreToken(NewToken),
    SetPassword(NewPassword),
    Revoke {
        user: UserId,
        device: DeviceId,
    },
}

/// What a write about people came to.
#[derive(Debug, Default)]
pub(crate) struct PersonDone {
    /// Whether anything changed beside what `written` tells.
    pub(crate) changed: bool,
    /// What was added to users' own logs.
    pub(crate) written: WrittenEntries,
    /// Devices whose tokens were revoked.
    pub(crate) revoked: BTreeSet<DeviceId>,
}

impl From<bool> for PersonDone {
    fn from(changed: bool) -> Self {
        Self {
            changed,
            ..Self::default()
        }
    }
}

impl From<WrittenEntries> for PersonDone {
    fn from(written: WrittenEntries) -> Self {
        Self {
            written,
            ..Self::default()
        }
    }
}

impl PersonWrite {
    /// Writes; answers what the port asks.
    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<PersonDone, sqlx::Error> {
        Ok(match self {
            Self::Seen(seen) => see(db, seen).await?.into(),
            Self::ForgetDevice { user, device, at } => {
                forget_device(db, user, *device, *at).await?.into()
            }
            Self::Profile(write) => personal::set_profile(db, write).await?.into(),
            Self::Relate(write) => personal::relate(db, write).await?.into(),
            Self::Prefs(write) => personal::set_prefs(db, write).await?.into(),
            Self::Status(user, status) => personal::set_status(db, user, status).await?.into(),
            Self::SignUp(account) => sign_up(db, account).await?.into(),
            Self::StoreToken(token) => store_token(db, token).await?.into(),
            Self::SetPassword(password) => set_password(db, password).await?,
            Self::Revoke { user, device } => {
                changed(db, accounts::REVOKE, of_device(user, *device))
                    .await?
                    .into()
            }
        })
    }

    /// The users whose logs and data it may change; it is written with all of them locked.
    pub(super) fn users(&self) -> [&UserId; 2] {
        let user = match self {
            Self::Relate(write) => return [&write.user, &write.other],
            Self::Seen(seen) => &seen.user,
            Self::Profile(write) => &write.user,
            Self::Prefs(write) => &write.user,
            Self::SignUp(account) => &account.user,
            Self::StoreToken(token) => &token.user,
            Self::SetPassword(password) => &password.user,
            Self::ForgetDevice { user, .. } | Self::Revoke { user, .. } | Self::Status(user, _) => {
                user
            }
        };
        [user, user]
    }

    /// Roughly the bytes that it occupies.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 256;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        FIXED
            + match self {
                Self::Seen(seen) => seen.client.len() + text(&seen.user_name),
                Self::Profile(write) => text(&write.change.name),
                Self::Prefs(write) => text(&write.change.draft),
                Self::Status(_, status) => text(&status.text),
                Self::SignUp(account) => account.password_hash.len() + text(&account.name),
                Self::StoreToken(token) => token.device_name.len() + token.platform.len(),
                Self::SetPassword(password) => {
                    password.former_hash.len() + password.password_hash.len()
                }
                Self::Relate(_) | Self::ForgetDevice { .. } | Self::Revoke { .. } => 0,
            }
    }
}

/// Makes the logs of these users where they are missing, and locks them. From here to the end of the transaction nobody else
/// writes anything of them. Beginnings come first and all locks in one order, as for channels.
pub(super) async fn lock_users(
    db: &mut PgConnection,
    writes: impl Iterator<Item = &PersonWrite>,
) -> Result<(), sqlx::Error> {
    let users: BTreeSet<&str> = writes
        .flat_map(|write| write.users().map(UserId::as_str))
        .collect();
    let users: Vec<&str> = users.into_iter().collect();
    for sql in [people::INSERT_HEADS, people::LOCK_USERS] {
        let mut binds = Binds::default();
        binds.add(users.as_slice());
        run(db, sql, binds).await?;
    }
    Ok(())
}

/// Runs a statement; whether it changed a row.
async fn changed(
    db: &mut PgConnection,
    sql: &'static str,
    binds: Binds,
) -> Result<bool, sqlx::Error> {
    Ok(run(db, sql, binds).await? > 0)
}

async fn see(db: &mut PgConnection, seen: &DeviceSeen) -> Result<WrittenEntries, sqlx::Error> {
    let DeviceSeen {
        user,
        device,
        user_name,
        client,
        at,
    } = seen;
    see_user(db, user, user_name.as_deref(), bound(at.0)).await?;
    let known = device_of(db, user, *device).await?;
    let mut binds = of_device(user, *device);
    binds.add(client.as_bytes()).add(bound(at.0));
    run(db, users::DEVICE_SEEN, binds).await?;
    if known.is_some() {
        // When it was last seen is all that changed, which is not told.
        return Ok(WrittenEntries::new());
    }
    tell_of_device(db, user, *device, known, *at).await
}

async fn forget_device(
    db: &mut PgConnection,
    user: &UserId,
    device: DeviceId,
    at: Timestamp,
) -> Result<WrittenEntries, sqlx::Error> {
    let forgotten = changed(db, users::FORGET_DEVICE, of_device(user, device)).await?;
    let told = forgotten.then(|| Device::told_removed(device));
    personal::tell(db, user, at, told).await
}

async fn sign_up(db: &mut PgConnection, account: &NewAccount) -> Result<bool, sqlx::Error> {
    let at = bound(account.at.0);
    let mut binds = Binds::default();
    binds
        .add(account.user.as_str())
        .add(account.password_hash.as_bytes())
        .add(at);
    let taken = !changed(db, accounts::SIGN_UP, binds).await?;
    if !taken {
        see_user(db, &account.user, account.name.as_deref(), at).await?;
    }
    Ok(!taken)
}

async fn store_token(
    db: &mut PgConnection,
    token: &NewToken,
) -> Result<WrittenEntries, sqlx::Error> {
    let at = bound(token.at.0);
    see_user(db, &token.user, None, at).await?;
    let known = device_of(db, &token.user, token.device).await?;
    let mut named = of_device(&token.user, token.device);
    named
        .add(token.device_name.as_bytes())
        .add(token.platform.as_bytes())
        .add(at);
    run(db, users::DEVICE_NAMED, named).await?;
    let mut freed = Binds::default();
    freed
        .add(token.hash.0.as_slice())
        .add(token.user.as_str())
        .add(token.device.as_uuid());
    run(db, accounts::FREE_HASH, freed).await?;
    let mut stored = of_device(&token.user, token.device);
    stored
        .add(token.hash.0.as_slice())
        .add(at)
        .add(bound(token.expires_at.0));
    run(db, accounts::STORE_TOKEN, stored).await?;
    tell_of_device(db, &token.user, token.device, known, token.at).await
}

async fn set_password(
    db: &mut PgConnection,
    password: &NewPassword,
) -> Result<PersonDone, sqlx::Error> {
    let mut binds = Binds::default();
    binds
        .add(password.user.as_str())
        .add(password.former_hash.as_bytes())
        .add(password.password_hash.as_bytes());
    if !changed(db, accounts::SET_PASSWORD, binds).await? {
        return Ok(false.into());
    }
    let others = of_device(&password.user, password.keep);
    let revoked = db
        .fetch_all(sqlx::query_with(accounts::REVOKE_OTHERS, others.finish()))
        .await?;
    let device = |row| Fields::new(row, "accounts.set_password").device("device");
    let revoked = revoked.iter().map(device).collect::<Result<_, _>>();
    Ok(PersonDone {
        changed: true,
        revoked: revoked.map_err(damaged)?,
        ..PersonDone::default()
    })
}

pub(super) async fn see_user(
    db: &mut PgConnection,
    user: &UserId,
    name: Option<&str>,
    at: i64,
) -> Result<(), sqlx::Error> {
    let mut binds = Binds::default();
    binds
        .add(user.as_str())
        .add(name.map(str::as_bytes))
        .add(at);
    run(db, users::INSERT_USER, binds).await.map(drop)
}

async fn device_of(
    db: &mut PgConnection,
    user: &UserId,
    device: DeviceId,
) -> Result<Option<Device>, sqlx::Error> {
    let row = first(db, users::DEVICE, of_device(user, device)).await?;
    row.map(|row| Fields::new(&row, "users.seen").listed_device())
        .transpose()
        .map_err(damaged)
}

/// Tells the user's own log of a device, unless it is as it was known.
async fn tell_of_device(
    db: &mut PgConnection,
    user: &UserId,
    device: DeviceId,
    known: Option<Device>,
    at: Timestamp,
) -> Result<WrittenEntries, sqlx::Error> {
    let now = device_of(db, user, device).await?;
    let told = now.map(|now| now.told());
    let told = told.filter(|told| known.map(|known| known.told()).as_ref() != Some(told));
    personal::tell(db, user, at, told).await
}

fn of_device(user: &UserId, device: DeviceId) -> Binds {
    let mut binds = Binds::default();
    binds.add(user.as_str()).add(device.as_uuid());
    binds
}
