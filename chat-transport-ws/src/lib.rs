//! Chat sessions over WebSocket and HTTP: mounts into any axum or tower application.
