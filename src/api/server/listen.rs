//! Sockets, and the end of them.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::api::home::Home;

/// How long requests may go on after the shutdown began.
const GRACE: Duration = Duration::from_secs(2);

/// Listens on the home's socket (0600 in a folder of 0700). A socket that is there is left over
/// from a daemon that was killed: whoever calls this holds the home's lock.
pub fn bind_unix(home: &Home) -> io::Result<UnixListener> {
    home.make_private()?;
    let path = home.socket();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `shutdown` is cancelled. Nobody new is let in then; those inside have two
/// seconds, after which their connections end with the caller's runtime.
pub async fn serve<L>(router: Router, listener: L, shutdown: CancellationToken) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        result = serving => result,
        () = late => Ok(()),
    }
}
