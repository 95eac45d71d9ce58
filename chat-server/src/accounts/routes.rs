//! The paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{delete, get, post, put};
use chat_core::Engine;
use chat_core::ports::{Accounts, Directory};

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

/// Users, sessions and devices, to stand beside the transport's paths.
pub fn routes(api: AccountsApi) -> Router {
    Router::new()
        .route("/v1/users", post(users::sign_up))
        .route("/v1/users/{user}", get(users::profile))
        .route("/v1/me", get(users::me).patch(users::change_me))
        .route("/v1/me/password", put(sessions::change_password))
        .route("/v1/sessions", post(sessions::log_in))
        .route("/v1/sessions/current", delete(sessions::log_out))
        .route("/v1/devices", get(sessions::devices))
        .route("/v1/devices/{device}", delete(sessions::revoke))
        .with_state(api)
}
