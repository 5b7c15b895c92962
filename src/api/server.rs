//! Answers for the engine: one file per resource, shapes as the original client needs them.
//!
//! Everything lives below `/v1`, a user's things below `/v1/me` and, the same, `/v1/users/NAME`.
//! dotCloud's endpoints are those of its API of 2013; what it had and this does not have yet
//! answers 501 in words ([`absent`]). Ours, in the same tree (`A` = `/v1/me/applications/APP`,
//! `I` = `A/services/SVC/instances/N`):
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `PUT A/upload` | a tar of the tree | `{"object": {"revision"}}` |
//! | `POST A/up` | | 204; the stack starts again without a build |
//! | `POST A/down` | `{"volumes": bool}` | 204 when everything is gone |
//! | `GET A/wait?services=` | | stream of `{"object": {"status": "waiting", "holds"}}`, ends with `ready` or `failed` |
//! | `GET A/live` | | stream of `{"object": {"instances", "wanted"}}`: while it is open, instances are held ready for changes |
//! | `POST A/live` | a tar of changed files | stream of `{"object": {"status": "instance", …}}`, ends with `served`, `failed` or `build`: see [`crate::api::types::LiveEvent`] |
//! | `PATCH A/scale` | `{"wishes": [{"service", "instances"?, "memory"?}]}` | `{"object": {"notes", "ignored"?}}`; all wishes or none, but for counts that are ignored with a note |
//! | `POST A/services/SVC/switchover` | `{"to": n or null}` | `{"object": {"instance_id": n}}`, the master now |
//! | `GET A/services/SVC/mail` | | the mails a service has caught, oldest first; `/N` and `/N/raw` are one of them |
//! | `DELETE A/services/SVC/mail` | | `{"object": {"removed": n}}` |
//! | `GET`, `PUT A/services/SVC/mail/relay` | `{"allowed": bool}` | whether mails are handed on, and to whom |
//! | `POST A/services/SVC/ledger` | `{"lasts_ms"?, "writers"?}` | stream of `{"object": {"status": "progress", …}}`, ends with `report` or `failed`: see [`crate::api::types::LedgerEvent`] |
//! | `DELETE A/services/SVC/ledger` | | 204; the ledger ends now, its report comes over that stream |
//! | `POST A/services/SVC/backup` | | an upgrade to frames: a dump, see `dump.rs` |
//! | `POST A/services/SVC/restore` | | the same, the other way |
//! | `GET A/snapshots` | | snapshots, oldest first; also when the application is gone |
//! | `POST A/snapshots` | `{"name"}` | stream of `{"object": {"status": "part", …}}`, ends with `saved` or `failed` |
//! | `POST A/snapshots/NAME/restore` | | the same, ends with `restored` or `failed` |
//! | `DELETE A/snapshots/NAME` | | 204 |
//! | `GET A/services/SVC/connections` | | the open connections of a data service, oldest first |
//! | `POST A/kill` | `{"role": "db.master", "draw"?, "seed"?, "stroke"?}` | `{"object": {"role", "instance"}}` |
//! | `POST A/pause` | the same with `"lasts_ms"?` | the same; without a time until it is unpaused |
//! | `POST A/unpause` | `{"role"?}` | `{"object": {"instances": ["www.1"]}}`; without a role all |
//! | `GET A/resolve?role=db.slave` | | `{"object": {"service", "instance_id"}}` |
//! | `GET A/receipts` | | failovers of all services, oldest first |
//! | `POST I/exec` | `{"command", "tty"?, "stdin"}` | 101 to `dotcloud-exec`: see [`crate::api::types::Frame`] |
//! | `GET /v1/doctor` | | findings about this machine |
//! | `GET /v1/version` | | `{"object": {"version", "built_at", "pid"}}` |
//! | `PATCH /v1/settings` | `{"large_memory": bool}` | the same; whether limits above 4G are accepted |
//! | `POST /v1/shutdown` | | 204; the daemon ends, the containers stay |
//!
//! The service object carries ours beside dotCloud's keys: `stateful`, `urls`, `address`,
//! `memory_used`, `in_build_file`, `group`, `receipts`, `traffic`; an instance `memory_limit`,
//! `memory_used`, `ip`, `pid`.

mod absent;
mod application;
mod auth;
mod convert;
mod deployment;
mod dump;
mod environment;
mod exec;
mod extract;
mod fault;
mod instance;
mod ledger;
mod listen;
mod live;
mod log;
mod machine;
mod mail;
mod refuse;
mod respond;
mod service;
mod snapshot;
mod stream;
mod upload;
mod wait;

use axum::Router;
use axum::middleware;
use tokio_util::sync::CancellationToken;

pub use auth::{ApiKey, Auth};
pub use listen::{bind_unix, serve};

use super::types::Version;
use crate::engine::Engine;

/// What every handler is given.
#[derive(Clone)]
struct Api {
    engine: Engine,
    version: Version,
    shutdown: CancellationToken,
}

/// The whole interface. `auth` says who may use it: a Unix socket in a private folder is
/// trusted, a TCP port asks for the key. `shutdown` is cancelled by `POST /v1/shutdown`, and
/// whoever cancels it ends the open streams.
pub fn router(engine: Engine, auth: Auth, shutdown: CancellationToken) -> Router {
    let api = Api { engine, version: Version::of_this_program(), shutdown };
    dress(Router::new().nest("/v1", tree().with_state(api)), auth)
}

fn tree() -> Router<Api> {
    let mine = Router::new()
        .merge(machine::mine())
        .merge(application::routes())
        .merge(fault::routes())
        .merge(service::routes())
        .merge(snapshot::routes())
        .merge(instance::routes())
        .merge(deployment::routes())
        .merge(dump::routes())
        .merge(environment::routes())
        .merge(ledger::routes())
        .merge(live::routes())
        .merge(log::routes())
        .merge(mail::routes())
        .merge(upload::routes())
        .merge(wait::routes())
        .merge(absent::mine());
    machine::routes().merge(absent::routes()).nest("/me", mine.clone()).nest("/users/{user}", mine)
}

/// What every answer has, errors and unknown paths included.
fn dress(routes: Router, auth: Auth) -> Router {
    routes
        .fallback(refuse::no_such_path)
        .method_not_allowed_fallback(refuse::no_such_method)
        .layer(middleware::from_fn_with_state(auth, auth::admit))
        .layer(middleware::from_fn(respond::with_headers))
}

#[cfg(test)]
mod tests;
