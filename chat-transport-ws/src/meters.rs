//! What the transport counts. Handles are taken once: nothing is looked up per frame.

use metrics::{Counter, Gauge};

/// Counters of all sessions.
pub(crate) struct Meters {
    open: Gauge,
    /// Messages that came in.
    pub(crate) frames_in: Counter,
    /// Messages that went out.
    pub(crate) frames_out: Counter,
    /// Writes that they went out in.
    pub(crate) writes: Counter,
    /// Sessions without a socket.
    pub(crate) polls_open: Gauge,
    streams_open: Gauge,
    /// Requests that came in for them.
    pub(crate) poll_requests: Counter,
    /// Frames that were fetched from them, those that were fetched again included.
    pub(crate) poll_frames_out: Counter,
}

/// Counts a connection as open until it is dropped.
pub(crate) struct Open(Gauge);

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            open: metrics::gauge!("chat_websockets"),
            frames_in: metrics::counter!("chat_websocket_frames_in_total"),
            frames_out: metrics::counter!("chat_websocket_frames_out_total"),
            writes: metrics::counter!("chat_websocket_writes_total"),
            polls_open: metrics::gauge!("chat_poll_sessions"),
            streams_open: metrics::gauge!("chat_event_streams"),
            poll_requests: metrics::counter!("chat_poll_requests_total"),
            poll_frames_out: metrics::counter!("chat_poll_frames_out_total"),
        }
    }

    pub(crate) fn opened(&self) -> Open {
        Open::of(&self.open)
    }

    pub(crate) fn stream_opened(&self) -> Open {
        Open::of(&self.streams_open)
    }

    /// Counts a session without a socket that ended, by whom or with which code.
    pub(crate) fn poll_ended(&self, why: &str) {
        metrics::counter!("chat_poll_ends_total", "why" => why.to_owned()).increment(1);
    }

    /// Counts a connection that the server closed with this code.
    pub(crate) fn closed(code: u16) {
        metrics::counter!("chat_websocket_closes_total", "code" => code.to_string()).increment(1);
    }
}

impl Open {
    fn of(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
