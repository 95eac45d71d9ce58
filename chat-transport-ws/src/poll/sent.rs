//! Frames that went out and may have been lost on the way: kept until the client says that it has them.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes of frames in one answer, reached by its last frame.
const ANSWER_BYTES: usize = 256 * 1024;
/// Bytes of frames that a stream's client may ask for again after it lost the stream; reached by the oldest one.
const STREAM_BYTES: usize = 64 * 1024;

/// Frames by number, from 1.
#[derive(Debug, Default)]
pub(super) struct Sent {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Number of the last frame that is no longer kept.
    dropped_through: u64,
}

/// Frames after this number are wanted that are no longer there, or never were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Sent {
    /// Number of the last frame.
    pub(super) fn last(&self) -> u64 {
        self.dropped_through + self.frames.len() as u64
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// The client has everything up to this number.
    pub(super) fn acknowledge(&mut self, through: u64) -> Result<(), Lost> {
        self.check(through)?;
        while self.dropped_through < through {
            self.drop_oldest();
        }
        Ok(())
    }

    /// The client was sent everything up to this number by a stream, and may have lost the end of it.
    pub(super) fn passed(&mut self, through: u64) -> Result<(), Lost> {
        self.check(through)?;
        while self.dropped_through < through && self.bytes > STREAM_BYTES {
            self.drop_oldest();
        }
        Ok(())
    }

    /// What fits one answer of the frames after this number, which was checked; and the number of its last.
    pub(super) fn after(&self, number: u64) -> (Vec<Bytes>, u64) {
        let skipped = usize::try_from(number - self.dropped_through).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |frame: &&Bytes| {
            let fits = bytes < ANSWER_BYTES;
            bytes += frame.len();
            fits
        };
        let frames: Vec<Bytes> = self
            .frames
            .iter()
            .skip(skipped)
            .take_while(fits)
            .cloned()
            .collect();
        let through = number + frames.len() as u64;
        (frames, through)
    }

    /// Whether what is kept fills an answer.
    pub(super) fn fills_answer(&self) -> bool {
        self.bytes >= ANSWER_BYTES
    }

    fn check(&self, number: u64) -> Result<(), Lost> {
        if (self.dropped_through..=self.last()).contains(&number) {
            Ok(())
        } else {
            Err(Lost)
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.len();
            self.dropped_through += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(frames: usize, bytes: usize) -> Sent {
        let mut sent = Sent::default();
        for _ in 0..frames {
            sent.push(vec![b'x'; bytes].into());
        }
        sent
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again() {
        let mut sent = sent(3, 10);
        assert_eq!(sent.acknowledge(0), Ok(()));
        let (frames, through) = sent.after(0);
        assert_eq!((frames.len(), through), (3, 3));
        assert_eq!(sent.acknowledge(2), Ok(()));
        let (frames, through) = sent.after(2);
        assert_eq!((frames.len(), through), (1, 3));
        assert_eq!(sent.acknowledge(1), Err(Lost), "it is gone");
        assert_eq!(sent.acknowledge(4), Err(Lost), "it never was");
        assert_eq!(sent.acknowledge(3), Ok(()));
        assert_eq!((sent.last(), sent.bytes), (3, 0));
    }

    #[test]
    fn an_answer_is_bounded_and_holds_at_least_one_frame() {
        let sent = sent(3, ANSWER_BYTES);
        assert!(sent.fills_answer());
        let (frames, through) = sent.after(0);
        assert_eq!((frames.len(), through), (1, 1));
    }

    #[test]
    fn a_stream_leaves_a_bounded_tail() {
        let mut sent = sent(100, STREAM_BYTES / 10);
        assert_eq!(sent.passed(100), Ok(()));
        assert!(sent.bytes <= STREAM_BYTES, "{}", sent.bytes);
        assert_eq!(sent.passed(89), Err(Lost));
        let (frames, through) = sent.after(95);
        assert_eq!((frames.len(), through), (5, 100));
    }
}
