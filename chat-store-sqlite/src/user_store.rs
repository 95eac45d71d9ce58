//! Users and their devices.

use async_trait::async_trait;
use chat_core::ports::{Device, DeviceSeen, PortError, Profile, UserStore};
use chat_proto::{DeviceId, Seq, Timestamp, UserId};

use crate::decode::Fields;
use crate::sql::rows::Binds;
use crate::sql::users as sql;
use crate::store::SqliteStore;
use crate::writer::PersonWrite;

#[async_trait]
impl UserStore for SqliteStore {
    async fn seen(&self, seen: DeviceSeen) -> Result<(), PortError> {
        self.writer
            .person("users.seen", PersonWrite::Seen(seen))
            .await
            .map(drop)
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        const OP: &str = "users.profile";
        let mut binds = Binds::default();
        binds.add(user.as_str());
        let row = self.readers.first(OP, sql::PROFILE, binds).await?;
        row.map(|row| {
            let fields = Fields::new(&row, OP);
            Ok(Profile {
                user: fields.user("user")?,
                name: fields.value("name")?,
                created_at: Timestamp(fields.number("created_at")?),
            })
        })
        .transpose()
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        const OP: &str = "users.devices";
        let mut binds = Binds::default();
        binds.add(user.as_str());
        let rows = self.readers.all(OP, sql::DEVICES, binds).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new(row, OP);
                Ok(Device {
                    device: fields.device("device")?,
                    name: fields.value("name")?,
                    platform: fields.value("platform")?,
                    created_at: Timestamp(fields.number("created_at")?),
                    seen_at: Timestamp(fields.number("seen_at")?),
                })
            })
            .collect()
    }

    async fn forget_device(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError> {
        let write = PersonWrite::ForgetDevice {
            user: user.clone(),
            device,
        };
        self.writer.person("users.forget_device", write).await
    }

    async fn user_seq(&self, user: &UserId) -> Result<Seq, PortError> {
        const OP: &str = "users.user_seq";
        let mut binds = Binds::default();
        binds.add(user.as_str());
        let row = self.readers.first(OP, sql::USER_SEQ, binds).await?;
        row.map_or(Ok(Seq(0)), |row| {
            Fields::new(&row, OP).number("user_seq").map(Seq)
        })
    }
}
