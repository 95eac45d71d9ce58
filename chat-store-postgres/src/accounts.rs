//! Accounts and tokens of the reference server.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_core::ports::{
    Account, Accounts, NewAccount, NewPassword, NewToken, PortError, TokenHash, TokenOwner,
    WrittenEntries,
};
use chat_proto::{DeviceId, Timestamp, UserId};

use crate::decode::Fields;
use crate::sql::accounts as sql;
use crate::sql::rows::Binds;
use crate::store::PostgresStore;
use crate::writer::PersonWrite;

#[async_trait]
impl Accounts for PostgresStore {
    async fn sign_up(&self, account: NewAccount) -> Result<bool, PortError> {
        self.writers
            .person("accounts.sign_up", PersonWrite::SignUp(account))
            .await
            .map(|done| done.changed)
    }

    async fn account(&self, user: &UserId) -> Result<Option<Account>, PortError> {
        const OP: &str = "accounts.account";
        let mut binds = Binds::default();
        binds.add(user.as_str());
        let row = self.readers.first(OP, sql::ACCOUNT, binds).await?;
        row.map(|row| {
            Ok(Account::new(
                user.clone(),
                Fields::new(&row, OP).text("password_hash")?,
            ))
        })
        .transpose()
    }

    async fn store_token(&self, token: NewToken) -> Result<WrittenEntries, PortError> {
        self.told("accounts.store_token", PersonWrite::StoreToken(token))
            .await
    }

    async fn token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>, PortError> {
        const OP: &str = "accounts.token_owner";
        let mut binds = Binds::default();
        binds.add(hash.0.as_slice());
        let row = self.readers.first(OP, sql::TOKEN_OWNER, binds).await?;
        row.map(|row| {
            let fields = Fields::new(&row, OP);
            Ok(TokenOwner {
                user: fields.user("user_id")?,
                device: fields.device("device")?,
                expires_at: Timestamp(fields.number("expires_at")?),
                name: fields.text_if_any("name")?,
            })
        })
        .transpose()
    }

    async fn set_password(
        &self,
        password: NewPassword,
    ) -> Result<Option<BTreeSet<DeviceId>>, PortError> {
        let write = PersonWrite::SetPassword(password);
        let done = self.writers.person("accounts.set_password", write).await?;
        Ok(done.changed.then_some(done.revoked))
    }

    async fn revoke(&self, user: &UserId, device: DeviceId) -> Result<bool, PortError> {
        let write = PersonWrite::Revoke {
            user: user.clone(),
            device,
        };
        let done = self.writers.person("accounts.revoke", write).await?;
        Ok(done.changed)
    }
}
