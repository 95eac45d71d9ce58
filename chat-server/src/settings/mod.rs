//! Every setting, where they come from, which are refused.
//!
//! From the strongest to the weakest: arguments, environment, file, defaults. A setting's variable is `CHAT_` and its
//! path in capitals with `__` between levels, as `CHAT_AUTH__JWT__HS256_SECRET` for `auth.jwt.hs256_secret`; an empty
//! one counts as absent. Variables that begin with `CHAT_TEST_` are no settings.
//!
//! | file | holds |
//! |---|---|
//! | `tree` | [`Settings`] and what is in it |
//! | `check` | values that cannot work |
//! | `arguments` | the command line: what is asked for, and settings |
//! | `load` | arguments, environment and file |

mod arguments;
mod check;
mod load;
mod tree;

pub use arguments::{
    AdminCommand, Arguments, Command, EpochCommand, SchemaCommand, StoresArguments,
};
pub use load::SettingsError;
pub use tree::{
    AuthSettings, HttpSettings, JwtSettings, LogFormat, LogLevel, LogSettings, RatesSettings,
    Secret, Settings, StopSettings, StoresSettings,
};
