//! Sign-up and tokens.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_proto::{DeviceId, UserId};

use super::MemoryStore;
use super::state::{State, Token};
use crate::ports::{
    Account, Accounts, Device, NewAccount, NewPassword, NewToken, PortError, TokenHash, TokenOwner,
    WrittenEntries,
};

#[async_trait]
impl Accounts for MemoryStore {
    async fn sign_up(&self, account: NewAccount) -> Result<bool, PortError> {
        let mut state = self.state();
        // A user whom the store knows without a password belongs to another log-in: the name is as taken as any.
        if state.users.contains_key(&account.user) {
            return Ok(false);
        }
        let user = state.user_at_first_sight(&account.user, account.name, account.at);
        user.password_hash = Some(account.password_hash);
        Ok(true)
    }

    async fn account(&self, user: &UserId) -> Result<Option<Account>, PortError> {
        let state = self.state();
        let password_hash = state
            .users
            .get(user)
            .and_then(|known| known.password_hash.clone());
        Ok(password_hash.map(|password_hash| Account::new(user.clone(), password_hash)))
    }

    async fn store_token(&self, token: NewToken) -> Result<WrittenEntries, PortError> {
        let mut state = self.state();
        let user = state.user_at_first_sight(&token.user, None, token.at);
        let former = user.devices.get(&token.device);
        let seen = former.map(|former| (former.created_at, former.seen_at));
        let (created_at, seen_at) = seen.unwrap_or((token.at, token.at));
        let device = Device {
            device: token.device,
            name: token.device_name,
            platform: token.platform,
            created_at,
            seen_at: seen_at.max(token.at),
        };
        let told =
            Some(device.told()).filter(|told| former.map(Device::told).as_ref() != Some(told));
        user.devices.insert(token.device, device);
        let written = state.people.tell(&token.user, token.at, told);

        let of_device = (token.user.clone(), token.device);
        if let Some(older) = state.token_of_device.insert(of_device, token.hash) {
            state.tokens.remove(&older);
        }
        let kept = Token {
            user: token.user,
            device: token.device,
            expires_at: token.expires_at,
        };
        state.tokens.insert(token.hash, kept);
        Ok(written)
    }

    async fn token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>, PortError> {
        let state = self.state();
        Ok(state.tokens.get(hash).map(|token| TokenOwner {
            user: token.user.clone(),
            device: token.device,
            expires_at: token.expires_at,
            name: state
                .users
                .get(&token.user)
                .and_then(|known| known.profile.name.clone()),
        }))
    }

    async fn set_password(
        &self,
        password: NewPassword,
    ) -> Result<Option<BTreeSet<DeviceId>>, PortError> {
        let mut state = self.state();
        let account = state.users.get_mut(&password.user);
        let hash = account.and_then(|account| account.password_hash.as_mut());
        let Some(hash) = hash.filter(|hash| **hash == password.former_hash) else {
            return Ok(None);
        };
        *hash = password.password_hash;
        let State {
            tokens,
            token_of_device,
            ..
        } = &mut *state;
        let mut revoked = BTreeSet::new();
        token_of_device.retain(|(user, device), hash| {
            let goes = *user == password.user && *device != password.keep;
            if goes {
                tokens.remove(hash);
                revoked.insert(*device);
            }
            !goes
        });
        Ok(Some(revoked))
    }

    async fn revoke(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError> {
        let mut state = self.state();
        let Some(hash) = state.token_of_device.remove(&(user.clone(), device)) else {
            return Ok(false);
        };
        Ok(state.tokens.remove(&hash).is_some())
    }
}

#[cfg(test)]
mod tests {
    use chat_proto::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::ports::{DeviceSeen, UserStore};

    fn ann() -> UserId {
        "ann".parse().expect("a good name")
    }

    fn device(number: u128) -> DeviceId {
        DeviceId::from_uuid(Uuid::from_u128(number))
    }

    fn token(hash: u8, of: DeviceId) -> NewToken {
        NewToken {
            hash: TokenHash([hash; 32]),
            user: ann(),
            device: of,
            device_name: "phone".into(),
            platform: "ios".into(),
            at: Timestamp(1),
            expires_at: Timestamp(9),
        }
    }

    fn account() -> NewAccount {
        NewAccount {
            user: ann(),
            password_hash: "$a$".into(),
            name: Some("Ann".into()),
            at: Timestamp(1),
        }
    }

    #[tokio::test]
    async fn names_are_never_reused() -> Result<(), PortError> {
        let store = MemoryStore::new();
        assert!(store.sign_up(account()).await?);
        assert!(
            !store
                .sign_up(NewAccount {
                    password_hash: "$b$".into(),
                    ..account()
                })
                .await?
        );
        assert_eq!(
            store.account(&ann()).await?,
            Some(Account::new(ann(), "$a$".into()))
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_name_that_another_log_in_uses_is_taken() -> Result<(), PortError> {
        let store = MemoryStore::new();
        let seen = DeviceSeen {
            user: ann(),
            device: device(1),
            user_name: None,
            client: "x/1".into(),
            at: Timestamp(1),
        };
        store.seen(seen).await?;
        assert!(!store.sign_up(account()).await?);
        assert_eq!(store.account(&ann()).await?, None);
        Ok(())
    }

    #[tokio::test]
    async fn one_token_a_device_and_revoking_spares_the_others() -> Result<(), PortError> {
        let store = MemoryStore::new();
        assert!(store.sign_up(account()).await?);
        for given in [
            token(1, device(1)),
            token(2, device(1)),
            token(3, device(2)),
        ] {
            store.store_token(given).await?;
        }
        assert_eq!(store.token_owner(&TokenHash([1; 32])).await?, None);
        let owner = store
            .token_owner(&TokenHash([2; 32]))
            .await?
            .expect("the newer one");
        assert_eq!(
            (owner.device, owner.name.as_deref()),
            (device(1), Some("Ann"))
        );
        assert!(store.revoke(&ann(), device(1)).await?);
        assert!(!store.revoke(&ann(), device(1)).await?);
        assert_eq!(store.token_owner(&TokenHash([2; 32])).await?, None);
        assert!(store.token_owner(&TokenHash([3; 32])).await?.is_some());
        assert_eq!(store.devices(&ann()).await?.len(), 2);
        Ok(())
    }
}
