//! Small programs that embed the engine or talk to a server.
