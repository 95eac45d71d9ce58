//! The paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use chat_core::Engine;
use chat_core::ports::{Accounts, Directory};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::hasher::PasswordHasher;
use super::slow_down::SlowDown;
use super::{sessions, users};

/// What these paths work on.
#[derive(Clone)]
#[non_exhaustive]
pub struct AccountsApi {
    pub(super) engine: Engine,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) hasher: PasswordHasher,
    pub(super) sign_up: bool,
    pub(super) slow_down: Arc<SlowDown>,
}

impl AccountsApi {
    /// Accounts beside this engine; `sign_up` tells whether new ones are taken.
    pub fn new(
        engine: Engine,
        accounts: Arc<dyn Accounts>,
        directory: Arc<dyn Directory>,
        hasher: PasswordHasher,
        sign_up: bool,
    ) -> Self {
        Self {
            engine,
            accounts,
            directory,
            hasher,
            sign_up,
            slow_down: Arc::new(SlowDown::new()),
        }
    }
}

impl FromRef<AccountsApi> for Engine {
    fn from_ref(api: &AccountsApi) -> Self {
        api.engine.clone()
    }
}

/// Users, sessions and devices, to stand beside the transport's paths, and what is documented of them.
pub fn routes(api: AccountsApi) -> (Router, OpenApi) {
    documented().with_state(api).split_for_parts()
}

fn documented() -> OpenApiRouter<AccountsApi> {
    OpenApiRouter::new()
        .routes(routes!(users::sign_up))
        .routes(routes!(users::profile))
        .routes(routes!(users::me, users::change_me))
        .routes(routes!(sessions::change_password))
        .routes(routes!(sessions::log_in))
        .routes(routes!(sessions::log_out))
        .routes(routes!(sessions::devices))
        .routes(routes!(sessions::revoke))
}
