//! A session's frames as server-sent events.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use super::handle::{Batch, Fetch, Handle};
use crate::meters::Meters;
use crate::state::Shared;

/// Silence after which the stream says that it is still there, so that nothing on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What it says: a comment.
const STILL_HERE: &[u8] = b":\n\n";
/// Bytes of an event besides its frame, roughly.
const EVENT_BYTES: usize = 40;

/// The body of a stream. It ends when the session does, or when another request fetches its frames.
pub(crate) fn events(shared: Arc<Shared>, handle: Arc<Handle>, fetch: Fetch) -> Body {
    let open = shared.meters.stream_opened();
    let begin = Some((fetch, handle, shared, open));
    Body::from_stream(stream::unfold(begin, |state| async {
        let (fetch, handle, shared, open) = state?;
        let batch = handle.fetch(fetch, KEEP_ALIVE).await.ok().flatten()?;
        let bytes = written(&batch, &shared.meters);
        let goes_on = batch.close.is_none();
        let next = Fetch {
            after: Some(batch.through),
            acknowledges: false,
            ..fetch
        };
        let state = goes_on.then_some((next, handle, shared, open));
        Some((Ok::<_, std::convert::Infallible>(bytes), state))
    }))
}

fn written(batch: &Batch, meters: &Meters) -> Bytes {
    meters.poll_frames_out.increment(batch.frames.len() as u64);
    if batch.frames.is_empty() && batch.close.is_none() {
        return Bytes::from_static(STILL_HERE);
    }
    let bytes: usize = batch
        .frames
        .iter()
        .map(|frame| frame.len() + EVENT_BYTES)
        .sum();
    let mut events = String::with_capacity(bytes + EVENT_BYTES);
    let first = batch.through - batch.frames.len() as u64 + 1;
    for (id, frame) in (first..).zip(&batch.frames) {
        let frame = std::str::from_utf8(frame).expect("JSON is UTF-8");
        write!(events, "id: {id}\ndata: {frame}\n\n").expect("a string takes everything");
    }
    if let Some(code) = batch.close {
        let code = code.number();
        write!(events, "event: close\ndata: {{\"code\":{code}}}\n\n")
            .expect("a string takes everything");
    }
    events.into()
}
