//! The API as an OpenAPI 3.1 document, generated from what stands beside the handlers, and pages that show it.
//!
//! | file | holds |
//! |---|---|
//! | `document` | what is said of the API as a whole |
//! | `refusals` | which statuses a sort of operation is refused with |
//! | `serve` | `/v1/openapi.json` and, with the feature `docs-ui`, `/v1/docs` |

mod document;
mod refusals;
mod serve;

pub use document::document;
pub use refusals::{Asked, Changes, Sent};
pub use serve::documented;
