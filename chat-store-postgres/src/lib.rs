//! Every store of the chat engine on PostgreSQL, shared by any number of chat servers.
