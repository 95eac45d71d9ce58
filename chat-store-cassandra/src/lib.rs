//! Logs and inboxes on Apache Cassandra, shared by any number of chat servers.
