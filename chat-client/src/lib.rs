//! Rust client: connects, resumes, keeps an outbox across restarts and delivers every event once, in order.
