//! What every measurement does around what it measures.

use tokio::task::{JoinSet, LocalSet};

use crate::error::Error;
use crate::figures::Figures;
use crate::jwt::Signer;
use crate::server_process::{ServerOptions, ServerProcess};

/// Measures once, on a server of its own that is stopped afterwards.
pub(crate) async fn on_fresh_server(
    options: impl Fn(&Signer) -> Result<ServerOptions, Error>,
    measure: impl AsyncFnOnce(&Signer, &ServerProcess) -> Result<Figures, Error>,
) -> Result<Figures, Error> {
    let signer = Signer::random();
    let server = ServerProcess::start(options(&signer)?).await?;
    let figures = LocalSet::new().run_until(measure(&signer, &server)).await?;
    server.stop().await?;
    Ok(figures)
}

/// Waits for `work`, and fails as soon as a peer does: a peer ends only by failing.
pub(crate) async fn unless_failed<T>(
    work: impl Future<Output = Result<T, Error>>,
    peers: &mut JoinSet<Result<(), Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = work => done,
        Some(ended) = peers.join_next() => match ended {
            Ok(Ok(())) => Err(Error::Invalid("a connection ended before the measurement did".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(Error::Invalid(format!("a connection's task failed: {panic}"))),
        },
    }
}
