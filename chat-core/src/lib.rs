//! The chat engine: ports for stores, routing and identity, and the engine that decides, appends and delivers over them.
