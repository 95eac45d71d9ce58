//! The ports of the embedding program with a layer around them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chat_proto::UserId;

use super::{Decorated, Layer};
use crate::ports::{Authenticator, Authorizer, Directory, Identity, Operation, PortError, Verdict};

#[async_trait]
impl<L: Layer> Authenticator for Decorated<dyn Authenticator, L> {
    async fn authenticate(&self, token: &str) -> Result<Option<Identity>, PortError> {
        self.layer
            .read("authenticator.authenticate", self.inner.authenticate(token))
            .await
    }
}

#[async_trait]
impl<L: Layer> Authorizer for Decorated<dyn Authorizer, L> {
    async fn authorize(
        &self,
        user: &UserId,
        operation: Operation<'_>,
    ) -> Result<Verdict, PortError> {
        self.layer
            .read(
                "authorizer.authorize",
                self.inner.authorize(user, operation),
            )
            .await
    }
}

#[async_trait]
impl<L: Layer> Directory for Decorated<dyn Directory, L> {
    async fn existing(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, PortError> {
        self.layer
            .read("directory.existing", self.inner.existing(users))
            .await
    }

    async fn may_talk(&self, from: &UserId, to: &UserId) -> Result<bool, PortError> {
        self.layer
            .read("directory.may_talk", self.inner.may_talk(from, to))
            .await
    }
}
