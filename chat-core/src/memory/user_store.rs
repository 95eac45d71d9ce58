//! Users and their devices.

use async_trait::async_trait;
use chat_proto::{DeviceId, Seq, Timestamp, UserId};

use super::MemoryStore;
use super::state::{State, User};
use crate::ports::{Device, DeviceSeen, PortError, Profile, UserStore};

#[async_trait]
impl UserStore for MemoryStore {
    async fn seen(&self, seen: DeviceSeen) -> Result<(), PortError> {
        let mut state = self.state();
        let user = state.user_at_first_sight(&seen.user, seen.user_name, seen.at);
        let device = user.devices.entry(seen.device).or_insert_with(|| Device {
            device: seen.device,
            name: seen.client,
            platform: String::new(),
            created_at: seen.at,
            seen_at: seen.at,
        });
        device.seen_at = device.seen_at.max(seen.at);
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PortError> {
        Ok(self
            .state()
            .users
            .get(user)
            .map(|known| known.profile.clone()))
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, PortError> {
        let state = self.state();
        let devices = state
            .users
            .get(user)
            .map(|known| known.devices.values().cloned());
        let mut devices: Vec<Device> = devices.into_iter().flatten().collect();
        devices.sort_by_key(|device| (device.created_at, device.device));
        Ok(devices)
    }

    async fn forget_device(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError> {
        let mut state = self.state();
        Ok(state
            .users
            .get_mut(user)
            .is_some_and(|known| known.devices.remove(&device).is_some()))
    }

    async fn user_seq(&self, _user: &UserId) -> Result<Seq, PortError> {
        // No method of the port writes to a user's own log, so every one is empty.
        Ok(Seq(0))
    }
}

impl State {
    /// The user, made known with this name if nobody knew them.
    pub(super) fn user_at_first_sight(
        &mut self,
        user: &UserId,
        name: Option<String>,
        at: Timestamp,
    ) -> &mut User {
        self.users.entry(user.clone()).or_insert_with(|| User {
            profile: Profile {
                user: user.clone(),
                name,
                created_at: at,
            },
            password_hash: None,
            devices: Default::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chat_proto::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn seen(device: u128, name: &str, at: u64) -> DeviceSeen {
        DeviceSeen {
            user: "ann".parse().expect("a good name"),
            device: DeviceId::from_uuid(Uuid::from_u128(device)),
            user_name: Some(name.to_owned()),
            client: format!("{name}/1.0"),
            at: Timestamp(at),
        }
    }

    #[tokio::test]
    async fn seeing_again_changes_only_the_time() -> Result<(), PortError> {
        let store = MemoryStore::new();
        store.seen(seen(2, "Ann", 10)).await?;
        store.seen(seen(1, "Other", 20)).await?;
        store.seen(seen(2, "Other", 30)).await?;
        store.seen(seen(2, "Other", 25)).await?;
        let ann = "ann".parse().expect("a good name");
        assert_eq!(
            store
                .profile(&ann)
                .await?
                .and_then(|profile| profile.name)
                .as_deref(),
            Some("Ann")
        );
        let devices = store.devices(&ann).await?;
        let told: Vec<_> = devices
            .iter()
            .map(|d| (d.name.as_str(), d.created_at.0, d.seen_at.0))
            .collect();
        assert_eq!(told, [("Ann/1.0", 10, 30), ("Other/1.0", 20, 20)]);
        Ok(())
    }
}
