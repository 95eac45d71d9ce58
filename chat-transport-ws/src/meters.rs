//! What the transport counts. Handles are taken once: nothing is looked up per frame.

use metrics::{Counter, Gauge};

/// Counters of all WebSocket connections.
pub(crate) struct Meters {
    open: Gauge,
    /// Messages that came in.
    pub(crate) frames_in: Counter,
    /// Messages that went out.
    pub(crate) frames_out: Counter,
    /// Writes that they went out in.
    pub(crate) writes: Counter,
}

/// Counts a connection as open until it is dropped.
pub(crate) struct OpenSocket(Gauge);

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            open: metrics::gauge!("chat_websockets"),
            frames_in: metrics::counter!("chat_websocket_frames_in_total"),
            frames_out: metrics::counter!("chat_websocket_frames_out_total"),
            writes: metrics::counter!("chat_websocket_writes_total"),
        }
    }

    pub(crate) fn opened(&self) -> OpenSocket {
        self.open.increment(1);
        OpenSocket(self.open.clone())
    }

    /// Counts a connection that the server closed with this code.
    pub(crate) fn closed(code: u16) {
        metrics::counter!("chat_websocket_closes_total", "code" => code.to_string()).increment(1);
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
