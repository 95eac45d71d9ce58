//! Messages, inboxes, users and accounts in one SQLite file: one writer with group commit, many readers, fsync before every acknowledgement.
